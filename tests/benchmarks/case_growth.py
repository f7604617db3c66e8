"""What a call costs as methods, clients and calls in flight grow: the rate, and p50."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, worker

METHODS, CLIENTS, IN_FLIGHT = (1, 10, 100, 1000), (1, 8, 64), (1, 16, 256, 4096)
#: How far apart the costs at both ends may be; a cost that grows with the number would be far more.
FLAT = 1.5


def methods(count: int, seconds: float) -> Figures:
    with worker("--methods", str(count)):
        return load(seconds=seconds, method=f"add{count - 1}" if count > 1 else "add")


def clients(count: int, seconds: float) -> Figures:
    with worker():
        return load("--tasks", "64", "--clients", str(count), seconds=seconds)


def in_flight(count: int, seconds: float) -> Figures:
    with worker():
        return load("--tasks", str(count), seconds=seconds)


def goals(results: Results) -> list[Goal]:
    ends = {
        "methods": (f"growth/{METHODS[-1]:,} methods", f"growth/{METHODS[0]} methods"),
        "clients, 64 callers": (f"growth/{CLIENTS[-1]} clients", f"growth/{CLIENTS[0]} clients"),
        # One call in flight can't be compared with many, which share their wake-ups.
        "in flight": (f"growth/{IN_FLIGHT[-1]:,} in flight", f"growth/{IN_FLIGHT[1]} in flight"),
    }
    return [
        Goal(f"cost of a call, {what}: most / fewest", 1 / results.ratio(many, few, "calls_per_second"), FLAT)
        for what, (many, few) in ends.items()
        if results.has(many, few)
    ]


CASE = Case(
    [
        *(Measurement(f"growth/{count:,} methods", partial(methods, count)) for count in METHODS),
        *(Measurement(f"growth/{count:,} clients", partial(clients, count)) for count in CLIENTS),
        *(Measurement(f"growth/{count:,} in flight", partial(in_flight, count)) for count in IN_FLIGHT),
    ],
    goals,
)
