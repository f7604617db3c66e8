"""Forks of clients, of workers and in handlers: a child has what it makes itself, its parent notices nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from pycrust import RpcClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Program

#: Ends a child that hangs.
GUARD = """
import asyncio, atexit, json, os, signal, sys, threading, time
from pathlib import Path

def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(50)
    return child

def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

SERVED = """
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("forked")

@endpoint.register
def echo(n: int) -> int:
    return n

@endpoint.register
def count(below: int):
    yield from range(below)

endpoint.serve()
"""

CLIENT = (
    GUARD
    + """
from pycrust import FailedPrecondition, RpcClient

def refused(work):
    try:
        work()
    except FailedPrecondition as error:
        assert "make a new one" in str(error), error
    else:
        os._exit(9)

async def acalled():
    await client.acall("echo", 1)

def own():
    with RpcClient("forked") as mine:
        assert mine.call("echo", 3) == 3 and list(mine.stream("count", 2)) == [0, 1]
        assert asyncio.run(mine.acall("echo", 4)) == 4

def upload():
    assert next(client.request("count").exchange([1, 2]), None) is None

def grandchild():
    child = fork()
    if child == 0:
        refused(lambda: client.call("echo", 1))
        own()
        sys.exit(0)
    assert status(child) == 0

CHILDREN = {
    "touches nothing": lambda: None,
    "calls": lambda: refused(lambda: client.call("echo", 1)),
    "notifies": lambda: refused(lambda: client.request("echo").notify(1)),
    "calls and awaits": lambda: refused(lambda: asyncio.run(acalled())),
    "streams": lambda: refused(lambda: list(client.stream("count", 1))),
    "goes on with a stream": lambda: refused(lambda: next(begun)),
    "closes a stream": lambda: begun.close(),
    "closes": lambda: client.close(),
    "sends a stream": lambda: refused(upload),
    "drops it": lambda: globals().pop("client"),
    "has one of its own": own,
    "calls, then has one of its own": lambda: (refused(lambda: client.call("echo", 1)), own()),
    "has a child that calls": grandchild,
}
client = RpcClient("forked")
begun = client.stream("count", 1000, timeout=600)
taken = next(begun)
for what, work in CHILDREN.items():
    for leave in (sys.exit, os._exit):
        assert client.call("echo", 5) == 5
        child = fork()
        if child == 0:
            work()
            leave(0)
        assert status(child) == 0, (what, leave)
        assert client.call("echo", 6) == 6, what
        taken += 1
        assert next(begun) == taken, what
print("well", flush=True)
"""
)


def test_a_client_is_its_process_s(worker: Callable[..., Program], start: Callable[..., Program]):
    worker(SERVED)
    assert start(sys.executable, "-c", CLIENT).finish() == "well\n"


def test_children_that_other_ways_make(worker: Callable[..., Program], start: Callable[..., Program]):
    worker(SERVED)
    program = CLIENT[: CLIENT.index("CHILDREN =")] + textwrap.dedent(
        """
        import multiprocessing
        client = RpcClient("forked")

        def child(number):
            signal.alarm(50)
            refused(lambda: client.call("echo", 1))
            own()
            return number

        fork_context = multiprocessing.get_context("fork")
        with fork_context.Pool(3) as pool:
            assert pool.map(child, range(9)) == list(range(9))
        process = fork_context.Process(target=child, args=(1,))
        process.start(); process.join()
        assert process.exitcode == 0, process.exitcode
        assert client.call("echo", 1) == 1

        pid, terminal = os.forkpty()
        if pid == 0:
            child(1)
            sys.exit(0)
        assert status(pid) == 0
        os.close(terminal)
        assert client.call("echo", 2) == 2

        assert status(os.posix_spawn("/bin/true", ["true"], os.environ)) == 0
        assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", "pass"]) == 0
        assert client.call("echo", 3) == 3
        print("well", flush=True)
        """
    )
    assert start(sys.executable, "-c", program).finish() == "well\n"


def test_children_of_a_serving_process_use_pycrust_themselves(start: Callable[..., Program]):
    program = (
        GUARD
        + SERVED
        + textwrap.dedent(
            """
            from pycrust import FailedPrecondition, RpcClient
            client = RpcClient("forked")
            # Both sides' threads take and give locks while the process forks.
            busy = [threading.Thread(target=lambda: [client.call("echo", n) for n in range(10**9)], daemon=True)]
            busy[0].start()

            @endpoint.register
            async def later(n: int) -> int:
                await asyncio.sleep(0)
                return n

            def child(number):
                with RpcClient("forked") as parents:
                    assert parents.call("echo", number) == number
                    assert parents.call("later", number) == number
                own = RpcEndpoint(f"child-{os.getpid()}")
                own.register("echo")(lambda n: n)
                own.register("later")(endpoint["later"])
                with own, RpcClient(own.name) as mine:
                    assert mine.call("echo", number) == number
                    assert mine.call("later", number) == number
                try:
                    client.call("echo", 1)
                except FailedPrecondition:
                    return
                os._exit(9)

            for number in range(16):
                made = fork()
                if made == 0:
                    child(number)
                    # In good order, or as multiprocessing ends a child.
                    (sys.exit if number % 2 else os._exit)(0)
                assert status(made) == 0, number
            assert client.call("echo", 1) == 1 and client.call("later", 2) == 2
            print("well", flush=True)
            """
        )
    )
    assert start(sys.executable, "-c", program).finish().splitlines()[-1] == "well"


HANDLERS = (
    GUARD
    + """
from pycrust import Batch, RpcEndpoint, current_call
endpoint = RpcEndpoint("forked")
marks = Path(sys.argv[1])
atexit.register(lambda: (marks / f"parent-{os.getpid()}").touch())

def leave(how):
    atexit.register(lambda: (marks / f"child-{os.getpid()}").touch())
    print("child leaves", how)
    if how == "raise":
        raise ValueError("the child's")
    if how == "exit":
        sys.exit(3)
    if how == "say":
        sys.exit("the child says why")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "hard":
        os._exit(4)
    return ["child", -1]

def forked(how):
    child = fork()
    if child == 0:
        return leave(how)
    return ["parent", status(child)]

@endpoint.register
def sync(how: str) -> list:
    return forked(how)

@endpoint.register
def items(how: str):
    yield ["first", 0]
    yield forked(how)
    yield ["last", 0]

@endpoint.register(batch=Batch())
def batch(hows: list[str]) -> list:
    return [forked(how) for how in hows]

@endpoint.register
async def coroutine(how: str) -> list:
    return forked(how)

@endpoint.register
async def awaiting(how: str) -> list:
    found = forked(how)
    await asyncio.sleep(0)
    return found

@endpoint.register
async def aitems(how: str):
    yield ["first", 0]
    yield forked(how)
    yield ["last", 0]

@endpoint.register
def nothing() -> str:
    return "nothing"

endpoint.serve()
"""
)
#: The status that a child has which leaves like this, as a program has it.
STATUS = {"return": 0, "raise": 1, "exit": 3, "say": 1, "interrupt": 130, "hard": 4}


@pytest.fixture
def forking(start: Callable[..., Program], tmp_path) -> Program:
    marks = tmp_path / "marks"
    marks.mkdir()
    script = f"{HANDLERS}\nprint('ready', flush=True)\nsys.stdin.read()\n"
    # Its output is kept until it is flushed, as it is where nobody asks for something else.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    program = start(sys.executable, "-c", script, marks, stdin=subprocess.PIPE, env=environment)
    while program.line() != "ready":
        pass
    return program


class TestHandlersThatFork:
    @pytest.mark.parametrize("how", STATUS)
    def test_the_child_leaves_as_a_program_does_and_answers_nothing(self, forking: Program, tmp_path, how: str):
        with RpcClient("forked", timeout=50) as client:
            parent = ["parent", STATUS[how]]
            for method in ("sync", "batch", "coroutine"):
                assert client.call(method, how) == parent, method
            for method in ("items", "aitems"):
                assert list(client.stream(method, how)) == [["first", 0], parent, ["last", 0]], method
            assert client.call("nothing") == "nothing"
        out, err = forking.process.communicate()
        assert out.count(f"child leaves {how}") == (0 if how == "hard" else 5)
        assert err.count("the child's") == (5 if how == "raise" else 0)
        assert err.count("the child says why") == (5 if how == "say" else 0)
        marks = sorted(mark.name.split("-")[0] for mark in (tmp_path / "marks").iterdir())
        assert marks == ["child"] * (0 if how == "hard" else 5) + ["parent"]

    def test_a_child_that_awaits_on_its_parent_s_loop_says_so_and_leaves(self, forking: Program):
        with RpcClient("forked", timeout=50) as client:
            assert client.call("awaiting", "return") == ["parent", 1]
            assert client.call("coroutine", "return") == ["parent", 0]
        assert "its event loop is its parent's" in forking.process.communicate()[1]


POOLS = (
    GUARD
    + """
import logging, multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pycrust import RpcClient, RpcEndpoint
endpoint = RpcEndpoint("forked")
context = multiprocessing.get_context("fork")

def square(n):
    with RpcClient("forked") as client:
        return client.call("squared", n)

@endpoint.register
def squared(n: int) -> int:
    return n * n

@endpoint.register(concurrency=2)
def pool(n: int) -> list[int]:
    logging.getLogger("here").warning("a thread that logging knows")
    with context.Pool(2) as workers:
        return workers.map(square, range(n))

@endpoint.register
def executor(n: int) -> list[int]:
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        return list(workers.map(square, range(n)))

@endpoint.register
def terminated() -> int:
    process = context.Process(target=time.sleep, args=(600,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode

@endpoint.register
def exits() -> int:
    process = context.Process(target=sys.exit, args=(5,))
    process.start()
    process.join()
    return process.exitcode

@endpoint.register
def spawned() -> int:
    import subprocess
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.terminate()
    return process.wait()

@endpoint.register
def disposition() -> list:
    reader, writer = os.pipe()
    if os.fork() == 0:
        found = [signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.set_wakeup_fd(-1)]
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 100))

print("ready", flush=True)
endpoint.listen()
"""
)


class TestProcessesOfHandlersUnderListen:
    @pytest.fixture
    def client(self, start: Callable[..., Program]):
        listening = start(sys.executable, "-c", POOLS)
        while listening.line() != "ready":
            pass
        with RpcClient("forked", wait=30, timeout=50) as client:
            yield client
        listening.send(signal.SIGTERM)
        listening.finish()

    def test_a_pool_ends(self, client: RpcClient):
        assert client.call("pool", 5) == [0, 1, 4, 9, 16]
        assert client.call("executor", 3) == [0, 1, 4]

    def test_terminate_ends_a_child(self, client: RpcClient):
        assert client.call("terminated") == -signal.SIGTERM
        assert client.call("spawned") == -signal.SIGTERM
        assert client.call("exits") == 5
        assert client.call("disposition") == [True, -1]
