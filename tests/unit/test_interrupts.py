"""An interrupt at any line of a change of state: everything can be stopped, and begun again."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pycrust
from pycrust import RpcClient
from tests.conftest import wait_until
from tests.unit.test_lifecycle import threads

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = str(Path(pycrust.__file__).parent)


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Runs `work` with a `KeyboardInterrupt` at the n-th line of the package; whether it has as many."""
    lines = 0

    def trace(frame, event, _arg):
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def everywhere(work: Callable[[], object], check: Callable[[], object]) -> int:
    """Interrupts `work` at each of its lines in turn, and checks after each; gives how many there were."""
    at = 1
    while interrupted(work, at):
        check()
        at += 1
    check()
    return at - 1


@pytest.fixture
def process() -> Callable[[], None]:
    """Checks that serving has left nothing behind in the process."""
    before = sys.getswitchinterval(), builtins.input, sys.breakpointhook

    def check() -> None:
        assert (sys.getswitchinterval(), builtins.input, sys.breakpointhook) == before
        assert not type(sys.stdout.write).__module__.startswith("pycrust")
        wait_until(lambda: not threads(), f"native threads to end: {threads()}")

    return check


@pytest.mark.timeout(600)
class TestInterrupts:
    def works(self, endpoint) -> None:
        """It serves, answers and stops."""
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.call("f") == 1
            assert client.call("g") == 1
        assert endpoint.stop() is True

    @pytest.fixture
    def handlers(self, endpoint):
        endpoint.register("f")(lambda: 1)

        @endpoint.register
        async def g() -> int:
            return 1

        return endpoint

    def test_serve(self, handlers, process, capsys):
        def check() -> None:
            assert handlers.stop() is True
            assert not handlers.serving
            process()

        assert everywhere(handlers.serve, check) > 10
        self.works(handlers)
        process()

    def test_stop(self, handlers, process, capsys):
        def check() -> None:
            assert handlers.stop() is True
            assert not handlers.serving
            process()
            handlers.serve()

        handlers.serve()
        assert everywhere(handlers.stop, check) > 5
        handlers.stop()
        self.works(handlers)
        process()

    def test_register_and_unregister(self, handlers, capsys):
        """What is recorded is what is live."""
        number = 0

        def change() -> None:
            nonlocal number
            number += 1
            handlers.register("changing")(lambda n=number: n)
            handlers.register("passing")(lambda n=number: n)
            handlers.unregister("passing")

        with handlers, RpcClient(handlers.name) as client:

            def check() -> None:
                versions = {method["name"]: method["version"] for method in handlers.stats()["methods"]}
                assert set(versions) == set(handlers)
                assert versions == {name: handlers[name].version for name in handlers}
                if "changing" in handlers:
                    assert client.call("changing") == handlers["changing"]()

            handlers.register("changing")(lambda: 0)
            everywhere(change, check)
            assert [version.number for version in handlers["changing"].history][-1] == handlers["changing"].version

    def test_models(self, handlers, capsys):
        """A slot that was interrupted while it was made or reloaded can be made and reloaded."""
        loaded = 0

        def load(number: int = 0) -> list[int]:
            nonlocal loaded
            loaded += 1
            return [number, loaded]

        def make() -> None:
            handlers.model(f"policy{loaded}", load)

        def usable(name: str) -> None:
            slot = handlers.model(name, load)
            version = slot.reload(7).result(60)
            assert slot.version == version
            assert slot.apply(lambda model: model[0]) == 7

        with handlers:
            at = 1
            while True:
                name = f"policy_{at}"
                if not interrupted(lambda name=name: handlers.model(name, load), at):
                    break
                usable(name)
                at += 1
            usable("policy")
            slot = handlers.models["policy"]

            @handlers.register(models=["policy"])
            def answer(policy) -> list[int]:
                return policy

            with RpcClient(handlers.name) as client:

                def check() -> None:
                    slot.reload(8).result(60)
                    assert client.call("answer")[0] == 8
                    assert "staged" not in {version.state for version in slot.history[-3:]}

                assert everywhere(lambda: slot.reload(9).wait(60), check) > 5

    def test_connect(self, handlers, capsys):
        kept: list[RpcClient] = []
        with handlers:

            def check() -> None:
                while kept:
                    kept.pop().close()
                wait_until(lambda: not handlers.stats()["clients"], "the client to go")

            assert everywhere(lambda: kept.append(RpcClient(handlers.name)), check) > 3
            with RpcClient(handlers.name) as client:
                assert client.call("f") == 1

    def test_a_stop_that_is_interrupted_while_it_waits_goes_on(self, endpoint, process, capsys):
        """The next one hurries it."""
        import signal
        import threading

        begun, release = threading.Event(), threading.Event()

        @endpoint.register
        def slow() -> int:
            begun.set()
            release.wait(60)
            return 1

        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            outcome: list = []
            client._client.start("slow", [], {"timeout": 60.0}, lambda *result: outcome.append(result))
            assert begun.wait(60)
            threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
            with pytest.raises(KeyboardInterrupt):
                endpoint.stop(600.0)
            assert endpoint.stop(0.0) is False
            assert not endpoint.serving
            release.set()
            endpoint.serve()
            assert endpoint.stop() is True
        process()

    def test_commit(self, handlers, capsys):
        """In a cell: what was staged is published once, then or when the cell succeeds."""
        from tests.unit.test_transactions import Shell

        shell = Shell(handlers, capsys)
        outcome: list[bool] = []
        number = 0

        def commit() -> None:
            outcome.append(interrupted(handlers.commit, number))

        shell.ip.user_ns["commit"] = commit
        while not outcome or outcome[-1]:
            number += 1
            assert shell.run(shell.define("f", number) + shell.define("h", number) + "commit()")
            assert (handlers["f"](), handlers["h"]()) == (number, number)
            versions = {method["name"]: method["version"] for method in handlers.stats()["methods"]}
            assert shell.live() == versions
            assert versions["h"] == number
        assert number > 1
        shell.close()

    def test_async_handlers_of_the_loop_that_runs_here(self, handlers, capsys):
        """Registering one attaches its endpoint to the loop."""
        import asyncio

        async def main() -> None:
            client = RpcClient(handlers.name)

            def register() -> None:
                @handlers.register(loop="kernel")
                async def here() -> int:
                    return 1

            at = 1
            while interrupted(register, at):
                at += 1
                if "here" in handlers:
                    assert await client.acall("here") == 1
                    handlers.unregister("here")
            assert at > 10
            register()
            assert await client.acall("here") == 1
            client.close()

        with handlers:
            asyncio.run(main())


PROFILED = """
import cProfile, threading
from concurrent.futures import ThreadPoolExecutor
from pycrust import RpcClient, RpcEndpoint
endpoint = RpcEndpoint("busy")

@endpoint.register()
def count() -> None:
    running.set()
    while True:
        pass

running = threading.Event()
with endpoint, RpcClient("busy") as client, ThreadPoolExecutor(1) as pool:
    call = pool.submit(client.call, "count")
    running.wait()
    assert endpoint.interrupt(endpoint.running()[0])
    print(call.exception().code.name)
    # It looks at every function's first instruction, and would stay there.
    cProfile.Profile().runctx("sum([1, 2])", globals(), {})
print("profiled")
"""


def test_an_interrupted_handler_leaves_the_interpreter_as_it_was(start):
    program = start(sys.executable, "-c", PROFILED)
    assert program.finish().splitlines()[-2:] == ["CANCELLED", "profiled"]
