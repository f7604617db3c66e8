"""Handlers that take many calls at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from pydantic import BaseModel, ValidationError

from pycrust import (
    Batch,
    Code,
    InvalidArgument,
    NotFound,
    RpcClient,
    RpcError,
    Unknown,
    current_call,
    current_calls,
)


class Point(BaseModel):
    x: int
    y: int = 0


def together(client: RpcClient, method: str, arguments: list) -> list:
    """Calls at once; an error stands for the result of a call that failed."""

    async def calls() -> list:
        return await asyncio.gather(
            *(client.acall(method, argument, timeout=60) for argument in arguments), return_exceptions=True
        )

    return asyncio.run(calls())


def test_each_caller_gets_its_own_result(endpoint):
    sizes = []

    @endpoint.register(batch=Batch(max_size=16, max_wait_us=50_000))
    def square(values: list[int]) -> list[int]:
        sizes.append(len(values))
        return [value * value for value in values]

    with endpoint, RpcClient(endpoint.name) as client:
        assert together(client, "square", list(range(64))) == [value * value for value in range(64)]
    assert sum(sizes) == 64
    assert max(sizes) <= 16
    assert len(sizes) < 64, "some calls ran together"


def test_one_failure_is_one_callers(endpoint):
    @endpoint.register(batch=Batch(max_size=4, max_wait_us=1e6))
    def invert(values: list[float]) -> list[float]:
        return [1 / value if value else RpcError(Code.NOT_FOUND, "no inverse") for value in values]

    with endpoint, RpcClient(endpoint.name) as client:
        one, bad, none, half = together(client, "invert", [1, "x", 0, 2])
    assert (one, half) == (1.0, 0.5)
    assert isinstance(bad, InvalidArgument)
    assert bad.details[0]["type"] == "float_parsing"
    assert isinstance(none, NotFound)
    assert "no inverse" in none.message


def test_what_the_handler_raises_reaches_every_caller(endpoint):
    @endpoint.register(batch=Batch(max_size=2, max_wait_us=1e6))
    def fail(values: list[int]) -> list[int]:
        raise OSError(f"{len(values)} calls")

    @endpoint.register(batch=Batch(max_size=2, max_wait_us=1e6))
    def forget(values: list[int]) -> list[int]:
        return values[1:]

    with endpoint, RpcClient(endpoint.name) as client:
        failed = together(client, "fail", [1, 2])
        assert [type(error) for error in failed] == [Unknown, Unknown]
        assert all("2 calls" in str(error) for error in failed)
        short = together(client, "forget", [1, 2])
    assert [error.code for error in short] == [Code.INTERNAL, Code.INTERNAL]
    assert "one result for each of 2 calls, not 1 in a list" in str(short[0])


def test_a_model_binds_by_name_as_a_request_model_does(endpoint):
    @endpoint.register(batch=Batch())
    def sums(points: Sequence[Point]) -> list[Point]:
        return [Point(x=point.x + point.y) for point in points]

    @endpoint.register(request_model=Point, batch=Batch())
    def same(points) -> list[Point]:
        return points

    assert endpoint["sums"](x=1, y="2") == {"x": 3, "y": 0}
    assert endpoint._dispatch("sums", [1, 2]) == {"x": 3, "y": 0}
    assert endpoint._dispatch("same", {"x": 5}) == {"x": 5, "y": 0}
    with pytest.raises(ValidationError):
        endpoint["sums"](y=1)


def test_a_call_in_this_process_is_a_batch_of_its_own(endpoint):
    @endpoint.register(batch=Batch())
    def halves(values):
        return [ValueError("odd") if value % 2 else value // 2 for value in values]

    assert endpoint["halves"](4) == 2
    with pytest.raises(ValueError, match="odd"):
        endpoint["halves"](3)


def test_a_batch_knows_its_calls(endpoint):
    seen = []

    @endpoint.register(batch=Batch(max_size=3, max_wait_us=1e6))
    def who(values: list[int]) -> list[str]:
        with pytest.raises(RuntimeError, match="current_calls"):
            current_call()
        seen.append([call.method for call in current_calls()])
        return [f"{value} by {call.client}" for value, call in zip(values, current_calls(), strict=True)]

    with endpoint, RpcClient(endpoint.name, client_name="tester") as client:
        answers = together(client, "who", ["x", 1, 2])
    assert answers[1:] == ["1 by tester", "2 by tester"]
    assert seen == [["who", "who"]]
    with pytest.raises(RuntimeError, match="no batch runs here"):
        current_calls()


def test_a_swap_waits_for_no_batch(endpoint):
    began, go_on = threading.Event(), threading.Event()

    @endpoint.register("f", batch=Batch(max_size=2, max_wait_us=1e6))
    def old(values: list[int]) -> list[str]:
        began.set()
        go_on.wait()
        return ["old"] * len(values)

    with endpoint, RpcClient(endpoint.name) as client:
        results: list = []
        caller = threading.Thread(target=lambda: results.extend(together(client, "f", [1, 2])))
        caller.start()
        began.wait()
        endpoint.register("f")(lambda value: f"new {value}")
        assert client.call("f", 3) == "new 3"
        go_on.set()
        caller.join()
    assert results == ["old", "old"]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: None, "one parameter"),
        (lambda first, second: [], "one parameter"),
        (lambda *values: [], "one parameter"),
    ],
)
def test_a_handler_that_takes_no_list_is_refused(endpoint, wrong, match):
    with pytest.raises(TypeError, match=match):
        endpoint.register("wrong", batch=Batch())(wrong)


def test_a_handler_that_can_not_batch_is_refused(endpoint):
    async def later(values: list[int]) -> list[int]:
        return values

    def stream(values: list[int]) -> Iterator[int]:
        yield from values

    def number(value: int) -> list[int]:
        return [value]

    def single(values: list[int]) -> int:
        return values[0]

    for handler, match in [
        (later, "not for coroutines"), (stream, "not for generators"), (number, "'value' takes a list"),
        (single, "it returns a list"),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=match):
            endpoint.register(batch=Batch())(handler)
    with pytest.raises(TypeError, match=r"a pycrust.Batch, not int"):
        endpoint.register(batch=8)(single)
    with pytest.raises(ValueError, match="1 to 65536"):
        Batch(max_size=0)
    with pytest.raises(ValueError, match="max_wait_us"):
        Batch(max_wait_us=-1)
