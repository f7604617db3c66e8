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
        below = [counted(len(clients), "client")]
        if rhythm := _rhythm(clients):
            below.append(rhythm)
        if realtime := self.get("realtime"):
            below.append(_reached(realtime))
        return "\n".join([str(table), *below])


def _row(method: dict[str, Any]) -> tuple[str, ...]:
    trip: dict[str, int] = method["round_trip"]
    times = [duration(trip[name]) if trip["count"] else "-" for name in ("p50_ns", "p99_ns", "max_ns")]
    counts = [str(method[name]) for name in ("calls", "errors", "in_flight")]
    return (method["name"], f"v{method['version']}", *counts, *times)


def _rhythm(clients: list[dict[str, Any]]) -> str:
    """How well the calls of clients with a rhythm were expected, in a line; empty if there are none.

    Examples:
        >>> _rhythm([{"period_ns": 10_000_000, "hits": 97, "misses": 3, "awake_ns": 12_000_000}])
        '1 client in rhythm: awake in time for 97 calls, 3 times in vain, 12.0 ms in all'
    """
    steady = sum(client.get("period_ns", 0) > 0 for client in clients)
    if not steady:
        return ""
    hits, misses, awake = (sum(client[name] for client in clients) for name in ("hits", "misses", "awake_ns"))
    awaited = f"awake in time for {counted(hits, 'call')}, {counted(misses, 'time')} in vain"
    return f"{counted(steady, 'client')} in rhythm: {awaited}, {duration(awake)} in all"


def _reached(realtime: dict[str, Any]) -> str:
    """What was reached of real time, in a line.

    Examples:
        >>> thread = {"thread": 4712, "policy": "SCHED_FIFO", "priority": 50, "cores": [2, 3]}
        >>> _reached({"threads": [thread], "memory_locked": True, "collections": [8, 1, 0], "missing": []})
        'real time: 1 thread · SCHED_FIFO 50 on cores 2, 3 · memory locked · 9 collections between calls'
    """
    threads: list[dict[str, Any]] = realtime["threads"]
    kinds = {(row["policy"], row["priority"], tuple(row["cores"])) for row in threads}
    parts = [counted(len(threads), "thread")]
    for policy, priority, cores in sorted(kinds, key=str):
        named = policy if priority is None else f"{policy} {priority}"
        parts.append(f"{named} on {'core' if len(cores) == 1 else 'cores'} {', '.join(map(str, cores))}")
    parts.append("memory locked" if realtime["memory_locked"] else "memory not locked")
    parts.append(f"{counted(sum(realtime['collections']), 'collection')} between calls")
    if realtime["missing"]:
        parts.append(f"{len(realtime['missing'])} missing")
    return f"real time: {' · '.join(parts)}"


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


def span(nanoseconds: float) -> str:
    """A long time, in its two largest units.

    Examples:
        >>> span(4_200_000_000), span(7_260e9), span(100_000e9)
        ('4 s', '2 h 1 min', '1 d 3 h')
    """
    left, parts = int(nanoseconds / 1e9), list[str]()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def counted(number: int, what: str) -> str:
    """A number with its noun.

    Examples:
        >>> counted(1, "client"), counted(2, "method")
        ('1 client', '2 methods')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
