"""An endpoint's statistics as a dict, and as a small table of text."""

from __future__ import annotations

from typing import Any

from pycrust.text.table import Table

_COLUMNS = ("method", "version", "calls", "errors", "in flight", "p50", "p99", "max")


class Stats(dict[str, Any]):
    """The answer to `pycrust.stats`: a plain dict whose `str` is a table.

    Times are in nanoseconds in the dict; the table shows the round trips as the clients measured them.
    """

    def __str__(self) -> str:
        """One line for each method."""
        table = Table(_COLUMNS, [_row(method) for method in self.get("methods", [])], left={0})
        clients: list[Any] = self.get("clients", [])
        return f"{table}\n{counted(len(clients), 'client')}"


def _row(method: dict[str, Any]) -> tuple[str, ...]:
    trip: dict[str, int] = method["round_trip"]
    times = [duration(trip[name]) if trip["count"] else "-" for name in ("p50_ns", "p99_ns", "max_ns")]
    counts = [str(method[name]) for name in ("calls", "errors", "in_flight")]
    return (method["name"], f"v{method['version']}", *counts, *times)


def duration(nanoseconds: float) -> str:
    """A duration with three digits and its unit.

    Examples:
        >>> duration(5_120), duration(20_400_000)
        ('5.12 µs', '20.4 ms')
    """
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:#.3g} {unit}".replace(". ", " ")
    return f"{nanoseconds:.0f} ns"


def counted(number: int, what: str) -> str:
    """A number with its noun.

    Examples:
        >>> counted(1, "client"), counted(2, "method")
        ('1 client', '2 methods')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
