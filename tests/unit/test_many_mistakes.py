"""Values with very many mistakes: the first ones are told and all are counted, in an answer that stays small."""

from __future__ import annotations

import re
from collections.abc import Iterator  # a handler's annotation
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model, field_validator

from pycrust import RpcClient, RpcError
from pycrust._extension import encode
from pycrust.calls import failures
from pycrust.errors import Code, describe, describe_arguments, describe_result, traceback_text
from pycrust.values.invalid import MOST, Mistakes
from pycrust.values.misfits import explain

MANY = 100_000
#: Bytes of any answer that tells of mistakes.
SMALL = 64 << 10
WRONG = ["x"] * MANY
NAMES = {f"n{number}": 1 for number in range(MANY)}


class Row(BaseModel):
    a: int
    b: list[int] = []


class Rows(BaseModel):
    rows: list[Row]


Wide = create_model("Wide", **{f"field_{number}": (int, ...) for number in range(5_000)})


class Wordy(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def check(cls, value: str) -> str:
        raise ValueError(f"{value} is wrong")


@pytest.fixture
def serving(endpoint):
    @endpoint.register
    def numbers(x: list[int]) -> None: ...

    @endpoint.register
    def named(x: dict[str, int]) -> None: ...

    @endpoint.register
    def nested(rows: Rows) -> None: ...

    @endpoint.register
    def wordy(x: list[Wordy]) -> None: ...

    @endpoint.register
    def both(x: list[int] | dict[str, int]) -> None: ...

    @endpoint.register
    def nothing() -> None: ...

    @endpoint.register(request_model=Wide)
    def wide(**fields: int) -> None: ...

    @endpoint.register
    def items(each: Iterator[list[int]]) -> int:
        return sum(1 for _ in each)

    @endpoint.register
    def result(count: int) -> list[int]:
        return ["x"] * count

    @endpoint.register
    def own(x: list) -> None:
        try:
            TypeAdapter(list[int]).validate_python(x)
        except ValidationError as error:
            raise RuntimeError("not mine") from error

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        yield endpoint, client


def refused(client: RpcClient, method: str, *arguments: Any, **keywords: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        client.request(method, timeout=300).call(*arguments, **keywords)
    return caught.value


@pytest.mark.parametrize(
    ("method", "arguments", "first", "count"),
    [
        ("numbers", [WRONG], ["x", 0], MANY),
        ("numbers", {"x": WRONG}, ["x", 0], MANY),
        ("named", [dict.fromkeys(NAMES, "x")], ["x", "n0"], MANY),
        ("nested", [{"rows": [{"a": "x", "b": ["y"]}] * MANY}], ["rows", "rows", 0, "a"], 2 * MANY),
        ("nested", [[[["x", ["y"]]] * MANY]], ["rows", "rows", 0, "a"], 2 * MANY),
        ("nested", [{"rows": [], **NAMES}], ["rows", "n0"], MANY),
        ("both", [WRONG], ["x", "list[int]", 0], MANY + 1),
        ("wordy", [[{"text": "long " * 1_000}] * 2_000], ["x", 0, "text"], 2_000),
        ("nothing", WRONG, [0], MANY),
        ("nothing", NAMES, ["n0"], MANY),
        ("numbers", WRONG, [1], MANY - 1),
        ("numbers", {"x": [], **NAMES}, ["n0"], MANY),
        ("wide", {}, ["field_0"], 5_000),
        ("wide", [1], ["field_1"], 4_999),
        ("wide", {**dict.fromkeys(Wide.model_fields, 1), **NAMES}, ["n0"], MANY),
    ],
)  # fmt: skip
def test_an_answer_stays_small(serving, method, arguments, first, count):
    endpoint, client = serving
    keywords = arguments if isinstance(arguments, dict) else {}
    error = refused(client, method, *([] if keywords else arguments), **keywords)
    assert error.code is Code.INVALID_ARGUMENT
    assert error.details[0]["loc"] == first
    assert len(error.details) <= MOST
    left = count - len(error.details)
    assert f"({count:,} in all: the details list {len(error.details)}, {left:,} more are left out)" in error.message
    assert re.search(r"; and [\d,]+ more \(", error.message)
    assert len(encode([error.message, error.details])) < SMALL
    (call,) = endpoint.traffic()
    assert call.source.response_len < SMALL
    assert call.error.details == error.details


def test_mistakes_that_are_told_are_told_as_ever(serving):
    _, client = serving
    error = refused(client, "numbers", ["x"] * MOST)
    assert len(error.details) == MOST
    assert error.message.endswith(f"; and {MOST - 5} more")
    error = refused(client, "numbers", ["x"] * (MOST + 1))
    assert len(error.details) == MOST
    assert error.message.endswith("; and 96 more (101 in all: the details list 100, 1 more are left out)")


def test_results_and_streamed_arguments(serving):
    _, client = serving
    error = refused(client, "result", MANY)
    assert error.code is Code.INTERNAL
    assert (error.details[0]["loc"], len(error.details)) == ([0], MOST)
    assert f"({MANY:,} in all:" in error.message
    assert len(encode([error.message, error.details])) < SMALL
    with pytest.raises(RpcError) as caught:
        client.request("items", timeout=300).upload([[1], WRONG])
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(caught.value.details) == MOST
    assert len(encode([caught.value.message, caught.value.details, caught.value.__notes__])) < SMALL


def test_an_exception_of_the_handlers_own(serving):
    endpoint, client = serving
    error = refused(client, "own", WRONG)
    (trace,) = error.__notes__
    assert error.message == "not mine"
    assert f"pydantic_core.ValidationError: {MANY:,} validation errors for list[int]\n0\n" in trace
    assert f"… {MANY - MOST:,} more are left out\n" in trace
    assert "\nThe above exception was the direct cause of the following exception:\n" in trace
    assert trace.endswith("RuntimeError: not mine\n")
    assert "in own" in trace
    assert endpoint.traffic()[-1].source.response_len < SMALL


def heavy(count: int = MANY) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python(["x"] * count)
    return caught.value


class Watched:
    """Stands for an error, and says what is asked of it."""

    def __init__(self, error: ValidationError) -> None:
        self.error = error
        self.title = error.title
        self.asked: list[str] = []

    def error_count(self) -> int:
        return self.error.error_count()

    def errors(self, **options: bool) -> list[Any]:
        self.asked.append("errors")
        return self.error.errors(**options)

    def json(self, **options: bool) -> str:
        self.asked.append("json")
        return self.error.json(**options)


@pytest.mark.parametrize(("count", "asked"), [(1, "errors"), (1_000, "errors"), (1_001, "json"), (MANY, "json")])
def test_many_are_never_listed(count, asked):
    watched = Watched(heavy(count))
    found = Mistakes.of(watched)
    assert Mistakes.of(watched) is found, "the log asks again"
    assert watched.asked == [asked]
    assert found.count == count
    assert found.listed == [
        {
            "loc": [number],
            "msg": "Input should be a valid integer, unable to parse string as an integer",
            "type": "int_parsing",
        }
        for number in range(min(count, MOST))
    ]


def test_texts_of_many_are_short_everywhere():
    error = heavy()
    for code, payload in (describe(error), describe(error, traceback=False), describe_result(error)):
        assert code in {Code.UNKNOWN, Code.INTERNAL}
        assert f"{MANY:,}" in payload["message"]
        assert len(encode(payload)) < SMALL
    assert len(failures._what(Code.INVALID_ARGUMENT, "", error)) < 1_000
    assert len(failures._what(Code.UNKNOWN, "ValidationError", error)) < 1_000
    error.add_note("a note")
    assert traceback_text(error).endswith("more are left out\na note\n")


def test_exceptions_that_came_of_one_another():
    first, second = heavy(2_000), ValueError("second")
    first.__context__, second.__context__ = second, first
    text = traceback_text(second)
    assert "2,000 validation errors" in text
    assert text.endswith("ValueError: second\n")
    assert (first.__context__, second.__context__) == (second, first), "the exceptions are as they were"


def test_long_keys_and_messages_are_cut():
    class Locked(BaseModel):
        x: dict[str, int]

        @field_validator("x", mode="before")
        @classmethod
        def check(cls, value: Any) -> Any:
            if isinstance(value, str):
                raise ValueError(value)  # noqa: TRY004 - Pydantic's mistake is a ValueError
            return value

    for value in ({"k" * 1_000_000: "x"}, "long " * 1_000_000, {"🙂" * 1_000_000: "x"}, "🙂" * 1_000_000):
        with pytest.raises(ValidationError) as caught:
            Locked(x=value)
        _, payload = describe_arguments(caught.value)
        assert len(encode(payload)) < 32_768
        (line,) = payload["details"]
        assert line["loc"][0] == "x"
        assert all(len(step.encode()) < 200 for step in line["loc"])
    names = {f"{number}{'k' * 10_000}end": "x" for number in range(50)}
    with pytest.raises(ValidationError) as caught:
        Locked(x=names)
    _, payload = describe_arguments(caught.value)
    assert payload["details"][7]["loc"][1].startswith("7kkk")
    assert payload["details"][7]["loc"][1].endswith("…" + "k" * 61 + "end")


def test_deep_places_keep_their_ends():
    class Tree(BaseModel):
        value: int
        inner: Tree | None = None

    tree: dict[str, Any] = {"value": "x"}
    for _ in range(100):
        tree = {"value": 1, "inner": tree}
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(tree)
    ((loc),) = [line["loc"] for line in describe_arguments(caught.value)[1]["details"]]
    assert (len(loc), loc[0], loc[-1]) == (65, "inner", "value")
    assert "…" in loc


def test_a_key_that_is_made_of_the_names_of_steps():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"function-before[array_to_dict(), " * 30_000: "x"})
    explain(caught.value, "args", ["x"], None, [])
    assert len(encode(describe_arguments(caught.value)[1])) < 8_192


def test_texts_that_are_longer_than_what_is_read():
    class Failing(BaseModel):
        x: str

        @field_validator("x")
        @classmethod
        def check(cls, value: str) -> str:
            raise ValueError(value)

    for value in ('🙂 "\\\n\x00' * 8_000, '🙂 "\\\n\x00' * 1_000):
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(list[Failing]).validate_python([{"x": value}] * 1_500)
        code, payload = describe_arguments(caught.value)
        assert code == Code.INVALID_ARGUMENT
        assert "1,500" in payload["message"]
        assert len(encode(payload)) < SMALL


@pytest.mark.parametrize(
    "value",
    [
        {f"k{number}": object() for number in range(MANY)},
        [object()] * MANY,
        {"k" * 1_000_000: object()},
        {"k" * 1_000_000: {"l" * 1_000_000: [1, object()]}},
    ],
    ids=["by name", "by position", "a long name", "long names"],
)
def test_results_that_can_not_be_sent(value):
    with pytest.raises(TypeError) as caught:
        encode(value)
    code, payload = describe_result(caught.value)
    assert code == Code.INTERNAL
    assert "object" in payload["message"]
    assert len(encode(payload)) < SMALL
