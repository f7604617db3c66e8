"""Moments to the nanosecond, where `datetime` counts microseconds of the years 1 to 9999."""

from __future__ import annotations

import functools
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The Gregorian calendar repeats itself after 400 years.
_CYCLE = 146_097 * 86_400
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9})0*)? ?([Zz]|[+-]\d\d:?\d\d)")


@functools.total_ordering
class Timestamp:
    """A moment: seconds and nanoseconds since 1970-01-01 in UTC, as MessagePack's timestamps have them.

    An aware `datetime` crosses as such a timestamp, and what comes is one again wherever it can hold the moment.
    Where it can't, for its nanoseconds or its year, this comes in its place. A parameter that is annotated with it
    gets it always.

    Args:
        seconds: Whole seconds, rounded down; within 64 bits.
        nanoseconds: Nanoseconds above them: 0 to 999,999,999, also before 1970.

    Raises:
        ValueError: A number lies outside its range.

    Examples:
        >>> moment = Timestamp.parse("2026-03-01T12:30:15.123456789Z")
        >>> moment
        Timestamp(1772368215, 123456789)
        >>> print(moment)
        2026-03-01T12:30:15.123456789Z
        >>> moment > Timestamp(0)
        True
    """

    __slots__ = ("nanoseconds", "seconds")

    seconds: int
    nanoseconds: int

    def __init__(self, seconds: int, nanoseconds: int = 0) -> None:
        """Keeps both numbers."""
        if not -(2**63) <= seconds < 2**63:
            raise ValueError(f"a timestamp's seconds have 64 bits, {seconds} are more")
        if not 0 <= nanoseconds < _SECOND:
            raise ValueError(f"a timestamp has 0 to 999999999 nanoseconds, not {nanoseconds}")
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "nanoseconds", nanoseconds)

    @classmethod
    def now(cls) -> Timestamp:
        """What the clock says now."""
        return cls.from_ns(time.time_ns())

    @classmethod
    def from_ns(cls, nanoseconds: int) -> Timestamp:
        """The moment so many nanoseconds after 1970 began."""
        return cls(*divmod(nanoseconds, _SECOND))

    @classmethod
    def of(cls, moment: datetime) -> Timestamp:
        """The moment of an aware `datetime`, or of a `pandas.Timestamp` with its nanoseconds.

        Raises:
            ValueError: It is naive: which moment it is depends on where it was read.
        """
        if moment.tzinfo is None:
            raise ValueError(f"{moment} is naive: give it a timezone")
        since = moment - _EPOCH
        finer = int(getattr(moment, "nanosecond", 0))
        return cls(since.days * 86_400 + since.seconds, since.microseconds * 1_000 + finer)

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """Reads RFC 3339: a date, a time to the nanosecond at most, and an offset from UTC.

        Raises:
            ValueError: It is something else.
        """
        found = _MOMENT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no moment: 2026-03-01T12:30:15.5Z is one")
        whole, fraction, offset = found.groups()
        moment = datetime.fromisoformat(f"{whole}{offset.upper()}")
        return cls(cls.of(moment).seconds, int((fraction or "").ljust(9, "0")))

    def to_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self.seconds * _SECOND + self.nanoseconds

    def to_datetime(self, *, exact: bool = True) -> datetime:
        """The aware `datetime` of this moment, in UTC.

        Args:
            exact: Whether it is an error that a `datetime` has no nanoseconds; if not, they are dropped.

        Raises:
            ValueError: A `datetime` can't hold the moment.
        """
        micros, rest = divmod(self.nanoseconds, 1_000)
        if rest and exact:
            raise ValueError(f"{self} has nanoseconds, which datetime has not: to_datetime(exact=False) drops them")
        try:
            return _EPOCH + timedelta(seconds=self.seconds, microseconds=micros)
        except OverflowError:
            raise ValueError(f"{self} lies outside of datetime's years 1 to 9999") from None

    def __setattr__(self, name: str, _value: object) -> None:
        """It is a value, and doesn't change."""
        raise AttributeError(f"a timestamp doesn't change: make another one with this {name}")

    def __eq__(self, other: object) -> bool:
        """Whether both are the same moment."""
        return isinstance(other, Timestamp) and self.to_ns() == other.to_ns()

    def __lt__(self, other: Timestamp) -> bool:
        """Whether it is earlier."""
        return self.to_ns() < other.to_ns() if isinstance(other, Timestamp) else NotImplemented  # pyright: ignore[reportUnnecessaryIsInstance]

    def __hash__(self) -> int:
        """By both numbers."""
        return hash((self.seconds, self.nanoseconds))

    def __reduce__(self) -> tuple[Any, ...]:
        """Timestamps travel between processes."""
        return Timestamp, (self.seconds, self.nanoseconds)

    def __repr__(self) -> str:
        """As it is made."""
        return f"Timestamp({self.seconds}, {self.nanoseconds})"

    def __str__(self) -> str:
        """As RFC 3339 has it, in UTC; years beyond 9999 with a sign."""
        cycles, rest = divmod(self.seconds - 951_782_400, _CYCLE)  # from 2000-02-29 on
        moment = _EPOCH + timedelta(seconds=rest + 951_782_400)
        year = moment.year + 400 * cycles
        fraction = f".{self.nanoseconds:09}".rstrip("0").rstrip(".")
        years = f"{year:04}" if 0 <= year <= 9999 else f"{year:+05}"  # noqa: PLR2004 - those of four digits
        return f"{years}-{moment:%m-%dT%H:%M:%S}{fraction}Z"

    @classmethod
    def _validated(cls, value: Any) -> Timestamp:
        if isinstance(value, Timestamp):
            return value
        try:
            if isinstance(value, datetime):
                return cls.of(value)
            if isinstance(value, str):
                return cls.parse(value)
        except ValueError as error:
            raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from error
        raise PydanticCustomError("timestamp", "Input should be a moment: a timestamp, or RFC 3339's text")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Takes timestamps, aware datetimes and text; gives timestamps."""

        def described(_schema: Any, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
            return {"type": "string", "format": "date-time", "x-nanoseconds": True}

        schema = core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )
        schema["metadata"] = {"pydantic_js_functions": [described]}
        return schema
