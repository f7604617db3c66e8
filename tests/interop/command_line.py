"""What tests of the command line share: commands as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pycrust import RpcClient
from tests.conftest import IMPORTED, ROOT, Program, wait_until

PYCRUST = (sys.executable, "-m", "pycrust")


def environment(**more: str) -> dict[str, str]:
    """What a command runs with."""
    return {**os.environ, "PYTHONPATH": str(IMPORTED), **more}


def run(*arguments: object, cwd: Path = ROOT, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end.

    Args:
        *arguments: What follows `pycrust`.
        cwd: Where it runs.
        said: What it reads from its standard input.
        **more: Variables of its environment.
    """
    command = [*PYCRUST, *(str(one) for one in arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, input=said, env=environment(**more)
    )


def answer(*arguments: object, status: int = 0, said: str = "") -> str:
    """The output of a command that ends with this status."""
    done = run(*arguments, said=said)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout


CALCULATOR = """
import threading
from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel
from pycrust import Code, RpcEndpoint, RpcError

endpoint = RpcEndpoint("calculator")
free = threading.Event()

class AddArgs(BaseModel):
    a: int
    b: int = 2

@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int:
    "Adds two numbers."
    return a + b

@endpoint.register
def divide(a: float, b: float) -> float:
    return a / b

@endpoint.register
def ticks(symbol: str, count: int = 3) -> Iterator[float]:
    if symbol == "GONE":
        raise RpcError(Code.NOT_FOUND, "no GONE", details={"known": ["BUND"]})
    for number in range(count):
        yield 100.0 + number

@endpoint.register(concurrency=4)
def mean(image: np.ndarray, scale: float = 1.0) -> float:
    return float(image.mean()) * scale

@endpoint.register
def grid(size: int) -> np.ndarray:
    return np.eye(size)

@endpoint.register
def hang() -> str:
    free.wait()
    return "free"

@endpoint.register
def release() -> None:
    free.set()

endpoint.serve()
"""

#: A thread that holds the interpreter inside of a C call, from when somebody opens a pipe until something is in it.
HOLDER = """
import ctypes, os, threading

def hold():
    pipe = os.open({path!r}, os.O_RDONLY)
    ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)

threading.Thread(target=hold, daemon=True).start()
"""


@contextmanager
def held_interpreter(worker: Callable[..., Program], path: Path) -> Iterator[Program]:
    """A calculator whose interpreter a C call holds, and a call that waits for it."""
    os.mkfifo(path)
    program = worker(CALCULATOR + HOLDER.format(path=str(path)))
    with RpcClient("calculator") as client:
        # Two calls at once: so there is a thread that has had the interpreter once and waits without it.
        client.request("hang").notify()
        client.call("add", 1, 2)
        client.call("release")
    pipe = os.open(path, os.O_WRONLY)
    try:
        with RpcClient("calculator", client_name="waiting") as client:
            question = client.request("pycrust.health")

            def waits() -> bool:
                health = question.call()
                if not health["waiting_ns"]:
                    client.request("add").notify(1, 2)  # the one before has run: the interpreter was not held yet
                return health["waiting_ns"] > 200_000_000

            wait_until(waits, "a call to wait for the interpreter")
            yield program
    finally:
        os.write(pipe, b"x")
        os.close(pipe)


@contextmanager
def draining_worker(worker: Callable[..., Program]) -> Iterator[Program]:
    """A calculator that stops, and waits for a call that hangs; killed at the end."""
    program = worker(
        CALCULATOR + "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: endpoint.stop(grace=60))\n"
    )
    with RpcClient("calculator", client_name="hanging") as client:
        client.request("hang").notify()
        stats = client.request("pycrust.stats")
        wait_until(lambda: sum(one["in_flight"] for one in stats.call()["methods"]) == 1, "the call to hang")
        program.send(signal.SIGUSR1)
        wait_until(lambda: client.call("pycrust.health")["status"] == "stopping", "the worker to drain")
        yield program
        kill(program)


@contextmanager
def hanging_handler(worker: Callable[..., Program]) -> Iterator[Program]:
    """A calculator with a call that hangs in its handler."""
    program = worker(CALCULATOR)
    with RpcClient("calculator", client_name="hanging") as client:
        client.request("hang").notify()
        stats = client.request("pycrust.stats")
        wait_until(lambda: sum(one["in_flight"] for one in stats.call()["methods"]) == 1, "the call to hang")
        try:
            yield program
        finally:
            client.call("release")


def kill(program: Program) -> None:
    """Ends a worker as nobody should."""
    program.send(signal.SIGKILL)
    program.process.wait()
