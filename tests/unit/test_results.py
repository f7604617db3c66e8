"""Results of every type: validated, serialised, and read again on the other side of MessagePack."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import ipaddress
import pathlib
import types
import uuid
from typing import Annotated, Any, NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainSerializer, SecretStr, ValidationError, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from pycrust import validate_result
from pycrust._extension import decode, encode
from pycrust.handlers.results import plan_result


class Color(enum.Enum):
    RED = "red"
    BLUE = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Point(BaseModel):
    x: float
    y: float = 0.0


class Named(BaseModel):
    plain: int
    aliased: bytes = Field(b"", alias="ALIASED")

    @computed_field
    def twice(self) -> int:
        return 2 * self.plain


@dataclasses.dataclass
class Data:
    point: Point
    raw: bytes = b"\xff"


@pydantic_dataclass
class Checked:
    at: dt.date


class Typed(TypedDict):
    level: Level


class Pair(NamedTuple):
    a: int
    b: Point


class Text(str): ...


AWARE = dt.datetime(2026, 3, 1, 12, 30, 15, 123_456, tzinfo=dt.timezone(dt.timedelta(hours=2)))
NAIVE = dt.datetime(2026, 3, 1, 12, 30, 15)  # noqa: DTZ001 - naive on purpose
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

#: A value, its declared type, and what a caller gets.
VALUES: list[tuple[Any, Any, Any]] = [
    (None, None, None),
    (True, bool, True),
    (-(2**63), int, -(2**63)),
    (2**64 - 1, int, 2**64 - 1),
    (1.5, float, 1.5),
    ("é", str, "é"),
    (b"\xff\x00", bytes, b"\xff\x00"),
    ([1, [2]], list, [1, [2]]),
    ((1, "a"), tuple[int, str], [1, "a"]),
    ({"a": 1, 2: b"x"}, dict, {"a": 1, 2: b"x"}),
    ({3}, set[int], [3]),
    (frozenset({3}), frozenset[int], [3]),
    (AWARE, dt.datetime, AWARE),
    (NAIVE, dt.datetime, "2026-03-01T12:30:15"),
    (dt.date(2026, 3, 1), dt.date, "2026-03-01"),
    (dt.time(1, 2, 3), dt.time, "01:02:03"),
    (dt.timedelta(hours=1.5), dt.timedelta, "PT1H30M"),
    (ID, uuid.UUID, str(ID)),
    (decimal.Decimal("1.10"), decimal.Decimal, "1.10"),
    (Color.RED, Color, "red"),
    (Color.BLUE, Color, [1, 2]),
    (Level.LOW, Level, 1),
    (Word.YES, Word, "yes"),
    (pathlib.Path("/tmp/x"), pathlib.Path, "/tmp/x"),
    (ipaddress.IPv4Address("10.0.0.1"), ipaddress.IPv4Address, "10.0.0.1"),
    (Point(x=1), Point, {"x": 1.0, "y": 0.0}),
    (Named(plain=2, ALIASED=b"\xfe"), Named, {"plain": 2, "ALIASED": b"\xfe", "twice": 4}),
    (Data(Point(x=1)), Data, {"point": {"x": 1.0, "y": 0.0}, "raw": b"\xff"}),
    (Checked(dt.date(2026, 3, 1)), Checked, {"at": "2026-03-01"}),
    ({"level": Level.LOW}, Typed, {"level": 1}),
    (Pair(1, Point(x=2)), Pair, [1, {"x": 2.0, "y": 0.0}]),
    ([Point(x=1)], list[Point], [{"x": 1.0, "y": 0.0}]),
    ({"k": [ID, AWARE]}, dict[str, list[uuid.UUID | dt.datetime]], {"k": [str(ID), AWARE]}),
    (SecretStr("s3cret"), SecretStr, "**********"),
    (collections.deque([1, 2]), collections.deque[int], [1, 2]),
    (collections.OrderedDict(a=1), collections.OrderedDict, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "declared", "expected"), VALUES, ids=lambda part: repr(part)[:40])
def test_declared(value, declared, expected):
    assert validate_result(value, declared) == expected


@pytest.mark.parametrize(("value", "_declared", "expected"), VALUES, ids=lambda part: repr(part)[:40])
def test_undeclared(value, _declared, expected):
    assert decode(encode(value)) == expected
    assert decode(encode({"inside": [value]})) == {"inside": [expected]}
    assert validate_result(value, Any) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Text("x"), "x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.int64(-3), -3),
        (np.bool_(True), True),
    ],
)
def test_kinds_of_the_basic_types(value, expected):
    assert decode(encode(value)) == expected


class Opaque:
    def __str__(self) -> str:
        raise AssertionError("nobody asks for this text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "named", "path"),
    [
        (Opaque(), "Opaque", r"\$"),
        ({"a": [1, {"b": Opaque()}]}, "Opaque", r"\$\['a'\]\[1\]\['b'\]"),
        (1j, "complex", r"\$"),
        (Data(Opaque()), "Opaque", r"\$\['point'\]"),
        (iter([1]), "list_iterator", r"\$"),
        (len, "builtin_function", r"\$"),
        (int, "type", r"\$"),
        (ValueError("x"), "ValueError", r"\$"),
        ({Opaque: 1}, "type", r"as a key"),
    ],
)
def test_what_cannot_cross_is_named_with_its_place(value, named, path):
    with pytest.raises(TypeError, match=path) as caught:
        encode(value)
    assert named in str(caught.value)


@pytest.mark.parametrize("value", [2**128, -(2**127) - 1, "\ud800"])
def test_values_without_a_form(value):
    with pytest.raises(ValueError, match="no .*form"):
        encode([value])


def test_what_contains_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested deeper"):
        encode(loop)


@pytest.mark.parametrize(
    ("value", "declared"),
    [("x", int), (1, None), ({"x": 1, "y": "z"}, Point), ([1, "x"], list[int]), (None, int), (3, Color)],
)
def test_a_result_that_does_not_fit_is_refused(value, declared):
    with pytest.raises(ValidationError):
        validate_result(value, declared)


def test_results_are_coerced_like_arguments():
    assert validate_result("3", int) == 3
    assert validate_result({"x": "1"}, Point) == {"x": 1.0, "y": 0.0}
    assert validate_result((n for n in (1, 2)), list[int]) == [1, 2]


def test_a_class_that_was_defined_again_is_read_by_field():
    def define() -> type[BaseModel]:
        class Result(BaseModel):
            x: int
            inner: Point

        return Result

    old, new = define(), define()
    value = new(x=1, inner=Point(x=2))
    assert validate_result(value, old) == validate_result(value, new) == {"x": 1, "inner": {"x": 2.0, "y": 0.0}}
    assert validate_result([value], list[old]) == [{"x": 1, "inner": {"x": 2.0, "y": 0.0}}]


def test_a_models_wrong_field_is_warned_about():
    """Pydantic checks instances when they are made; what is assigned later it only warns of."""
    value = Point(x=1)
    value.x = "far"  # type: ignore[assignment]
    with pytest.warns(UserWarning, match="Expected `float`"):
        assert validate_result(value, Point) == {"x": "far", "y": 0.0}


@pytest.mark.parametrize(
    ("declared", "keywords"), [(Point, False), (list[Point], False), (Named, True), (dict[str, Named | None], True)]
)
def test_aliases_are_asked_for_only_where_there_are_any(declared, keywords):
    assert isinstance(plan_result("f", declared).serialize, functools.partial) is keywords


def test_aliases_deep_inside_and_of_computed_fields():
    class Deep(BaseModel):
        named: list[Named]

        @computed_field(alias="OUT")
        def inner(self) -> int:
            return 1

    value = Deep(named=[Named(plain=1)])
    expected = {"named": [{"plain": 1, "ALIASED": b"", "twice": 2}], "OUT": 1}
    assert validate_result(value, Deep) == validate_result(value, Any) == expected


def test_own_serializers_are_used():
    hexed = Annotated[int, PlainSerializer(hex)]
    assert validate_result(255, hexed) == "0xff"
    assert validate_result({"a": 255}, dict[str, hexed]) == {"a": "0xff"}
    assert validate_result([None, 255], list[hexed | None]) == [None, "0xff"]


@pytest.mark.parametrize(
    "declared",
    [int, str, float, bool, None, bytes, list[int], dict[str, float | None], tuple[int, ...], dt.datetime],
)
def test_no_serializer_where_it_would_change_nothing(declared):
    plan = plan_result("f", declared)
    assert plan.serialize is None
    assert type(plan.validate.__self__).__name__ == "SchemaValidator"


def test_no_declared_type_no_steps():
    plan = plan_result("f", Any)
    assert (plan.validate, plan.serialize) == (None, None)


def test_the_schema_is_of_what_is_sent():
    assert set(plan_result("f", Named).schema["properties"]) == {"plain", "ALIASED", "twice"}


def test_a_type_without_schema():
    with pytest.raises(TypeError, match="f: no validator can be made for the result"):
        plan_result("f", "not a type")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-(2**63), 2**64 - 1), inner),
        max_leaves=30,
    )
)
def test_other_implementations_agree(value):
    assert msgpack.unpackb(encode(value), strict_map_key=False) == value
    assert decode(msgpack.packb(value)) == value


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_timestamps_agree(moment):
    assert msgpack.unpackb(encode(moment), timestamp=3) == moment
    assert decode(msgpack.packb(moment, datetime=True)) == moment
