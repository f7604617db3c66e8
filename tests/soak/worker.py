"""A worker that is swapped without end: `worker.py NAME`."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator

from pycrust import Batch, RpcEndpoint, current_call

endpoint = RpcEndpoint(sys.argv[1])


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


def swap(mark: int) -> None:
    """A new version of `echo`."""

    @endpoint.register
    def echo(number: int) -> tuple[int, int]:
        return number, mark


swap(0)
endpoint.serve()
print("ready", flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
mark = 0
while not ended.wait(0.01):
    mark += 1
    swap(mark)
endpoint.stop()
