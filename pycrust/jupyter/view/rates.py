"""What is recorded, as the inspector shows and changes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

_MIB = 1 << 20


@dataclass(frozen=True)
class _Limit:
    """A setting that is a number, in the view's unit.

    Attributes:
        what: What it is called.
        unit: How many of the setting's own unit one of the view's is.
        least: The least that the view takes.
        most: The most.
    """

    what: str
    unit: int
    least: float
    most: float


_LIMITS = {
    "calls_per_second": _Limit("calls a second", 1, 1, 10_000_000),
    "bytes_per_second": _Limit("MiB a second", _MIB, 0.001, 16_384),
    "max_arrays": _Limit("KiB of arrays a call", 1 << 10, 0, 1 << 20),
    "slow_ms": _Limit("ms and more is slow", 1, 0, 3_600_000),
}


class SettingError(ValueError):
    """A setting that can't be taken.

    Attributes:
        field: Which one; empty where it is none of them.
    """

    def __init__(self, field: str, reason: str) -> None:
        """Says why."""
        super().__init__(reason)
        self.field = field


def shown(recording: Any) -> dict[str, Any]:
    """The settings that a view shows, in its units: calls a second, MiB a second, KiB, milliseconds."""
    settings = recording.settings
    numbers = {name: _plain(settings[name] / limit.unit) for name, limit in _LIMITS.items()}
    calls, mib, arrays, slow = numbers.values()
    text = (
        f"every call up to {calls:,} calls/s and {mib:,} MiB/s, above that a sample; {slow:,} ms and more is slow"
    )
    if arrays:
        text += f"; arrays among the arguments up to {arrays:,} KiB a call"
    return {"on": settings["on"], **numbers, "text": text if settings["on"] else "nothing"}


def change(recording: Any, wanted: object) -> dict[str, Any]:
    """Takes what a view asks for.

    Args:
        recording: The endpoint's.
        wanted: By setting, in the view's units. It comes from a browser.

    Returns:
        What holds from now on, as `shown` gives it.

    Raises:
        SettingError: A number is none, or out of bounds; nothing is changed.
    """
    if not isinstance(wanted, Mapping):
        raise SettingError("", "no settings came")
    asked = cast("Mapping[str, object]", wanted)
    changes: dict[str, Any] = {}
    if isinstance(asked.get("on"), bool):
        changes["on"] = asked["on"]
    for name, limit in _LIMITS.items():
        if name in asked:
            value = _within(name, limit, asked[name]) * limit.unit
            changes[name] = value if name == "slow_ms" else round(value)
    recording(**changes)
    return shown(recording)


def _within(name: str, limit: _Limit, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingError(name, f"{limit.what}: {str(value)[:40]!r} is no number")
    if not limit.least <= value <= limit.most:
        raise SettingError(name, f"{limit.what}: from {limit.least:g} to {limit.most:,}, not {value:,.12g}")
    return value


def _plain(value: float) -> float:
    """Without a fraction where there is none."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
