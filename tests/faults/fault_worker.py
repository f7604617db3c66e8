"""A worker that notes every run of its handlers and is swapped without end: `fault_worker.py NAME LOG`."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np

from pycrust import Batch, Code, RpcEndpoint, RpcError, current_call

#: Seconds between two versions of `echo`.
BETWEEN_SWAPS = 0.02


def serve(name: str, log_path: str) -> RpcEndpoint:
    """An endpoint that serves; stop it and its swapping ends."""
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    endpoint = RpcEndpoint(name)

    def note(number: int) -> None:
        """One write each, so that what ran is known however the process ends."""
        os.write(log, f"{number}\n".encode())

    @endpoint.register(concurrency=4)
    def nap(number: int, seconds: float) -> int:
        note(number)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not current_call().cancelled:
            time.sleep(0.0005)
        return number

    @endpoint.register
    async def anap(number: int, seconds: float) -> int:
        note(number)
        await asyncio.sleep(seconds)
        return number

    @endpoint.register
    def count(number: int, items: int) -> Iterator[int]:
        note(number)
        for item in range(items):
            yield number * 1000 + item

    @endpoint.register
    def add_up(values: Iterator[int]) -> list[int]:
        first = next(values)
        note(first)
        return [first, first + sum(values)]

    @endpoint.register
    def running_sums(values: Iterator[int]) -> Iterator[int]:
        total = next(values)
        note(total)
        yield total
        for value in values:
            total += value
            yield total

    @endpoint.register
    def double(number: int, array: np.ndarray) -> np.ndarray:
        note(number)
        return array * 2

    @endpoint.register("note")
    def noted(number: int) -> None:
        note(number)

    @endpoint.register
    def fail(number: int) -> None:
        note(number)
        raise RpcError(Code.INVALID_ARGUMENT, str(number))

    @endpoint.register(batch=Batch(max_size=16, max_wait_us=100))
    def square(numbers: list[int]) -> list[int]:
        for number in numbers:
            note(number)
        return [number * number for number in numbers]

    def swap(mark: int) -> None:
        @endpoint.register
        def echo(number: int) -> tuple[int, int, int]:
            note(number)
            return number, os.getpid(), mark

        @endpoint.register
        def echo_again(number: int) -> tuple[int, int, int]:
            return number, os.getpid(), mark

    def keep_swapping() -> None:
        mark = 0
        while endpoint.serving:
            mark += 1
            swap(mark)
            time.sleep(BETWEEN_SWAPS)

    swap(0)
    endpoint.serve()
    threading.Thread(target=keep_swapping, daemon=True).start()
    return endpoint


if __name__ == "__main__":
    served = serve(*sys.argv[1:])
    print("ready", flush=True)
    sys.stdin.read()
    served.stop()
