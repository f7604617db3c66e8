"""Forms in which callers send what Python has a type for, beside those that Pydantic reads.

Rust's libraries write dates and times in forms of their own: `time` as tuples of numbers or as text with a space
before the offset, `chrono` and `time` durations as seconds and nanoseconds, a `Vec<u8>` as a list of numbers. Text
to the nanosecond, which Pydantic would cut to microseconds, is refused with a reason. In strict models, text stands
for what JSON has no type for, as in Pydantic's strict JSON mode.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import functools
import re
import uuid
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticCustomError, SchemaValidator

from pycrust._extension import Step
from pycrust.values.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_FINE = re.compile(r"[.,]\d{6}(\d+)")
#: `time` writes `2026-03-01 12:30:15.5 +02:00:00`.
_SPACED_OFFSET = re.compile(r" ([+-]\d\d:\d\d)(?::00)?$")
#: `time` writes durations as seconds and nanoseconds: `-90.000000001`.
_SECONDS = re.compile(r"-?\d+\.\d{9}")
_ADVICE = {
    "datetime": "annotate it with pycrust.Timestamp, which keeps them, or send microseconds",
    "time": "send microseconds",
    "timedelta": "take an int of nanoseconds, or send microseconds",
}


def _too_fine(kind: str, what: object) -> PydanticCustomError:
    return PydanticCustomError(
        "nanoseconds",
        "Input has nanoseconds, which a {kind} can't hold: {advice} (it is {what})",
        {"kind": kind, "advice": _ADVICE[kind], "what": str(what)},
    )


def _micros(kind: str, nanos: int, value: object) -> int:
    micros, rest = divmod(nanos, 1_000)
    if rest:
        raise _too_fine(kind, value)
    return micros


def _coarse(kind: str, text: str) -> str:
    """Text without the zeros below a microsecond.

    Raises:
        PydanticCustomError: There is more than zeros.
    """
    fine = _FINE.search(text)
    if fine is None:
        return text
    if fine[1].strip("0"):
        raise _too_fine(kind, text)
    return text[: fine.start(1)] + text[fine.end(1) :]


def _numbers(value: Any, *counts: int) -> list[int] | None:
    """The whole numbers of a list of so many."""
    if type(value) is not list:
        return None
    items = cast("list[Any]", value)
    return items if len(items) in counts and all(type(item) is int for item in items) else None


def _made(value: Any, make: Callable[[], Any]) -> Any:
    """What `make` makes; the value itself, for Pydantic to refuse, where the numbers are none."""
    try:
        return make()
    except (TypeError, ValueError, OverflowError):
        return value


def _date(value: Any) -> Any:
    numbers = _numbers(value, 2)
    if numbers is None:
        return value
    year, ordinal = numbers
    return _made(value, lambda: dt.date(year, 1, 1) + dt.timedelta(days=ordinal - 1))


def _time(value: Any) -> Any:
    numbers = _numbers(value, 4)
    if numbers is None:
        return _coarse("time", value) if type(value) is str else value
    hour, minute, second, nanos = numbers
    micros = _micros("time", nanos, value)
    return _made(value, lambda: dt.time(hour, minute, second, micros))


def _datetime(value: Any) -> Any:
    if type(value) is str:
        return _coarse("datetime", _SPACED_OFFSET.sub(r"\1", value))
    if type(value) is Timestamp:
        _micros("datetime", value.nanoseconds, value)
        raise PydanticCustomError(
            "datetime_range",
            "Input lies outside of the years 1 to 9999, which a datetime can hold: annotate it with "
            "pycrust.Timestamp (it is {moment})",
            {"moment": str(value)},
        )
    numbers = _numbers(value, 6, 9)
    if numbers is None:
        return value
    year, ordinal, hour, minute, second, nanos, *offset = numbers
    micros = _micros("datetime", nanos, value)

    def make() -> dt.datetime:
        zone = None
        if offset:
            hours, minutes, seconds = offset
            zone = dt.timezone(dt.timedelta(hours=hours, minutes=minutes, seconds=seconds))
        first = dt.datetime(year, 1, 1, hour, minute, second, micros, zone)
        return first + dt.timedelta(days=ordinal - 1)

    return _made(value, make)


def _timedelta(value: Any) -> Any:
    if type(value) is str:
        if not _SECONDS.fullmatch(value):
            return _coarse("timedelta", value)
        seconds, nanos = (int(part) for part in value.split("."))
        numbers: list[int] | None = [seconds, -nanos if value[0] == "-" else nanos]
    else:
        numbers = _numbers(value, 2)
    if numbers is None:
        return value
    seconds, nanos = numbers
    micros = _micros("timedelta", nanos, value)
    return _made(value, lambda: dt.timedelta(seconds=seconds, microseconds=micros))


def _bytes(value: Any) -> Any:
    return _made(value, lambda: bytes(cast("list[int]", value))) if type(value) is list else value


_CLASSES: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "date": (dt.date, _date),
    "time": (dt.time, _time),
    "datetime": (dt.datetime, _datetime),
    "timedelta": (dt.timedelta, _timedelta),
    "bytes": (bytes, _bytes),
}

#: What only a strict schema needs a step for.
_STRICT_CLASSES: dict[str, type] = {
    "uuid": uuid.UUID,
    "decimal": decimal.Decimal,
    "complex": complex,
    "fraction": fractions.Fraction,
}

#: Kinds whose lax form takes from the wire exactly what Pydantic's strict JSON mode takes: lists, maps, values.
LAX = frozenset(
    {"dataclass", "tuple", "set", "frozenset", "deque", "enum", "counter", "ordered-dict", "frozendict"}
)


@functools.cache
def step(kind: str, *, strict: bool) -> Step | None:
    """The step before a schema of this kind; `None` if it needs none.

    Args:
        kind: The type of a core schema.
        strict: Whether the schema is strict: then text is read as in Pydantic's strict JSON mode.
    """
    if kind in _CLASSES:
        cls, function = _CLASSES[kind]
        return Step(cls, kind != "bytes" and not strict, _by_text(kind, function) if strict else function)
    if strict and kind in _STRICT_CLASSES:
        return Step(_STRICT_CLASSES[kind], False, _by_text(kind, _same))  # noqa: FBT003 - by position in the native class
    return None


def _same(value: Any) -> Any:
    return value


def _by_text(kind: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The step for a strict schema, which takes no text itself."""
    read = SchemaValidator(cast("Any", {"type": kind}), _use_prebuilt=False).validate_python
    numbers = {int, float} if kind == "decimal" else set[type]()

    def by_text(value: Any) -> Any:
        value = function(value)
        return read(value) if type(value) is str or type(value) in numbers else value

    return by_text
