"""Single values of NumPy and pandas, as what Python and MessagePack have for them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

from pycrust.values.refusals import not_a_time

#: Nanoseconds of NumPy's units of time.
_UNITS = {
    "W": 604_800_000_000_000,
    "D": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
#: How many of the finer ones make a nanosecond.
_FINER = {"ps": 10**3, "fs": 10**6, "as": 10**9}


def scalar(value: Any) -> Any:
    """A NumPy scalar as what is equal to it; arrays, and what nothing is equal to, are left as they are.

    Raises:
        TypeError: It is a NaT.
        ValueError: It is a time of a unit that can't be told as nanoseconds.
    """
    if getattr(value, "ndim", 1) != 0 or hasattr(value, "__array_finalize__"):
        return value
    kind = value.dtype.kind
    if kind == "M":
        return _datetime64(value)
    if kind == "m":
        return _timedelta64(value)
    plain = value.item()
    return plain if type(plain) in {bool, int, float, str, bytes} else value


def pandas_time(value: Any) -> Any:
    """A time of pandas, which derives from Python's and counts nanoseconds; any other value is left as it is.

    Raises:
        TypeError: It is a NaT.
    """
    if type(value).__name__ == "NaTType":
        raise not_a_time(value)
    as_numpy: Any = getattr(value, "to_timedelta64", None)
    if isinstance(value, dt.timedelta) and as_numpy is not None:
        return _timedelta64(as_numpy())
    if isinstance(value, dt.datetime) and getattr(value, "nanosecond", 0):
        return value.isoformat()
    return value


def _unit(value: Any) -> tuple[str, int]:
    return sys.modules["numpy"].datetime_data(value.dtype)


def _datetime64(value: Any) -> str:
    """ISO 8601's text, without an offset: NumPy's times have none."""
    numpy = sys.modules["numpy"]
    if numpy.isnat(value):
        raise not_a_time(value)
    unit, _ = _unit(value)
    if unit in {"Y", "M", "W"}:
        value = value.astype("M8[D]")
    elif unit in {"h", "m"}:
        value = value.astype("M8[s]")
    text = str(numpy.datetime_as_string(value))
    if unit in _FINER and text[-len(str(_FINER[unit])) + 1 :].strip("0"):
        raise ValueError(f"{text} is finer than a nanosecond: round it, .astype('datetime64[ns]')")
    whole, point, fraction = text.partition(".")
    return f"{whole}{point}{fraction[:9]}"


def _timedelta64(value: Any) -> str:
    """ISO 8601's text, in seconds."""
    if sys.modules["numpy"].isnat(value):
        raise not_a_time(value)
    unit, each = _unit(value)
    count = int(value.astype("int64")) * each
    if unit in _UNITS:
        nanos, rest = count * _UNITS[unit], 0
    elif unit in _FINER:
        nanos, rest = divmod(count, _FINER[unit])
    else:
        which = "has no unit" if unit == "generic" else "counts months or years, which are of no fixed length"
        raise ValueError(f"{value!r} {which}: send a number, and say the unit beside it")
    if rest:
        raise ValueError(f"{value!r} is finer than a nanosecond: round it, .astype('timedelta64[ns]')")
    seconds, below = divmod(abs(nanos), 1_000_000_000)
    fraction = f".{below:09}".rstrip("0").rstrip(".")
    return f"{'-' if nanos < 0 else ''}PT{seconds}{fraction}S"
