"""A slow reader of large frames slows whoever makes them down: neither side keeps more than a few of them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pycrust import RpcClient, RpcEndpoint

FRAMES = 60
FRAME = 6_000_000
WINDOW = 16 << 20
#: Frames that are let through: those of the window, and the one that passes it.
MOST = -(-WINDOW // FRAME)
LARGER_THAN_THE_WINDOW = 40 << 20


class Served:
    """Handlers that count the frames they make and take, and hold what they are sent until they are told."""

    def __init__(self) -> None:
        self.endpoint = RpcEndpoint("slow-streams", fresh=True)
        self.made = 0
        self.free = threading.Event()
        self.holding = threading.Event()
        register = self.endpoint.register

        @register
        def frames(count: int, size: int) -> Iterator[Any]:
            for number in range(count):
                self.made += 1
                yield np.full(size, number % 251, "u1")

        @register
        async def later(count: int, size: int):
            for number in range(count):
                self.made += 1
                yield np.full(size, number % 251, "u1")

        @register
        def made() -> int:
            return self.made

        @register
        def hold(frames: Iterator[Any]) -> int:
            total = int(next(frames)[-1])
            self.holding.set()
            assert self.free.wait(60)
            return total + sum(int(frame[-1]) for frame in frames)

        @register
        def each(frames: Iterator[Any]) -> Iterator[Any]:
            yield from frames

        @register
        def holds() -> bool:
            return self.holding.is_set()

        @register
        def let_go() -> None:
            self.free.set()


@pytest.fixture
def served():
    served = Served()
    with served.endpoint:
        yield served
    RpcEndpoint("slow-streams", fresh=True)


def settled(count: Callable[[], int]) -> int:
    """What `count` says once it says it twice in a row."""
    before = count()
    while True:
        time.sleep(0.1)
        if (now := count()) == before:
            return now
        before = now


def held_bytes() -> int:
    """Memory of this process that is its own or shared memory, in bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@pytest.mark.parametrize("method", ["frames", "later"])
def test_a_slow_reader_slows_the_handler_down(served, method):
    with RpcClient("slow-streams") as client:
        before = held_bytes()
        items = client.stream(method, FRAMES, FRAME)
        found = []
        for taken in range(1, 4):
            found.append(int(next(items)[-1]))
            # What the reader takes may be granted again at once, in halves of the window.
            assert settled(lambda: served.made) <= taken + MOST + 1
        assert held_bytes() - before < 3 * WINDOW
        found += [int(item[-1]) for item in items]
        assert found == list(range(FRAMES))


def test_a_slow_handler_slows_its_caller_down(served):
    counted = itertools.count()
    sent = 0

    def frames() -> Iterator[Any]:
        nonlocal sent
        for number in itertools.islice(counted, FRAMES):
            sent = number + 1
            yield np.full(FRAME, number, "u1")

    with RpcClient("slow-streams") as client:
        stream = client.request("hold").exchange(frames())
        found: list[Any] = []
        taker = threading.Thread(target=lambda: found.extend(stream))
        taker.start()
        assert served.holding.wait(60)
        # One is taken, as many wait there, as many here, and one is in each pair of hands.
        assert settled(lambda: sent) <= 1 + 2 * (MOST + 1) + 2
        served.free.set()
        taker.join()
        assert found == [sum(range(FRAMES))]


def test_an_item_larger_than_the_window_passes(served):
    frames = [np.full(LARGER_THAN_THE_WINDOW, number, "u1") for number in range(3)]
    with RpcClient("slow-streams") as client:
        for number, frame in enumerate(client.request("each").exchange(iter(frames))):
            assert frame.nbytes == LARGER_THAN_THE_WINDOW
            assert frame[-1] == number


def test_small_items_pass_as_their_count_allows(served):
    with RpcClient("slow-streams") as client:
        assert sum(1 for _ in client.stream("frames", 5000, 10)) == 5000


def test_a_slow_reader_in_rust_and_a_slow_handler_for_it(served, rust):
    found = json.loads(rust("slow_streams", "slow-streams").finish())
    assert found["sum"] == found["total"] == sum(range(FRAMES))
    assert found["made"] <= 1 + MOST + 1
    assert found["uploaded"] <= 1 + MOST + 1 + 1
    assert found["large"] == [LARGER_THAN_THE_WINDOW] * 3
