"""Whatever a handler does to leave, in a real kernel: its caller is told, and everything else goes on."""

from __future__ import annotations

import pytest

from pycrust import RpcClient, Unknown
from tests.conftest import wait_until

SERVE = """
import asyncio, sys, threading
from pycrust import RpcEndpoint
other = RpcEndpoint("other")
other.register("ping")(lambda: "pong")
other.serve()
endpoint = RpcEndpoint("leaving")

async def raising(error):
    await asyncio.sleep(0)
    raise error

class Odd(BaseException): ...

ERRORS = {"exit": SystemExit, "interrupt": KeyboardInterrupt, "generator": GeneratorExit, "odd": Odd,
          "cancelled": asyncio.CancelledError}

def handlers(loop):
    @endpoint.register(f"{loop}.raises", loop=loop)
    async def raises(name: str):
        await raising(ERRORS[name]("mine"))

    @endpoint.register(f"{loop}.task", loop=loop)
    async def task(name: str):
        await asyncio.create_task(raising(ERRORS[name]("mine")))

    @endpoint.register(f"{loop}.items", loop=loop)
    async def items(name: str):
        yield 1
        await raising(ERRORS[name]("mine"))

    @endpoint.register(f"{loop}.outlives", loop=loop)
    async def outlives(name: str) -> str:
        task = asyncio.get_running_loop().kept = asyncio.create_task(raising(ERRORS[name]("mine")))
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return "answered"

    @endpoint.register(f"{loop}.callbacks", loop=loop)
    async def callbacks() -> str:
        loop, waited = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        loop.call_soon(sys.exit, 3)
        loop.call_later(0.001, sys.exit, 3)
        loop.call_soon_threadsafe(sys.exit, 3)
        waited.add_done_callback(lambda _: sys.exit(3))
        waited.set_result(None)
        await asyncio.to_thread(loop.call_soon_threadsafe, sys.exit, 3)
        await asyncio.sleep(0.01)
        return "answered"

    @endpoint.register(f"{loop}.handler", loop=loop)
    async def handler() -> str:
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, _context: sys.exit(3))
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)
        loop.set_exception_handler(before)
        return "answered"

    @endpoint.register(f"{loop}.stop", loop=loop)
    async def stop() -> str:
        loop = asyncio.get_running_loop()
        loop.stop()
        loop.call_soon(loop.stop)
        await asyncio.sleep(0.01)
        return "answered"

    @endpoint.register(f"{loop}.close", loop=loop)
    async def close():
        asyncio.get_running_loop().close()

    @endpoint.register(f"{loop}.nested", loop=loop)
    async def nested():
        coroutine = asyncio.sleep(0)
        try:
            asyncio.run(coroutine)
        finally:
            coroutine.close()

    @endpoint.register(f"{loop}.exit()", loop=loop)
    async def leave():
        exit()

handlers("worker")
handlers("kernel")

shell = get_ipython()
Quitter = sys.modules["_sitebuiltins"].Quitter
LEAVE = {"exit": exit, "quit": quit, "ask_exit": shell.ask_exit, "sys": sys.exit, "builtin": Quitter("exit", "")}

@endpoint.register
def leave(how: str):
    LEAVE[how]()

@endpoint.register
def leave_items(how: str):
    yield 1
    LEAVE[how]()

from pycrust import Batch
@endpoint.register(batch=Batch())
def leave_batch(hows: list[str]) -> list[str]:
    for how in hows:
        LEAVE[how]()

endpoint.serve()
"""


def alive(kernel, client, other) -> None:
    assert other.call("ping") == "pong"
    assert kernel.run("40 + 2") == "42"
    for loop in ("worker", "kernel"):
        with pytest.raises(Unknown, match="odd|Odd"):
            client.call(f"{loop}.raises", "odd")


def test_nothing_that_an_async_handler_does_ends_the_kernel_or_a_loop(kernel):
    kernel.run(SERVE)
    with RpcClient("leaving") as client, RpcClient("other") as other:
        for loop in ("worker", "kernel"):
            for name in ("exit", "interrupt", "generator", "odd", "cancelled"):
                for method in ("raises", "task"):
                    with pytest.raises(Unknown) as raised:
                        client.call(f"{loop}.{method}", name)
                    assert "Traceback" in raised.value.__notes__[0], (loop, method, name)
                stream = client.stream(f"{loop}.items", name)
                assert next(stream) == 1
                with pytest.raises(Unknown):
                    next(stream)
                assert client.call(f"{loop}.outlives", name) == "answered"
            for method in ("callbacks", "handler", "stop"):
                assert client.call(f"{loop}.{method}") == "answered", (loop, method)
            for method in ("close", "nested", "exit()"):
                with pytest.raises(Unknown, match="RuntimeError"):
                    client.call(f"{loop}.{method}")
            alive(kernel, client, other)
        said = kernel.run("print(*[event.text for event in endpoint.events if event.kind == 'loop'], sep='\\n')")
        assert "SystemExit of a task or a callback would have ended the kernel's event loop" in said
        assert "a handler has called stop() of the kernel's event loop" in said
        assert "SystemExit of a task or a callback has ended the event loop: it runs again" in said
        assert "a handler has stopped the event loop: it runs again" in said
    assert kernel.run("endpoint.stop(), other.stop()") == "(True, True)"
    assert kernel.run("endpoint.serve(); other.serve(); endpoint.stop(), other.stop()").endswith("(True, True)")


def test_exit_in_a_handler_is_refused_and_the_kernel_lives(kernel):
    kernel.run(SERVE)
    with RpcClient("leaving") as client, RpcClient("other") as other:
        for how in ("exit", "quit", "ask_exit", "builtin"):
            for method in ("leave", "leave_batch"):
                with pytest.raises(Unknown, match=r"RuntimeError: exit\(\) ends the process.*RpcError"):
                    client.call(method, how)
            stream = client.stream("leave_items", how)
            assert next(stream) == 1
            with pytest.raises(Unknown, match=r"exit\(\) ends the process"):
                next(stream)
            # A cell that calls it as a caller would, too.
            _, error = kernel.attempt(f"endpoint['leave']({how!r})")
            assert "ends the process" in error
        for method in ("leave", "leave_batch"):
            with pytest.raises(Unknown, match="SystemExit"):
                client.call(method, "sys")
        for _ in range(3):
            alive(kernel, client, other)
    # In a cell it does what it always did.
    kernel.run("endpoint.stop(); other.stop()")
    kernel.client.execute("exit()")
    wait_until(lambda: not kernel.manager.is_alive(), "the kernel to end")
