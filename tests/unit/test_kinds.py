"""Handlers of every kind: what they may be, and what one call in this process gives."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import BaseModel, ValidationError

from pycrust import current_call


class Point(BaseModel):
    x: int


def test_a_coroutine_gives_its_result(endpoint):
    @endpoint.register
    async def add(a: int, b: int = 1) -> int:
        await asyncio.sleep(0)
        return a + b

    assert endpoint._dispatch("add", {"a": "2"}) == 3
    assert endpoint["add"](1, b=4) == 5
    with pytest.raises(ValidationError):
        endpoint._dispatch("add", ["x"])

    async def inside() -> int:
        return endpoint._dispatch("add", [1])

    assert asyncio.run(inside()) == 2, "also where an event loop runs"


def test_generators_give_their_items_one_by_one(endpoint):
    made = []

    @endpoint.register
    def points(count: int) -> Iterator[Point]:
        for x in range(count):
            made.append(x)
            yield Point(x=x)

    items = endpoint._dispatch("points", [3])
    assert next(items) == {"x": 0}
    assert made == [0]
    assert list(items) == [{"x": 1}, {"x": 2}]


def test_items_are_validated(endpoint):
    @endpoint.register
    def numbers() -> Iterator[int]:
        yield 1
        yield "two"  # the second item breaks the declaration

    items = endpoint._dispatch("numbers")
    assert next(items) == 1
    with pytest.raises(ValidationError):
        next(items)


def test_async_generators_give_their_items(endpoint):
    @endpoint.register
    async def letters(word: str) -> AsyncIterator[str]:
        for letter in word:
            await asyncio.sleep(0)
            yield letter

    assert list(endpoint._dispatch("letters", ["abc"])) == ["a", "b", "c"]


def test_an_iterator_takes_what_is_streamed(endpoint):
    @endpoint.register
    def total(numbers: Iterator[int]) -> int:
        return sum(numbers)

    @endpoint.register
    async def doubled(points: AsyncIterator[Point]) -> AsyncIterator[int]:
        async for point in points:
            yield point.x * 2

    assert endpoint._dispatch("total", [1, "2", 3]) == 6
    assert list(endpoint._dispatch("doubled", [{"x": 1}, [2]])) == [2, 4]
    with pytest.raises(TypeError, match="stream of arguments"):
        endpoint._dispatch("total", {"numbers": [1]})


@pytest.mark.parametrize("kind", ["partial", "callable", "method", "wrapped"])
def test_whatever_is_called(endpoint, kind):
    async def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        async def __call__(self, a: int) -> int:
            return a + 1

        async def add(self, a: int) -> int:
            return a + 1

    handlers = {
        "partial": functools.partial(add, b=1),
        "callable": Adder(),
        "method": Adder().add,
        "wrapped": functools.partial(functools.partial(add, 1)),
    }
    endpoint.register("f")(handlers[kind])
    assert endpoint._dispatch("f", {"b": 2} if kind == "wrapped" else {"a": 2}) == 3


def test_what_can_not_be_registered(endpoint):
    async def coroutine() -> int:
        return 1

    def lists() -> list[int]:
        yield 1

    def two(numbers: Iterator[int], scale: float) -> float: ...

    async def unlike(numbers: Iterator[int]) -> int: ...

    for function, options, message in (
        (coroutine, {"context": lambda: None}, "context= is for handlers that return"),
        (coroutine, {"loop": "other"}, "'worker' or 'kernel'"),
        (coroutine, {"loop": "kernel"}, "needs an event loop that runs here"),
        (coroutine, {"concurrency": 0}, "at least 1"),
        (lists, {}, "its return type is an Iterator"),
        (two, {}, "so it is the only parameter"),
        (unlike, {}, "'numbers' is an AsyncIterator"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            endpoint.register(**options)(function)
    assert list(endpoint) == []


def test_there_is_no_current_call_outside_of_one():
    with pytest.raises(RuntimeError, match="no call runs here"):
        current_call()
