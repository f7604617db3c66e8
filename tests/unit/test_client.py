"""The Python client against an endpoint of this process, over real shared memory."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from pycrust import (
    Aborted,
    Cancelled,
    Code,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    RpcClient,
    RpcEndpoint,
    RpcError,
    Unavailable,
    Unimplemented,
    Unknown,
    current_call,
)


@pytest.fixture
def client(endpoint):
    with endpoint, RpcClient(endpoint.name, client_name="tester") as client:
        yield client


def test_arguments_and_results_cross(endpoint, client):
    endpoint.register("echo")(lambda *args, **kwargs: [list(args), kwargs])
    assert client.call("echo", 1, "two", b"3", None, [4.5]) == [[1, "two", b"3", None, [4.5]], {}]
    assert client.call("echo", a=1, b={"c": [2]}) == [[], {"a": 1, "b": {"c": [2]}}]
    with pytest.raises(TypeError, match="by position or by name, not both"):
        client.call("echo", 1, b=2)
    with pytest.raises(TypeError, match="object"):
        client.call("echo", object())


def test_errors_have_their_classes(endpoint, client):
    @endpoint.register
    def fail(how: str) -> None:
        if how == "code":
            raise RpcError(Code.NOT_FOUND, "no arm 3", {"arms": [1, 2]})
        raise ValueError("deep")

    with pytest.raises(NotFound, match="no arm 3") as caught:
        client.call("fail", "code")
    assert caught.value.details == {"arms": [1, 2]}
    with pytest.raises(Unknown, match="ValueError: deep") as caught:
        client.call("fail", "raise")
    assert "in fail" in caught.value.__notes__[0]
    assert caught.value.may_have_run
    with pytest.raises(InvalidArgument) as caught:
        client.call("fail", ["a list"])
    assert caught.value.details[0]["loc"] == ["how"]
    with pytest.raises(Unimplemented, match="did you mean"):
        client.call("fial")


def test_deadlines_end_in_time_and_reach_the_handler(endpoint, client):
    seen = []

    @endpoint.register
    def wait() -> None:
        call = current_call()
        seen.append(call.time_left)
        while not call.cancelled:
            time.sleep(0.001)
        seen.append(call.client)

    with pytest.raises(DeadlineExceeded):
        client.call("wait", timeout=0.05)
    while len(seen) < 2:
        time.sleep(0.001)
    assert 0 < seen[0] <= 0.05
    assert seen[1] == "tester"
    endpoint.register("left")(lambda: current_call().time_left)
    assert client.call("left", timeout=math.inf) is None
    assert 29 < client.call("left") <= 30


def test_metadata_travels(endpoint, client):
    endpoint.register("read")(lambda: current_call().metadata)
    assert client.call("read") == {}
    assert client.call("read", metadata={"a": "text", "b": b"\xff"}) == {"a": "text", "b": b"\xff"}
    for wrong in ({"a": 1}, {1: "a"}):
        with pytest.raises(TypeError, match="metadata maps str to str or bytes"):
            client.call("read", metadata=wrong)
    with pytest.raises(ValueError, match="at most 65536"):
        client.call("read", metadata={"a": "x" * 70_000})


def test_streams_are_iterated(endpoint, client):
    closed = threading.Event()

    @endpoint.register
    def count(below: int) -> Iterator[int]:
        try:
            yield from range(below)
        finally:
            closed.set()

    @endpoint.register
    async def fail(after: int) -> AsyncIterator[int]:
        for number in range(after):
            yield number
        raise ValueError("in the middle")

    assert list(client.stream("count", 1000)) == list(range(1000))
    closed.clear()
    with client.stream("count", 10**12) as numbers:
        assert [next(numbers), next(numbers)] == [0, 1]
    assert closed.wait(60), "the generator was closed"
    items = client.stream("fail", 3)
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    with pytest.raises(Unknown, match="in the middle"):
        next(items)
    assert list(items) == [], "an error is told once"
    with pytest.raises(FailedPrecondition, match="call it with stream"):
        client.call("count", 3)


def test_async_calls_and_streams(endpoint, client):
    cancelled = threading.Event()

    @endpoint.register
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0.001)
        return a + b

    @endpoint.register
    async def forever() -> None:
        try:
            await asyncio.sleep(10**6)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @endpoint.register
    def count(below: int) -> Iterator[int]:
        yield from range(below)

    async def main() -> None:
        sums = await asyncio.gather(*(client.acall("add", number, 1) for number in range(500)))
        assert sums == list(range(1, 501))
        assert [number async for number in client.stream("count", 5)] == [0, 1, 2, 3, 4]
        task = asyncio.create_task(client.acall("forever"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(InvalidArgument):
            await client.acall("add", "x", 1)

    asyncio.run(main())
    assert cancelled.wait(60), "the handler was cancelled"


def test_ten_thousand_calls_that_await(endpoint, client):
    """Each waits for the last one, so all are in flight at once."""
    arrived = 0
    all_here = asyncio.Event()

    @endpoint.register
    async def meet(number: int) -> int:
        nonlocal arrived
        arrived += 1
        if arrived == 10_000:
            all_here.set()
        await all_here.wait()
        return number

    async def main() -> list[int]:
        return await asyncio.gather(*(client.acall("meet", number, timeout=300) for number in range(10_000)))

    assert asyncio.run(main()) == list(range(10_000))


def test_a_handler_calls_its_own_endpoint(endpoint, client):
    endpoint.register("inner")(lambda: "inner")
    endpoint.register("outer")(lambda: client.call("inner"))
    assert client.call("outer") == "inner"


def test_a_swap_leaves_a_stream_on_its_version(endpoint, client):
    def numbers(factor: int):
        def count() -> Iterator[int]:
            for number in range(200):
                yield number * factor

        return count

    endpoint.register("count")(numbers(1))
    old = client.stream("count")
    assert next(old) == 0
    endpoint.register("count")(numbers(10))
    assert list(client.stream("count")) == [number * 10 for number in range(200)]
    assert list(old) == list(range(1, 200))


def test_who_is_not_there(endpoint):
    with pytest.raises(Unavailable, match=endpoint.name):
        RpcClient(endpoint.name)
    with pytest.raises(ValueError, match="can't be an endpoint's name"):
        RpcClient("../etc")
    threading.Timer(0.2, endpoint.serve).start()
    with RpcClient(endpoint.name, wait=60) as client:
        endpoint.stop()
        with pytest.raises(Unavailable):
            client.call("f")
        endpoint.register("f")(lambda: "again")
        endpoint.serve()
        assert client.call("f") == "again"
        client.close()
        with pytest.raises(Cancelled):
            client.call("f")
    endpoint.stop()


def test_stop_cancels_what_awaits(endpoint):
    ended = []

    @endpoint.register
    async def forever() -> None:
        try:
            await asyncio.sleep(10**6)
        finally:
            ended.append(True)

    with endpoint, RpcClient(endpoint.name) as client:
        failed = []

        def call() -> None:
            try:
                client.call("forever")
            except Unavailable as error:
                failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while not endpoint.stats()["methods"][0]["in_flight"]:
            time.sleep(0.001)
        assert not endpoint.stop(grace=0.05)
        thread.join()
    assert ended
    assert failed[0].may_have_run
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("pycrust-loop")] == []


def test_arguments_are_streamed_as_the_handler_takes_them(endpoint, client):
    @endpoint.register
    def mean(values: Iterator[float]) -> float:
        numbers = list(values)
        return sum(numbers) / len(numbers)

    @endpoint.register
    def doubled(values: Iterator[int]) -> Iterator[int]:
        for value in values:
            yield 2 * value

    assert client.request("mean").upload(float(n) for n in range(1000)) == 499.5
    assert list(client.request("doubled").exchange(range(500))) == list(range(0, 1000, 2))
    with pytest.raises(InvalidArgument):
        client.request("mean").upload(["x"])

    def broken():
        yield 1.0
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        client.request("mean").upload(broken())
    with client.request("doubled").exchange(itertools.count()) as endless:
        assert [next(endless) for _ in range(3)] == [0, 2, 4]


def test_requests_carry_their_options(endpoint, client):
    seen = []
    began, go_on = threading.Event(), threading.Event()

    @endpoint.register
    def observe(number: int) -> int:
        seen.append((number, current_call().traceparent))
        began.set()
        go_on.wait()
        return number

    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with pytest.raises(ValueError, match="traceparent"):
        client.request("observe", traceparent="no trace").call(1)
    client.request("observe", traceparent=trace).notify(1)
    began.wait()

    async def superseded() -> list:
        older = asyncio.ensure_future(client.request("observe", latest=True).acall(2))
        while endpoint.stats()["methods"][0]["in_flight"] < 2:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.001)
        newer = asyncio.ensure_future(client.request("observe", latest=True).acall(3))
        with pytest.raises(Aborted):
            await older
        go_on.set()
        return await newer

    assert asyncio.run(superseded()) == 3
    assert [number for number, _ in seen] == [1, 3]
    assert seen[0][1] == trace
    with pytest.raises(FailedPrecondition, match="schema"):
        client.request("observe", schema=12345).call(4)


def test_a_trace_goes_on_through_handlers(endpoint, client):
    @endpoint.register
    def inner() -> str | None:
        return current_call().traceparent

    @endpoint.register
    def outer() -> str | None:
        return client.call("inner")

    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert client.request("outer", traceparent=trace).call() == trace
    assert client.call("outer") is None


def test_readiness_runs_a_real_handler(endpoint, client):
    ran = []
    endpoint.register("add")(lambda a, b: ran.append(a + b))
    client.ready("add", 1, 2)
    assert ran == [3]
    with pytest.raises(Unimplemented):
        client.ready("ad", 1, 2)


def test_handlers_that_call_their_own_endpoint_get_their_answers(make_endpoint):
    endpoint = make_endpoint(max_threads=1)
    endpoint.register("level0")(lambda: 0)
    with endpoint, RpcClient(endpoint.name) as client:
        for level in range(1, 6):
            below = f"level{level - 1}"
            endpoint.register(f"level{level}")(lambda below=below: 1 + client.call(below))
        assert client.call("level5", timeout=60) == 5


def test_a_call_waits_for_its_worker_if_it_is_told_to(endpoint):
    endpoint.register("add")(lambda a, b: a + b)
    with pytest.raises(Unavailable):
        RpcClient(endpoint.name)
    with RpcClient(endpoint.name, lazy=True, wait_for_ready=True) as client:
        with pytest.raises(Unavailable) as caught:
            client.request("add", wait_for_ready=False).call(1, 2)
        assert not caught.value.may_have_run
        with pytest.raises(DeadlineExceeded, match="no worker was ready") as caught:
            client.call("add", 1, 2, timeout=0.05)
        assert not caught.value.may_have_run
        answers = []
        caller = threading.Thread(target=lambda: answers.append(client.call("add", 1, 2)))
        caller.start()
        with endpoint:
            caller.join()
            assert answers == [3]


def test_a_method_that_is_expected_is_waited_for(make_endpoint):
    endpoint = make_endpoint()
    endpoint.serve(expect=["later"])
    with RpcClient(endpoint.name) as client:
        with pytest.raises(Unavailable, match="expected"):
            client.call("later", 1)
        ways = {
            "call": lambda request: request.call(1),
            "stream": lambda request: list(request.stream(1)),
            "awaited": lambda request: asyncio.run(request.acall(1)),
        }
        answers = {}

        def wait(name: str) -> None:
            answers[name] = ways[name](client.request("later", wait_for_ready=True))

        callers = [threading.Thread(target=wait, args=(name,)) for name in ways]
        for caller in callers:
            caller.start()
        assert not answers
        endpoint.register("later")(lambda x: x + 1)
        for caller in callers:
            caller.join()
    assert answers == {"call": 2, "stream": [2], "awaited": 2}


def test_silence_ends_a_stream_and_the_client_s_usual_time_does_not(endpoint):
    release = threading.Event()

    @endpoint.register
    def drip(count: int) -> Iterator[int]:
        yield from range(count)
        while not current_call().cancelled:
            time.sleep(0.001)
        release.set()

    @endpoint.register
    def total(numbers: Iterator[int]) -> int:
        return sum(numbers)

    with endpoint, RpcClient(endpoint.name, timeout=0.05) as client:
        items = client.stream("drip", 2, idle_timeout=0.2)
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(DeadlineExceeded, match="idle_timeout"):
            next(items)
        assert release.wait(60), "its handler is told"

        def slow() -> Iterator[int]:
            for number in range(3):
                time.sleep(0.03)
                yield number

        assert client.request("total").upload(slow()) == 3, "longer than a call may take"
        never = threading.Event()
        with pytest.raises(DeadlineExceeded, match="idle_timeout"):
            client.request("total", idle_timeout=0.05).upload(iter(never.wait, True))
        never.set()
        with pytest.raises(DeadlineExceeded, match="not ended"):
            list(client.request("drip", timeout=0.05).stream(1))


def test_a_result_that_was_built_in_place_may_be_kept_and_returned_again(endpoint, client):
    numpy = pytest.importorskip("numpy")
    kept = {}

    def built(value: int) -> object:
        array = endpoint.empty((300, 1000), "uint8")
        array[:] = value
        return array

    @endpoint.register
    def keep(how: str) -> object:
        array = built(7)
        kept[how] = {"whole": array, "part": array[100:], "memory": memoryview(array)}[how]
        return array

    @endpoint.register
    def again(how: str) -> object:
        return numpy.asarray(kept[how])

    @endpoint.register
    def twice() -> list:
        array = built(5)
        return [array, array]

    @endpoint.register
    def changing() -> Iterator[object]:
        array = endpoint.empty((300, 1000), "uint8")
        for number in range(3):
            array[:] = number
            yield array

    for how in ["whole", "part", "memory"]:
        assert (client.call("keep", how) == 7).all()
        for _ in range(2):
            assert (client.call("again", how) == 7).all(), f"{how}: it was copied, since it was kept"
    first, second = client.call("twice")
    assert (first == 5).all()
    assert (second == 5).all()
    assert [int(array.max()) for array in client.stream("changing")] == [0, 1, 2]
    kept.clear()


@pytest.mark.parametrize("way", ["call", "acall", "stream"])
def test_the_question_for_a_method_s_parameters_has_the_call_s_time(make_endpoint, way):
    """No worker is there, and the client waits for one longer than the call may."""
    asked = []
    with RpcClient(make_endpoint().name, lazy=True, wait_for_ready=True, timeout=600) as client:
        question = client._question
        client._question = lambda timeout: asked.append(timeout) or question(timeout)
        make = {
            "call": lambda: client.call("add", timeout=0.05),
            "acall": lambda: asyncio.run(client.acall("add", timeout=0.05)),
            "stream": lambda: list(client.stream("add", timeout=0.05)),
        }[way]
        with pytest.raises(DeadlineExceeded, match="no worker was ready"):
            make()
    assert asked == [0.05]


def test_a_reply_says_which_version_answered_and_where_the_time_went():
    endpoint = RpcEndpoint("replies", fresh=True)
    endpoint.register("half")(lambda value: 1 / value)
    endpoint.register("half")(lambda value: 2 / value)

    @endpoint.register
    def count(self: int):
        yield from range(self)

    with endpoint, RpcClient("replies") as client:
        reply = client.request("half").send(4)
        assert (reply.value, reply.version) == (0.5, 2)
        assert list(reply.timing) == [
            "round_trip", "transit", "queue", "interpreter", "decode", "handler", "encode", "back",
        ]  # fmt: skip
        assert 0 < sum(list(reply.timing.values())[1:]) <= reply.timing["round_trip"]
        assert client.request("pycrust.health").send().version == 0
        with pytest.raises(RpcError) as caught:
            client.request("half").send(0)
        assert caught.value.version == 2
        assert caught.value.timing["round_trip"] > 0
        items = client.request("count").stream(self=2)
        assert (items.version, list(items), items.version) == (0, [0, 1], 1)
