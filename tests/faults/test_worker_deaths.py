"""Kernels that restart, are interrupted, shut down or killed with calls in flight."""

import json
import os
import signal

import psutil
import pytest

from tests.conftest import shared_memory, wait_until
from tests.kernels import Kernel

SERVE = """
import threading, time
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("mortal")
woken = threading.Event()

@endpoint.register()
def nap(seconds: float) -> str:
    return "woken" if woken.wait(seconds) else "slept"

@endpoint.register()
def ping() -> str:
    return "pong"

endpoint.serve()
"""


def in_flight(kernel) -> int:
    """Calls that the worker has received and not answered."""
    return int(kernel.run("print(sum(m['in_flight'] for m in endpoint.stats()['methods']))"))


@pytest.fixture
def persistent(rust):
    """A client that calls `nap` in flight, then goes on calling `ping` until one succeeds after the death."""

    def begin():
        return rust("survivor", "--endpoint", "mortal")

    return begin


@pytest.mark.parametrize("end", ["restart", "shutdown", "kill"])
def test_a_client_survives_the_worker_and_calls_its_successor(kernel, persistent, end, runtime_dir):
    before = shared_memory()
    kernel.run(SERVE)
    client = persistent()
    assert client.line() == "calling"
    wait_until(lambda: in_flight(kernel) == 1, "a call in flight")
    if end == "restart":
        kernel.restart()
        successor = kernel
    else:
        getattr(kernel, "stop" if end == "shutdown" else "kill")()
        successor = Kernel()
    try:
        ended = json.loads(client.line())
        assert ended["code"] == "UNAVAILABLE"
        assert ended["may_have_run"] is True
        successor.run(SERVE)
        report = json.loads(client.finish())
        assert report["answered"] == "pong"
        assert set(report["codes"]) <= {"UNAVAILABLE"}
        successor.run("endpoint.stop()")
        assert not [name for name in os.listdir(runtime_dir) if name.endswith((".sock", ".lock"))]
    finally:
        if successor is not kernel:
            successor.stop()
    wait_until(lambda: shared_memory() == before, "shared memory to be freed")


def test_interrupting_a_cell_does_not_interrupt_a_handler(kernel, rust, tmp_path):
    kernel.run(SERVE)
    load = rust("call", "--endpoint", "mortal", "--method", "nap", "--args", "[600.0]")
    wait_until(lambda: in_flight(kernel) == 1, "a call in flight")
    reached = tmp_path / "reached"
    kernel.begin(f"open({str(reached)!r}, 'w').close(); time.sleep(600)")
    wait_until(reached.exists, "the cell to run")
    kernel.interrupt()
    # A cell that is interrupted has the kernel drop those that wait behind it.
    wait_until(lambda: kernel.attempt("woken.set()")[1] == "", "the kernel to run cells again")
    assert json.loads(load.finish())["value"] == "woken"
    assert kernel.run("1 + 1") == "2"


def test_a_name_is_served_by_one_live_process(worker, kernel, rust):
    first = worker(SERVE)
    _, error = kernel.attempt(SERVE)
    assert f"pid {first.pid}" in error
    assert "mortal" in error
    first.send(signal.SIGKILL)
    first.process.wait()
    kernel.run("endpoint.serve()")
    assert json.loads(rust("call", "--endpoint", "mortal", "--method", "ping", "--args", "null").finish()) == {
        "value": "pong", "version": 1,
    }  # fmt: skip


def test_stopping_leaves_no_thread_and_no_file(kernel, runtime_dir):
    process = psutil.Process(kernel.pid)
    kernel.run(SERVE)
    kernel.run("endpoint.stop()")
    # The first time, what hands lines to `logging` begins: one thread for the life of the process.
    threads = {thread.id for thread in process.threads()}
    files = process.num_fds()
    kernel.run("endpoint.serve(); endpoint.stop()")
    wait_until(lambda: {thread.id for thread in process.threads()} <= threads, "the worker's threads to end")
    wait_until(lambda: process.num_fds() <= files, "the worker's descriptors to be closed")
    assert not [name for name in os.listdir(runtime_dir) if name.endswith((".sock", ".lock"))]


def test_a_killed_client_is_forgotten(kernel, rust):
    kernel.run(SERVE)
    client = rust("call", "--endpoint", "mortal", "--method", "nap", "--args", "[600.0]")
    wait_until(lambda: in_flight(kernel) == 1, "a call in flight")
    client.send(signal.SIGKILL)
    wait_until(lambda: kernel.run("print(len(endpoint.stats()['clients']))") == "0\n", "the client's departure")
    kernel.run("woken.set()")
    wait_until(lambda: in_flight(kernel) == 0, "its call to end")
