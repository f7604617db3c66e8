"""A worker with everything on: `worker.py NAME LOG`, or `begin(NAME, LOG)` in a notebook.

Two endpoints: `NAME` is for the Python client, `NAME-rust` for the Rust client. Both are swapped without end; the
first has a model that is reloaded, a shadow, and somebody who follows its traffic.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pycrust import Batch, RpcEndpoint, current_call
from tests.faults import fault_worker

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two reloads of the model and two looks at everything.
BETWEEN_RELOADS, BETWEEN_LOOKS = 0.5, 0.2


def register(endpoint: RpcEndpoint) -> None:
    """The handlers that stay."""

    @endpoint.register
    def fail(number: int) -> int:
        raise ValueError(number)

    @endpoint.register(concurrency=4)
    def nap(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not current_call().cancelled:
            time.sleep(0.001)

    @endpoint.register
    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @endpoint.register
    def count(below: int) -> Iterator[int]:
        yield from range(below)

    @endpoint.register(batch=Batch(max_size=16, max_wait_us=100))
    def squares(values: list[int]) -> list[int]:
        return [value * value for value in values]

    @endpoint.register
    def large(size: int) -> bytes:
        return bytes(size)

    endpoint.model("weights", lambda factor=1: [factor] * 100_000)

    @endpoint.register(models=["weights"])
    def weighted(number: int, weights: list[int]) -> tuple[int, int]:
        # Of one model, from its first to its last: never half of one and half of another.
        assert weights[0] == weights[-1]
        return number, weights[0] * number

    @endpoint.register
    def doubled(number: int) -> int:
        return 2 * number


def swap(endpoint: RpcEndpoint, mark: int) -> None:
    """A new version of `echo`."""

    @endpoint.register
    def echo(number: int) -> tuple[int, int]:
        return number, mark


def begin(name: str, log: str) -> tuple[RpcEndpoint, Callable[[], None]]:
    """Begins to serve; gives the first endpoint and what stops both."""
    endpoint = RpcEndpoint(name)
    register(endpoint)
    swap(endpoint, 0)
    endpoint.serve()
    other = fault_worker.serve(f"{name}-rust", log)
    for one in (endpoint, other):
        one.recording(max_calls=1_000, max_bytes=4 << 20)  # full before anything is measured
    ended = threading.Event()

    def keep_swapping() -> None:
        mark = 0
        while not ended.wait(0.01):
            mark += 1
            swap(endpoint, mark)

    def keep_reloading() -> None:
        factor = 1
        while not ended.wait(BETWEEN_RELOADS):
            factor += 1
            endpoint.models["weights"].reload(factor)

    def keep_looking() -> None:
        shadow = endpoint["doubled"].shadow(lambda number: number + number)
        seen = 0
        while not ended.wait(BETWEEN_LOOKS):
            for one in (endpoint, other):
                one.glance()
                one.stats()
            seen += len(endpoint.traffic("slow", limit=100)) + len(repr(endpoint))
        shadow.discard()

    threads = [threading.Thread(target=target) for target in (keep_swapping, keep_reloading, keep_looking)]
    for thread in threads:
        thread.start()

    def end() -> None:
        ended.set()
        for thread in threads:
            thread.join()
        endpoint.stop()
        other.stop()

    return endpoint, end


if __name__ == "__main__":
    _, end = begin(*sys.argv[1:])
    print("ready", flush=True)
    sys.stdin.read()
    end()
