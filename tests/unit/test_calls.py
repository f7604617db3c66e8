"""A call is its own: its context, and what `current_call()` says, on every way that leads to a handler."""

from __future__ import annotations

import asyncio
import decimal
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

import numpy as np
import pytest

from pycrust import Batch, RpcClient, current_call, current_calls
from pycrust.testing import calling
from tests.conftest import wait_until

seen: ContextVar[str] = ContextVar("seen", default="nothing")


def look_and_change() -> list[object]:
    """What an earlier call has left behind, and something for the next one to find."""
    found = [seen.get(), decimal.getcontext().prec, np.geterr()["divide"]]
    seen.set("an earlier call")
    decimal.getcontext().prec = 5
    np.seterr(divide="raise")
    return found


class TestContext:
    @pytest.fixture
    def fresh(self) -> list[object]:
        return ["nothing", decimal.getcontext().prec, "warn"]

    def test_no_call_sees_what_another_has_set(self, endpoint, fresh):
        endpoint.register("f")(look_and_change)

        @endpoint.register
        async def asynchronous() -> list:
            await asyncio.sleep(0)
            return look_and_change()

        @endpoint.register(batch=Batch(max_size=4, max_wait_us=0))
        def batch(items: list[int]) -> list[list]:
            return [look_and_change()] * len(items)

        with endpoint, RpcClient(endpoint.name) as client:
            for _ in range(3):
                assert client.call("f") == fresh
                assert client.call("asynchronous") == fresh
                assert client.call("batch", 1) == fresh
                for name, arguments in (("f", ()), ("asynchronous", ()), ("batch", (1,))):
                    assert endpoint[name](*arguments) == fresh
            assert seen.get() == "nothing"

    def test_validators_and_serialisers_run_in_the_call_s_context_too(self, endpoint):
        from typing import Annotated

        from pydantic import AfterValidator, PlainSerializer

        def note(value: str) -> str:
            seen.set(seen.get() + "+" + value)
            return value

        def text(_value: str) -> str:
            return seen.get()

        @endpoint.register
        def f(a: Annotated[str, AfterValidator(note)]) -> Annotated[str, PlainSerializer(text)]:
            return a

        with endpoint, RpcClient(endpoint.name) as client:
            assert [client.call("f", "x") for _ in range(2)] == ["nothing+x"] * 2
            assert [endpoint["f"]("y") for _ in range(2)] == ["nothing+y"] * 2

    def test_the_steps_of_a_generator_share_one(self, endpoint):
        @endpoint.register
        def count(n: int) -> Iterator[str]:
            for number in range(n):
                before = seen.get()
                seen.set(f"step {number}")
                yield before

        @endpoint.register
        async def acount(n: int) -> AsyncIterator[str]:
            for number in range(n):
                before = seen.get()
                seen.set(f"step {number}")
                yield before

        expected = ["nothing", *(f"step {number}" for number in range(199))]
        with endpoint, RpcClient(endpoint.name) as client:
            for name in ("count", "acount"):
                # More items than a turn has, and than the caller takes at once: steps on several threads.
                with client.request(name, window=3).stream(200) as items:
                    assert list(items) == expected, name
                assert list(endpoint[name](200)) == expected, name
        assert seen.get() == "nothing"

    def test_two_generators_that_take_turns_do_not_meet(self, endpoint):
        @endpoint.register(concurrency=8)
        def mine(name: str) -> Iterator[str]:
            seen.set(name)
            while True:
                yield seen.get()

        with endpoint, RpcClient(endpoint.name) as client:
            streams = {name: client.request("mine", window=2).stream(name) for name in "abcdef"}
            for _ in range(20):
                for name, stream in streams.items():
                    assert next(stream) == name
            for stream in streams.values():
                stream.close()

    def test_a_call_begins_with_what_was_set_when_serving_began(self, endpoint):
        endpoint.register("f")(look_and_change)

        def serve() -> None:
            seen.set("the server's")
            decimal.getcontext().prec = 40
            np.seterr(divide="ignore")
            endpoint.serve()

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        with RpcClient(endpoint.name) as client:
            assert [client.call("f") for _ in range(3)] == [["the server's", 40, "ignore"]] * 3

    def test_a_warm_up_a_shadow_and_a_replay_leave_nothing_behind(self, endpoint, fresh):
        endpoint.register("f", warmup=[])(look_and_change)
        assert [seen.get(), decimal.getcontext().prec, np.geterr()["divide"]] == fresh
        with endpoint, RpcClient(endpoint.name) as client:
            shadow = endpoint["f"].shadow(look_and_change)
            for _ in range(3):
                client.call("f")
            wait_until(lambda: shadow.calls == 3, "the shadow")
            assert shadow.agreed == 3, str(shadow)
            assert endpoint.traffic()[-1].replay().same
            assert endpoint["f"].replay(endpoint.traffic()).agreed == 3
            shadow.discard()
        assert [seen.get(), decimal.getcontext().prec, np.geterr()["divide"]] == fresh


def who() -> list[object]:
    call = current_call()
    call.set_metadata({"answered": "yes"})
    return [call.method, call.client, dict(call.metadata), call.cancelled, call.time_left is None]


class TestCurrentCall:
    def test_in_every_kind_of_handler_that_this_process_calls(self, endpoint):
        endpoint.register("sync")(who)

        @endpoint.register
        async def asynchronous() -> list:
            await asyncio.sleep(0)
            return await asyncio.to_thread(who)

        @endpoint.register
        def items() -> Iterator[list]:
            yield who()
            yield who()

        @endpoint.register
        async def aitems() -> AsyncIterator[list]:
            yield who()
            await asyncio.sleep(0)
            yield who()

        @endpoint.register(batch=Batch())
        def batch(values: list[int]) -> list[list]:
            with pytest.raises(RuntimeError, match="current_calls"):
                current_call()
            return [[call.method, call.client, dict(call.metadata)] for call in current_calls()]

        local = ["local", {}, False, True]
        assert endpoint["sync"]() == endpoint._dispatch("sync") == ["sync", *local]
        assert endpoint["asynchronous"]() == ["asynchronous", *local]
        assert list(endpoint["items"]()) == [["items", *local]] * 2
        assert list(endpoint["aitems"]()) == [["aitems", *local]] * 2
        assert endpoint["batch"](1) == ["batch", "local", {}]
        with pytest.raises(RuntimeError, match=r"pycrust\.testing\.calling"):
            current_call()

    def test_what_it_says(self, endpoint):
        @endpoint.register
        def f() -> list:
            call = current_call()
            with pytest.raises(TypeError, match="metadata maps str"):
                call.set_metadata({"a": 1})
            assert call.traceparent is None
            assert not call.idempotent
            assert call.elapsed >= 0
            assert repr(call).startswith("<call of f")
            assert endpoint.interrupt(call) is False
            assert endpoint.empty(3).shape == (3,)
            return [call.version, call.client_pid, call.connection]

        assert endpoint["f"]() == [1, os.getpid(), 0]
        endpoint.register("f")(lambda: current_call().version)
        assert endpoint["f"]() == 2

    def test_a_handler_that_calls_another_has_its_own_again_after(self, endpoint):
        @endpoint.register
        def inner() -> list:
            call = current_call()
            return [call.method, call.client, call.metadata, call.time_left is not None, call.traceparent]

        @endpoint.register
        async def ainner() -> list:
            return inner()

        def outer() -> list:
            before = current_call()
            inside = [endpoint["inner"](), endpoint["ainner"]()]
            after = current_call()
            return [inside, [before.method, before.client], [after.method, after.client, after.metadata]]

        endpoint.register("outer")(outer)

        @endpoint.register
        async def aouter() -> list:
            return outer()

        trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        with endpoint, RpcClient(endpoint.name, client_name="robot") as client:
            for name in ("outer", "aouter"):
                request = client.request(name, metadata={"a": "b"}, traceparent=trace)
                inside, before, after = request.call()
                # The deadline and the trace are the outer call's.
                assert inside == [[of, "local", {}, True, trace] for of in ("inner", "ainner")]
                assert before == [name, "robot"]
                assert after == [name, "robot", {"a": "b"}]

    def test_in_warm_ups(self, endpoint):
        calls = []

        @endpoint.register(warmup=[])
        def f() -> None:
            calls.append(current_call())

        @endpoint.register(warmup=f)
        async def g() -> None: ...

        assert [(call.method, call.client) for call in calls] == [("f", "local"), ("g", "local")]

    @pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
    def test_a_warm_up_that_exits_registers_nothing(self, endpoint, error):
        def f() -> None:
            raise error

        with pytest.raises(ValueError, match="warm-up failed") as raised:
            endpoint.register("f", warmup=[])(f)
        assert raised.value.__cause__ is error
        assert "f" not in endpoint

    def test_replays_and_shadows_have_the_recorded_caller(self, endpoint):
        endpoint.register("f")(who)
        with endpoint, RpcClient(endpoint.name, client_name="robot") as client:
            shadow = endpoint["f"].shadow(who)
            answer = client.call("f", metadata={"tenant": "blue", "raw": b"\xff"})
            assert answer == ["f", "robot", {"tenant": "blue", "raw": b"\xff"}, False, False]
            wait_until(lambda: shadow.calls == 1, "the shadow")
            assert shadow.agreed == 1, str(shadow)
            [call] = endpoint.traffic()
            assert call.replay().same, call.replay()
            assert call.replay(who).same
            assert endpoint["f"].replay([call]).agreed == 1
            shadow.discard()

    def test_a_recorded_call_as_a_test(self, endpoint):
        endpoint.register("f")(who)

        @endpoint.register
        def leave() -> None:
            raise SystemExit(current_call().client)

        with endpoint, RpcClient(endpoint.name, client_name="robot", timeout=float("inf")) as client:
            client.call("f", metadata={"tenant": "blue"})
            with pytest.raises(Exception, match="robot"):
                client.call("leave")
            sources = [call.as_test() for call in endpoint.traffic()]
        for source in sources:
            names: dict = {}
            exec(source, names)  # noqa: S102 - what the user would run
            [test] = [function for name, function in names.items() if name.startswith("test_")]
            test()

    def test_a_shadow_outlives_a_candidate_that_exits(self, endpoint):
        endpoint.register("f")(lambda x: x)

        def candidate(x: int) -> int:
            raise (SystemExit(x), KeyboardInterrupt(x), GeneratorExit(x))[x]

        with endpoint, RpcClient(endpoint.name) as client:
            shadow = endpoint["f"].shadow(candidate)
            for number in range(3):
                client.call("f", number)
            wait_until(lambda: shadow.calls == 3, "the shadow")
            assert shadow.failed == 3
            assert [mismatch.found.split(":")[0] for mismatch in shadow.mismatches] == [
                "SystemExit",
                "KeyboardInterrupt",
                "GeneratorExit",
            ]
            shadow.discard()


def test_handlers_that_are_registered_while_calls_run(endpoint):
    """A running call keeps its call and its version; the new handlers answer at once."""
    begun, release = threading.Event(), threading.Event()

    @endpoint.register
    def register(name: str) -> list:
        endpoint.register(name)(lambda: current_call().method)
        before = current_call().version
        endpoint.register("waits")(lambda: "new")
        return [current_call().method, before, current_call().version, endpoint[name]()]

    @endpoint.register
    def waits() -> list:
        begun.set()
        release.wait(60)
        return [current_call().method, current_call().version]

    outcome: list = []
    with endpoint, RpcClient(endpoint.name) as client:
        client._client.start("waits", [], {"timeout": 60.0}, lambda *result: outcome.append(result))
        assert begun.wait(60)
        assert client.call("register", "made") == ["register", 1, 1, "made"]
        assert client.call("made") == "made"
        release.set()
        wait_until(lambda: outcome, "the call's end")
        assert outcome == [(["waits", 1], None)]
        assert client.call("waits") == "new"


class TestCalling:
    def test_a_function_called_by_a_test(self):
        with calling(metadata={"a": "b"}, time_left=5.0, client="robot", method="who") as call:
            assert who() == ["who", "robot", {"a": "b"}, False, False]
            assert call.answer_metadata == {"answered": "yes"}
            assert 0 < current_call().time_left <= 5.0
            call.cancel()
            assert current_call().cancelled
            assert [one.client for one in current_calls()] == ["robot"]
        with pytest.raises(RuntimeError, match="no call runs here"):
            current_call()
        with calling(cancelled=True, time_left=0.0):
            assert current_call().cancelled
            assert current_call().time_left == 0.0

    def test_a_coroutine_and_its_tasks(self):
        async def handler() -> list:
            return await asyncio.gather(asyncio.to_thread(who), asyncio.create_task(asyncio.to_thread(who)))

        async def test() -> None:
            with calling(client="robot") as call:
                assert [answer[1] for answer in await handler()] == ["robot", "robot"]
            assert call.answer_metadata == {"answered": "yes"}

        asyncio.run(test())

    def test_handlers_called_through_the_endpoint_run_for_the_same_caller(self, endpoint):
        endpoint.register("f")(who)
        with calling(client="robot", metadata={"a": "b"}, time_left=9.0, cancelled=True) as call:
            assert endpoint["f"]() == ["f", "robot", {"a": "b"}, True, False]
            assert call.answer_metadata == {"answered": "yes"}

    def test_metadata_is_checked_as_a_client_s_is(self):
        with pytest.raises(TypeError, match="metadata maps str"):
            calling(metadata={"a": 1})
