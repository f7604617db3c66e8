"""What a handler does to its event loop is an error of its own call, and nobody else's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel

from pycrust import RpcClient, Unknown
from pycrust.errors import Cancelled
from tests.conftest import wait_until


class Odd(BaseException):
    """Not an `Exception`."""


RAISED = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("mine"),
    "GeneratorExit": lambda: GeneratorExit("mine"),
    "Odd": lambda: Odd("mine"),
    "CancelledError": lambda: asyncio.CancelledError("mine"),
    "Error": lambda: concurrent.futures.CancelledError("mine"),
    "StopAsyncIteration": lambda: StopAsyncIteration("mine"),
    "RecursionError": lambda: RecursionError("mine"),
}


def made(name: str) -> BaseException:
    return RAISED[name]()


async def leave(name: str) -> None:
    await asyncio.sleep(0)
    raise made(name)


async def exit_in_task() -> str:
    task = asyncio.get_running_loop().kept = asyncio.create_task(leave("SystemExit"))
    # Else asyncio logs it, and pytest keeps what was logged with its frames.
    task.add_done_callback(asyncio.Task.exception)
    return "answered"


async def exit_in_callback() -> str:
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    return "answered"


async def interrupt_in_callback() -> str:
    def interrupt() -> None:
        raise KeyboardInterrupt

    asyncio.get_running_loop().call_later(0.001, interrupt)
    await asyncio.sleep(0.01)
    return "answered"


async def exit_when_done() -> str:
    task = asyncio.create_task(asyncio.sleep(0))
    task.add_done_callback(lambda _task: sys.exit(3))
    await task
    return "answered"


async def exit_in_exception_handler() -> str:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: sys.exit(3))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    return "answered"


async def stop_loop() -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "answered"


async def stop_loop_later() -> str:
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.stop)
    await asyncio.sleep(0.01)
    return "answered"


DISTURBING = (
    exit_in_task,
    exit_in_callback,
    interrupt_in_callback,
    exit_when_done,
    exit_in_exception_handler,
    stop_loop,
    stop_loop_later,
)


@pytest.fixture
def busy(endpoint):
    """An endpoint with another call that waits meanwhile, and must not notice."""
    release = threading.Event()

    @endpoint.register
    async def other() -> str:
        while not release.is_set():  # noqa: ASYNC110 - set on another thread
            await asyncio.sleep(0.001)
        return "unharmed"

    @endpoint.register
    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    outcome: list = []
    with endpoint, RpcClient(endpoint.name) as client:
        client._client.start("other", [], {"timeout": 60.0}, lambda *result: outcome.append(result))
        wait_until(endpoint.running, "the other call")
        yield endpoint, client
        assert not outcome, "it still runs"
        assert client.call("quick") == 1
        release.set()
        wait_until(lambda: outcome, "the other call's answer")
        assert outcome == [("unharmed", None)]
    assert not endpoint.serving
    # A task that is kept with what it has raised is a cycle of frames, and its context knows the call.
    gc.collect()


@pytest.mark.parametrize("name", RAISED)
def test_whatever_an_async_handler_raises_is_its_caller_s(busy, name):
    endpoint, client = busy

    @endpoint.register
    async def plain() -> None:
        await leave(name)

    @endpoint.register
    async def items() -> AsyncIterator[int]:
        yield 1
        await leave(name)

    @endpoint.register
    async def task() -> None:
        await asyncio.create_task(leave(name))

    @endpoint.register
    async def group() -> None:
        await asyncio.gather(leave(name), asyncio.sleep(0))

    @endpoint.register
    def nested() -> None:
        asyncio.run(leave(name))

    @endpoint.register
    def sync() -> None:
        raise made(name)

    kind = type(made(name))
    for method in ("plain", "task", "group", "nested", "sync"):
        # asyncio and concurrent.futures make exceptions of their own kinds out of each other's.
        with pytest.raises(Unknown, match=r"Error|mine|3") as raised:
            client.call(method)
        assert "Traceback" in raised.value.__notes__[0], method
        if name != "CancelledError":
            assert kind.__name__ in str(raised.value), method
    stream = client.stream("items")
    assert next(stream) == 1
    with pytest.raises(Unknown) as raised:
        next(stream)
    assert "Traceback" in raised.value.__notes__[0]


@pytest.mark.parametrize("handler", DISTURBING, ids=lambda handler: handler.__name__)
def test_what_would_end_the_loop_ends_nothing_and_is_said(busy, handler, caplog):
    endpoint, client = busy
    endpoint.register("disturb")(handler)
    assert client.call("disturb") == "answered"
    wait_until(lambda: any(event.kind == "loop" for event in endpoint.events), "the event")
    wait_until(lambda: "event loop" in caplog.text, "the log")


def test_a_loop_that_was_closed_is_replaced(endpoint):
    ended: list[str] = []

    @endpoint.register
    async def waits() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("waits")

    @endpoint.register
    async def close() -> None:
        loop = asyncio.get_running_loop()
        # As another thread may, in the moment between its end and its next run.
        loop.run_forever = loop.close
        loop.stop()

    @endpoint.register
    async def quick() -> int:
        return 1

    outcome: list = []
    with endpoint, RpcClient(endpoint.name) as client:
        client._client.start("waits", [], {"timeout": 600.0}, lambda *result: outcome.append(result))
        wait_until(endpoint.running, "the call")
        client.call("close")
        wait_until(lambda: outcome, "the call's end")
        [(_, error)] = outcome
        assert isinstance(error, Unknown)
        assert "the event loop that ran this call was closed or broken" in str(error)
        assert client.call("quick") == 1
        assert ended == ["waits"]
    assert not endpoint.serving
    gc.collect()  # the closed loop, its tasks and their contexts are a cycle


def test_true_cancellation_stays_cancelled(endpoint):
    caught: list = []

    @endpoint.register
    async def waits() -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            caught.append(1)
            raise

    @endpoint.register
    async def cancels_itself() -> None:
        asyncio.current_task().cancel()
        await asyncio.sleep(600)

    with endpoint, RpcClient(endpoint.name) as client:
        pending = client._client.start("waits", [], {"timeout": 600.0}, lambda *_: None)
        wait_until(endpoint.running, "the call")
        pending.cancel()
        wait_until(lambda: caught, "its end")
        wait_until(lambda: [call.code.name for call in endpoint.traffic("waits")] == ["CANCELLED"], "its record")
        with pytest.raises(Unknown, match="CancelledError"):
            client.call("cancels_itself")
        outcome: list = []
        client._client.start("waits", [], {"timeout": 600.0}, lambda *result: outcome.append(result))
        wait_until(endpoint.running, "the call")
        assert endpoint.interrupt(endpoint.running()[0])
        wait_until(lambda: outcome, "its end")
        assert isinstance(outcome[0][1], Cancelled)


def test_running_calls_are_told_while_a_validator_waits(endpoint):
    """Whoever asks holds the interpreter, which whoever waits may need."""
    entered, go_on = threading.Event(), threading.Event()

    def wait(value: int) -> int:
        entered.set()
        assert go_on.wait(60)
        return value

    class Slow(BaseModel):
        value: Annotated[int, AfterValidator(wait)]

    @endpoint.register(request_model=Slow)
    async def slow(value: int) -> int:
        await asyncio.sleep(0)
        return value

    outcome: list = []
    with endpoint, RpcClient(endpoint.name) as client:
        client._client.start("slow", [7], {"timeout": 60.0}, lambda *result: outcome.append(result))
        assert entered.wait(60)
        for _ in range(100):
            endpoint.running()
        go_on.set()
        wait_until(lambda: outcome, "the answer")
    assert outcome == [(7, None)]


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "raise KeyboardInterrupt", "loop.stop()"])
def test_a_process_stops_all_its_endpoints_when_it_exits(runtime_dir, ending):
    """Also those after the one whose loop was disturbed last; it exits with the status of its main program."""
    program = f"""
        import asyncio, threading
        from pycrust import RpcClient, RpcEndpoint
        endpoints = [RpcEndpoint(name) for name in ("one", "two", "three")]
        for endpoint in endpoints:
            @endpoint.register
            async def disturb() -> None:
                loop = asyncio.get_running_loop()
                def ending():
                    {ending}
                loop.call_soon(ending)
            endpoint.serve()
            with RpcClient(endpoint.name) as client:
                for _ in range(3):
                    client.call("disturb")
        from pycrust.service import lifecycle
        print([endpoint.serving for endpoint in endpoints])
        lifecycle.stop_all()
        # The log's thread stays to the end of the process.
        left = {{t.name for t in threading.enumerate()}} - {{"pycrust-log"}}
        print([endpoint.serving for endpoint in endpoints], left)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[True, True, True]", "[False, False, False] {'MainThread'}"]


def test_a_policy_of_the_process_s_own(runtime_dir):
    """As uvloop has: its loops are used, and one that makes none is an error of whoever registers."""
    program = """
        import asyncio
        from pycrust import RpcClient, RpcEndpoint

        class Loop(asyncio.SelectorEventLoop):
            pass

        class Policy(asyncio.DefaultEventLoopPolicy):
            broken = False
            def new_event_loop(self):
                if self.broken:
                    raise RuntimeError("no loops today")
                return Loop()

        asyncio.set_event_loop_policy(Policy())
        endpoint = RpcEndpoint("policy")
        @endpoint.register
        async def kind() -> str:
            return type(asyncio.get_running_loop()).__name__
        Policy.broken = True
        try:
            endpoint.serve()
        except RuntimeError as error:
            print(error, endpoint.serving)
        Policy.broken = False
        with endpoint, RpcClient("policy") as client:
            print(client.call("kind"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=False
    )
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("no loops today False", "Loop"), done.stderr
