"""Profiles of a handler's calls, and the fixtures that serve an endpoint for a test."""

from __future__ import annotations

import threading
import time

import pytest

from pycrust import RpcEndpoint

pytest_plugins = ["pytester"]


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


def test_the_fixture_serves_a_given_endpoint(pycrust_serve):
    endpoint = RpcEndpoint("given-to-the-fixture", fresh=True)
    endpoint.register("f")(lambda: 1)
    served = pycrust_serve(endpoint)
    assert served.endpoint is endpoint
    assert served.client.call("f") == served["f"]() == 1
    assert served.serving


def test_the_fixtures_are_there_for_any_project(pytester, monkeypatch):
    monkeypatch.delenv("PYCRUST_RUNTIME_DIR")
    pytester.makepyfile(
        """
        def test_add(pycrust_endpoint):
            @pycrust_endpoint.register
            def add(a: int, b: int) -> int:
                return a + b

            assert pycrust_endpoint.client.call("add", 1, 2) == 3
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
