"""What a deadline that was missed says of the worker: a real kernel that is busy, held, stopped."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pycrust import DeadlineExceeded, RpcClient
from tests.conftest import wait_until

SERVE = """
import ctypes, os, threading
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("busy")
let_go = threading.Event()

@endpoint.register
def ping() -> str:
    return "pong"

@endpoint.register(concurrency=1)
def wait() -> None:
    let_go.wait()

@endpoint.register(loop="kernel")
async def on_the_loop() -> str:
    return "pong"

endpoint.serve()
"""

#: Waits in C for a byte and holds the interpreter, as an extension may that does not let go of it.
HOLD = """
with open({fifo!r}, "rb", buffering=0) as held:
    open({reached!r}, "w").close()
    ctypes.PyDLL(None).read(held.fileno(), ctypes.create_string_buffer(1), 1)
"""


def reason(client: RpcClient, method: str) -> str:
    with pytest.raises(DeadlineExceeded) as missed:
        client.call(method, timeout=0.3)
    return str(missed.value)


def in_flight(client: RpcClient, method: str) -> int:
    methods = client.call("pycrust.stats")["methods"]
    return sum(one["in_flight"] for one in methods if one["name"] == method)


@pytest.fixture
def client(kernel):
    kernel.run(SERVE)
    with RpcClient("busy") as client:
        assert client.call("ping") == "pong"
        yield client


def test_a_cell_that_holds_the_interpreter(kernel, client, tmp_path):
    fifo, reached = tmp_path / "fifo", tmp_path / "reached"
    os.mkfifo(fifo)
    kernel.begin(HOLD.format(fifo=str(fifo), reached=str(reached)))
    with fifo.open("wb", buffering=0) as holds:
        wait_until(reached.exists, "the cell to hold the interpreter")
        said = reason(client, "ping")
        holds.write(b"x")
    assert f"the worker (pid {kernel.pid}) has taken it up: it waits for the Python interpreter" in said
    assert client.call("ping") == "pong"


def test_a_kernel_whose_loop_is_busy(kernel, client, tmp_path):
    fifo, reached = tmp_path / "fifo", tmp_path / "reached"
    os.mkfifo(fifo)
    kernel.begin(HOLD.format(fifo=str(fifo), reached=str(reached)).replace("PyDLL", "CDLL"))
    with fifo.open("wb", buffering=0) as holds:
        wait_until(reached.exists, "the cell to run")
        said = reason(client, "on_the_loop")
        assert client.call("ping") == "pong", "only the kernel's own loop waits"
        holds.write(b"x")
    assert "for an async handler, for its event loop" in said
    assert client.call("on_the_loop") == "pong"


def test_a_handler_that_is_slow_and_what_waits_behind_it(kernel, client):
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.call, "wait")
        wait_until(lambda: in_flight(client, "wait"), "the call to begin")
        behind = reason(client, "wait")
        kernel.run("let_go.set()")
        first.result()
    kernel.run("let_go.clear()")
    running = reason(client, "wait")
    kernel.run("let_go.set()")
    assert "it waits in the queue behind others" in behind
    assert "its handler has begun and not ended" in running


def stands_still(pid: int) -> bool:
    """Whether all threads of a process are stopped: a signal takes its time to reach them."""
    states = [Path(f"/proc/{pid}/task/{thread}/stat").read_text() for thread in os.listdir(f"/proc/{pid}/task")]
    return all(state.rpartition(")")[2].split()[0] == "T" for state in states)


def test_a_worker_that_is_stopped(kernel, client):
    os.kill(kernel.pid, signal.SIGSTOP)
    wait_until(lambda: stands_still(kernel.pid), "every thread of the kernel to stop")
    try:
        said = reason(client, "ping")
        # That it asks what parameters the method has takes nothing of what it says.
        with pytest.raises(DeadlineExceeded) as missed:
            client.request("ping", timeout=0.3).call()
    finally:
        os.kill(kernel.pid, signal.SIGCONT)
    assert str(missed.value).partition(";")[2] == said.partition(";")[2]
    assert f"the worker (pid {kernel.pid}) is stopped, by a signal (SIGSTOP, Ctrl-Z) or a debugger" in said
    assert client.call("ping") == "pong"
