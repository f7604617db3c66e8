"""Moments, dates and durations: nothing is cut, and what can't be held says so."""

from __future__ import annotations

import copy
import datetime as dt
import warnings
from typing import Any

import msgpack
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from pycrust import Timestamp, validate_arguments, validate_result
from pycrust._extension import decode, encode

FINE = Timestamp(1_772_368_215, 123_456_789)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999))
def test_any_timestamp_crosses(seconds, nanoseconds):
    packed = msgpack.packb(msgpack.Timestamp(seconds, nanoseconds))
    came = decode(packed)
    moment = came if isinstance(came, Timestamp) else Timestamp.of(came)
    assert moment == Timestamp(seconds, nanoseconds)
    assert encode(moment) == encode(came) == packed


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_a_datetime_and_its_timestamp(moment):
    stamp = Timestamp.of(moment)
    assert stamp.to_datetime() == moment
    assert Timestamp.parse(str(stamp)) == stamp
    assert decode(encode(stamp)) == moment


def test_a_timestamp_is_a_value():
    assert FINE == Timestamp.from_ns(FINE.to_ns()) == copy.deepcopy(FINE)
    assert copy.copy(FINE) == FINE
    assert min(FINE, Timestamp(0), Timestamp(-1, 999_999_999)) == Timestamp(-1, 999_999_999)
    assert len({FINE, Timestamp(FINE.seconds, FINE.nanoseconds)}) == 1
    assert str(FINE) == "2026-03-01T12:30:15.123456789Z"
    assert str(Timestamp(253_402_300_800)) == "+10000-01-01T00:00:00Z"
    assert Timestamp.parse("2026-03-01T14:30:15.123456789+02:00") == FINE
    with pytest.raises(AttributeError):
        FINE.seconds = 0  # type: ignore[misc]
    for wrong in ((2**63, 0), (0, -1), (0, 1_000_000_000)):
        with pytest.raises(ValueError, match="timestamp"):
            Timestamp(*wrong)
    for far in (FINE, Timestamp(2**60)):
        with pytest.raises(ValueError, match="datetime"):
            far.to_datetime()
    assert FINE.to_datetime(exact=False).microsecond == 123_456


def test_an_argument_that_is_annotated_with_it():
    def handler(at: Timestamp): ...

    whole = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    for value, expected in ((FINE, FINE), (whole, Timestamp.of(whole)), (str(FINE), FINE)):
        assert validate_arguments(handler, [value]) == ((expected,), {})
    for wrong in (5, "tomorrow", "2026-03-01T00:00:00"):
        with pytest.raises(ValidationError):
            validate_arguments(handler, [wrong])


def test_a_result_that_is_declared_as_it():
    class Reading(BaseModel):
        at: Timestamp

    assert validate_result(FINE, Timestamp) == FINE
    assert validate_result(Reading(at=FINE), Reading) == {"at": FINE}
    assert TypeAdapter(Reading).dump_json(Reading(at=FINE)) == b'{"at":"2026-03-01T12:30:15.123456789Z"}'
    assert TypeAdapter(Timestamp).json_schema() == {"type": "string", "format": "date-time", "x-nanoseconds": True}


#: Forms of Rust's libraries, and what a handler that declares the type gets.
FORMS: list[tuple[type, Any, Any]] = [
    (dt.date, [2026, 60], dt.date(2026, 3, 1)),
    (dt.time, [12, 30, 15, 5_000], dt.time(12, 30, 15, 5)),
    (dt.datetime, [2026, 60, 12, 30, 15, 5_000], dt.datetime(2026, 3, 1, 12, 30, 15, 5)),  # noqa: DTZ001 - naive
    (
        dt.datetime,
        [2026, 60, 12, 30, 15, 0, -3, -30, 0],
        dt.datetime(2026, 3, 1, 12, 30, 15, tzinfo=dt.timezone(-dt.timedelta(hours=3, minutes=30))),
    ),
    (dt.datetime, "2026-03-01 12:30:15.5 +00:00:00", dt.datetime(2026, 3, 1, 12, 30, 15, 500_000, dt.UTC)),
    (dt.datetime, "2026-03-01T12:30:15.123456000Z", dt.datetime(2026, 3, 1, 12, 30, 15, 123_456, dt.UTC)),
    (dt.timedelta, [90, 500_000_000], dt.timedelta(seconds=90.5)),
    (dt.timedelta, [-2, 500_000_000], dt.timedelta(seconds=-1.5)),
    (dt.timedelta, "-0.500000000", dt.timedelta(seconds=-0.5)),
    (dt.timedelta, "PT90.5S", dt.timedelta(seconds=90.5)),
    (bytes, [0, 127, 255], b"\x00\x7f\xff"),
    (bytes, [], b""),
]


@pytest.mark.parametrize(("declared", "value", "expected"), FORMS)
@pytest.mark.parametrize("strict", [False, True])
def test_forms_of_other_libraries(declared, value, expected, strict):
    from pydantic import ConfigDict, create_model

    model = create_model("M", __config__=ConfigDict(strict=strict), value=(declared, ...))
    _, kwargs = validate_arguments(lambda value: None, [value], request_model=model)
    assert kwargs == {"value": expected}


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (dt.datetime, str(FINE)),
        (dt.datetime, FINE),
        (dt.datetime, [2026, 60, 12, 30, 15, 1]),
        (dt.time, "12:30:15.123456789"),
        (dt.time, [12, 30, 15, 1]),
        (dt.timedelta, "PT0.000000001S"),
        (dt.timedelta, "0.000000001"),
        (dt.timedelta, [0, 1]),
    ],
)
def test_nanoseconds_are_refused_where_they_would_be_cut(declared, value):
    def handler(value): ...

    handler.__annotations__ = {"value": declared}
    with pytest.raises(ValidationError) as caught:
        validate_arguments(handler, {"value": value})
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("value",), "nanoseconds")
    assert "microseconds" in error["msg"]


@pytest.mark.parametrize(
    ("declared", "value"),
    [(dt.date, [2026, 0, 0]), (dt.date, [99_999, 1]), (dt.time, [25, 0, 0, 0]), (bytes, [256]), (bytes, ["a"])],
)
def test_numbers_that_are_no_such_form(declared, value):
    def handler(value): ...

    handler.__annotations__ = {"value": declared}
    with pytest.raises(ValidationError):
        validate_arguments(handler, {"value": value})


def test_years_beyond_9999():
    def handler(at: dt.datetime): ...

    with pytest.raises(ValidationError, match="years 1 to 9999"):
        validate_arguments(handler, [Timestamp(2**60)])
    # The last hours of such a year in a zone west of Greenwich.
    west = dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=5)))
    east = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    for moment in (west, east):
        assert decode(encode(moment)) == Timestamp.of(moment)


NS = "2026-03-01T12:30:15.123456789"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.datetime64(NS), NS),
        (np.datetime64("2026-03-01T12:30:15.123"), "2026-03-01T12:30:15.123"),
        (np.datetime64("2026-03-01"), "2026-03-01"),
        (np.datetime64("2026-03"), "2026-03-01"),
        (np.datetime64("2026-03-01T12"), "2026-03-01T12:00:00"),
        (np.datetime64(1_000, "ps"), "1970-01-01T00:00:00.000000001"),
        (np.timedelta64(1, "ns"), "PT0.000000001S"),
        (np.timedelta64(-1500, "ms"), "-PT1.5S"),
        (np.timedelta64(2, "W"), "PT1209600S"),
        (np.timedelta64(7_000, "ps"), "PT0.000000007S"),
        (pd.Timestamp(NS), NS),
        (pd.Timestamp(f"{NS}Z"), FINE),
        (pd.Timestamp(NS[:-3] + "Z"), FINE.to_datetime(exact=False)),
        (pd.Timedelta(1, "ns"), "PT0.000000001S"),
        (pd.Timedelta(days=-1), "-PT86400S"),
    ],
    ids=repr,
)
def test_times_of_numpy_and_pandas_are_whole(value, expected):
    assert decode(encode([value])) == [expected]
    assert decode(encode({"inside": {"a": value}})) == {"inside": {"a": expected}}


@pytest.mark.parametrize(
    ("value", "declared", "expected"),
    [
        (pd.Timestamp(f"{NS}Z"), dt.datetime, FINE),
        (pd.Timestamp(NS), dt.datetime, NS),
        (pd.Timedelta(1, "ns"), dt.timedelta, "PT0.000000001S"),
        (pd.Timestamp(f"{NS}Z"), Timestamp, FINE),
        (np.datetime64(NS), np.datetime64, NS),
    ],
    ids=repr,
)
def test_times_of_numpy_and_pandas_as_declared_results(value, declared, expected):
    assert validate_result(value, declared) == expected
    assert validate_result([value], list[declared]) == [expected]

    class Reading(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        at: declared  # type: ignore[valid-type]

    assert validate_result(Reading(at=value), Reading) == {"at": expected}


def without_unit(kind: type, value: object) -> Any:
    """One of NumPy's times without a unit, which newer NumPys warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return kind(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (pd.NaT, "NaT is no moment in time.*send None"),
        (without_unit(np.datetime64, "NaT"), "NaT is no moment in time.*send None"),
        (without_unit(np.timedelta64, "NaT"), "NaT is no moment in time.*send None"),
        (np.timedelta64(3, "M"), "months or years"),
        (without_unit(np.timedelta64, 3), "no unit"),
        (np.timedelta64(1, "ps"), "finer than a nanosecond"),
        (np.datetime64(1_001, "ps"), "finer than a nanosecond"),
    ],
    ids=repr,
)
def test_what_is_no_time_says_so(value, why):
    with pytest.raises((TypeError, ValueError), match=rf"\$\['a'\]\[0\]: .*{why}"):
        encode({"a": [value]})
