"""What the tables of `pycrust top` show, as text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pycrust.errors import Code
from pycrust.text.statistics import counted, duration, span

if TYPE_CHECKING:
    from pycrust.cli.numbers import Interval

#: The stages of a call, in their order.
STAGES = ("transit", "queue", "interpreter", "decode", "handler", "encode", "back")
_PERCENTILES = ("p50", "p90", "p99", "p999", "max")
_NARROW = ("method", "ver", "calls/s", "errors", "flight", "p50", "p99", "max")
_WIDE = (
    "method",
    "version",
    "calls/s",
    "calls",
    "errors",
    "in flight",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    *STAGES,
)
#: Columns of a terminal from which on all are shown.
WIDE_FROM = 160
CLIENTS = ("client", "pid", "in flight", "rhythm", "hits", "misses", "awake")
#: Columns of text in the tables of methods, clients and events; numbers are to the right.
TEXTS = {"methods": 1, "clients": 1, "events": 2}
#: What methods may be sorted by.
ORDERS = ("name", "calls/s", "errors", "p99")


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        told: Its part of the answer to `pycrust.stats`.
        rate: Calls a second.
        errors: Errors since the last look.
    """

    told: dict[str, Any]
    rate: float
    errors: int

    @property
    def name(self) -> str:
        """The method's name."""
        return self.told["name"]

    def cells(self, *, wide: bool) -> tuple[str, ...]:
        """The row as text; of a narrow table the columns that say most."""
        told, trip = self.told, self.told["round_trip"]
        times = {label: _time(trip, label) for label in _PERCENTILES}
        rate, errors = f"{self.rate:,.0f}", f"{told['errors']:,}"
        if not wide:
            flight = str(told["in_flight"])
            return (
                self.name,
                f"v{told['version']}",
                rate,
                errors,
                flight,
                times["p50"],
                times["p99"],
                times["max"],
            )
        stages = [_time(told["stages"][stage], "p50") for stage in STAGES]
        calls = f"{told['calls']:,}"
        flight = f"{told['in_flight']} of {told['concurrency']}"
        return (self.name, f"v{told['version']}", rate, calls, errors, flight, *times.values(), *stages)


def headings(*, wide: bool) -> tuple[str, ...]:
    """The columns of the table of methods."""
    return _WIDE if wide else _NARROW


def methods(interval: Interval, text: str, order: str) -> list[Method]:
    """The methods whose names have a text in them, in an order.

    Args:
        interval: The last two looks.
        text: The text; empty for all.
        order: One of `ORDERS`.
    """
    found = [
        Method(told, interval.rate(interval.gained(told, "calls")), interval.gained(told, "errors"))
        for told in interval.methods
        if text.casefold() in told["name"].casefold()
    ]
    return sorted(found, key=lambda one: _rank(one, order))


def _rank(one: Method, order: str) -> tuple[float, str]:
    """What methods are sorted by: the most first, and by name where that is the same."""
    most = {"calls/s": one.rate, "errors": one.told["errors"], "p99": one.told["round_trip"]["p99_ns"]}
    return -most.get(order, 0), one.name


def client(told: dict[str, Any]) -> tuple[str, ...]:
    """The row of a client: its rhythm, and how often the worker was awake in time for it."""
    period = told.get("period_ns", 0)
    return (
        told["name"],
        str(told["pid"]),
        str(told["in_flight"]),
        f"every {duration(period)}" if period else "-",
        f"{told.get('hits', 0):,}",
        f"{told.get('misses', 0):,}",
        duration(told.get("awake_ns", 0)),
    )


def headline(interval: Interval, clients: int, status: str) -> str:
    """How the endpoint is, in two lines."""
    now, latest = interval.now, interval.now["latest"]
    calls, errors = interval.gained_in_all("calls"), interval.gained_in_all("errors")
    held = now["interpreter"]["p99_ns"]
    first = [now["endpoint"], f"pid {now['pid']}", status, f"up for {span(now['uptime_ns'])}"]
    first.append(counted(clients, "client"))
    second = [
        f"{interval.rate(calls):,.0f} calls/s",
        f"{interval.rate(errors):,.1f} errors/s",
        f"{interval.in_flight} in flight",
        *(f"{label} {_time(latest, label)}" for label in ("p50", "p99", "max")),
        f"interpreter p99 {duration(held) if held else '-'}",
    ]
    return f"{' · '.join(first)}\n{' · '.join(second)}"


def visit(told: dict[str, Any], at_ns: int) -> tuple[str, str]:
    """A client's coming or going, as the time of day and what happened."""
    at = time.time() - (at_ns - told["at_ns"]) / 1e9
    who = f"{told['name']} (pid {told['pid']})"
    if told["connection"] == 0:
        what = str(told["reason"])
    elif told["came"]:
        what = f"{who} connected"
    else:
        what = f"{who} went: {told['reason']}"
    return time.strftime("%H:%M:%S", time.localtime(at)), what


def details(method: Method) -> str:
    """All that is known of a method: percentiles of each stage, errors by code, answers by version."""
    told = method.told
    rows = [("round trip", told["round_trip"]), *((stage, told["stages"][stage]) for stage in STAGES)]
    lines = [f"{method.name} v{told['version']}: {told['calls']:,} calls, {told['errors']:,} errors"]
    lines.append("".join(["            ", *(f"{label:>10}" for label in ("p50", "p90", "p99", "p99.9", "max"))]))
    lines += [
        f"{name:<12}" + "".join(f"{_time(times, label):>10}" for label in _PERCENTILES) for name, times in rows
    ]
    if told["by_code"]:
        lines.append("errors: " + ", ".join(f"{_code(code)} {count:,}" for code, count in told["by_code"]))
    lines.append("answers: " + ", ".join(f"v{version} {count:,}" for version, count in told["by_version"]))
    return "\n".join(lines)


def _code(number: int) -> str:
    return Code(number).name if number in set(Code) else str(number)


def _time(times: dict[str, Any], label: str) -> str:
    return duration(times[f"{label}_ns"]) if times["count"] else "-"
