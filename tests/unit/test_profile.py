"""Profiles of a handler's calls."""

from __future__ import annotations

import threading
import time

import pytest


def slow_part() -> float:
    until = time.perf_counter() + 0.05
    while time.perf_counter() < until:
        pass
    return until


def test_a_profile_finds_the_slow_part(pycrust_endpoint):
    @pycrust_endpoint.register
    def work() -> float:
        return slow_part()

    @pycrust_endpoint.register
    def idle() -> int:
        return 1

    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            pycrust_endpoint.client.call("work")

    caller = threading.Thread(target=call)
    caller.start()
    found = pycrust_endpoint["work"].profile(0.5)
    nothing = pycrust_endpoint["idle"].profile(0.01)
    stop.set()
    caller.join()
    assert found.inside > 0
    assert any(name.startswith("slow_part (test_profile.py:") for name in found.own)
    assert any(";slow_part" in stack for stack in found.stacks)
    assert "slow_part" in repr(found)
    assert "share" in found._repr_html_()
    assert nothing.inside == 0
    assert "it was not called" in repr(nothing)


def test_what_can_not_be_profiled(endpoint):
    endpoint.register("length")(len)
    with pytest.raises(TypeError, match="no Python code"):
        endpoint["length"].profile(0.01)
    endpoint.register("f")(lambda: 1)
    with pytest.raises(ValueError, match="above 0"):
        endpoint["f"].profile(0)
