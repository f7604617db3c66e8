"""Strict models take what Pydantic's strict JSON mode takes, and what MessagePack has and JSON has not."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import pathlib
import re
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, SecretStr, Strict, ValidationError, create_model
from pydantic.dataclasses import dataclass

from pycrust import validate_arguments

STRICT = ConfigDict(strict=True)


class Color(enum.Enum):
    RED = "red"


class Named(NamedTuple):
    id: uuid.UUID


@dataclass(config=STRICT)
class Data:
    day: dt.date


class Inner(BaseModel):
    model_config = STRICT
    ids: set[uuid.UUID]


ID = "12345678-1234-5678-1234-567812345678"

#: A declared type and what JSON has for it.
TAKEN: list[tuple[Any, Any]] = [
    (tuple[int, str], [1, "a"]),
    (tuple[int, ...], [1, 2]),
    (set[int], [1]),
    (frozenset[int], [1]),
    (collections.deque[int], [1]),
    (uuid.UUID, ID),
    (dt.date, "2026-03-01"),
    (dt.datetime, "2026-03-01T12:30:15.5Z"),
    (dt.time, "12:30:15"),
    (dt.timedelta, "PT1.5S"),
    (decimal.Decimal, "1.50"),
    (decimal.Decimal, 2),
    (fractions.Fraction, "1/3"),
    (complex, "1+2j"),
    (Color, "red"),
    (Literal["a"], "a"),
    (bytes, "text"),
    (float, 1),
    (pathlib.Path, "/tmp"),
    (ipaddress.IPv4Address, "10.0.0.1"),
    (ipaddress.IPv6Network, "::/64"),
    (AnyUrl, "http://x/"),
    (re.Pattern, "a+"),
    (SecretStr, "s"),
    (Named, [ID]),
    (Data, {"day": "2026-03-01"}),
    (Inner, {"ids": [ID]}),
    (list[Inner], [{"ids": [ID]}]),
    (dict[uuid.UUID, tuple[dt.date, ...]], {ID: ["2026-03-01"]}),
    (uuid.UUID | None, ID),
    (int | uuid.UUID, ID),
    (Annotated[tuple[int, ...], Field(min_length=1)], [1]),
]


def strict(declared: Any) -> type[BaseModel]:
    return create_model("M", __config__=STRICT, value=(declared, ...))


@pytest.mark.parametrize(("declared", "value"), TAKEN, ids=lambda part: repr(part)[:40])
def test_what_json_has_is_taken_as_pydantic_takes_it(declared, value):
    model = strict(declared)
    expected = model.model_validate_json(json.dumps({"value": value})).value
    for arguments in ({"value": value}, [value]):
        _, kwargs = validate_arguments(lambda value: None, arguments, request_model=model)
        assert kwargs == {"value": expected}
        assert type(kwargs["value"]) is type(expected)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (int, "1"),
        (str, 1),
        (float, "1"),
        (tuple[int, ...], ["1"]),
        (dt.date, 5),
        (dt.datetime, 5),
        (dt.timedelta, 5),
        (uuid.UUID, 5),
        (uuid.UUID, "no id"),
        (decimal.Decimal, True),
        (Color, "blue"),
        (Inner, {"ids": [5]}),
    ],
)
def test_what_strict_json_refuses_is_refused(declared, value):
    model = strict(declared)
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps({"value": value}))
    with pytest.raises(ValidationError) as caught:
        validate_arguments(lambda value: None, {"value": value}, request_model=model)
    assert {error["loc"][0] for error in caught.value.errors()} == {"value"}


def test_what_json_has_not():
    moment = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)
    for declared, value in ((bytes, b"\xff"), (dt.datetime, moment)):
        _, kwargs = validate_arguments(lambda value: None, [value], request_model=strict(declared))
        assert kwargs == {"value": value}


def test_a_field_alone_may_be_strict():
    def handler(ids: Annotated[tuple[int, ...], Strict()], ip: Annotated[ipaddress.IPv4Address, Strict()]): ...

    args, _ = validate_arguments(handler, [[1], "10.0.0.1"])
    assert args == ((1,), ipaddress.IPv4Address("10.0.0.1"))


def test_a_model_in_a_strict_one_is_as_strict_as_it_says():
    class Lax(BaseModel):
        count: int

    class Outer(BaseModel):
        model_config = STRICT
        lax: Lax

    _, kwargs = validate_arguments(lambda lax: None, [{"count": "3"}], request_model=Outer)
    assert kwargs == {"lax": Lax(count=3)}
