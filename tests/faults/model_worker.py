"""A worker that notes every run of its handlers: `model_worker.py LOG`. Each line on standard input swaps one."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator

from pycrust import RpcEndpoint, current_call

log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
endpoint = RpcEndpoint("model")


def note(number: int) -> None:
    """One write each, so that what ran is known however the process ends."""
    os.write(log, f"{number}\n".encode())


@endpoint.register(concurrency=4)
def nap(number: int, seconds: float) -> int:
    note(number)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not current_call().cancelled:
        time.sleep(0.001)
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


def swap(mark: int) -> None:
    @endpoint.register
    def echo(number: int) -> tuple[int, int]:
        note(number)
        return number, mark


swap(0)
endpoint.serve()
print("ready", flush=True)
for command in sys.stdin:
    swap(int(command))
    print("swapped", flush=True)
endpoint.stop()
