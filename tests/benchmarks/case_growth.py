"""What a call costs as methods, clients, calls in flight and recorded calls grow: the rate, and p50."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, worker

METHODS, CLIENTS, IN_FLIGHT = (1, 10, 100, 1000), (1, 8, 64), (1, 16, 256, 4096)
#: Calls that are recorded before the measurement; the last number is more than are kept.
RECORDED = (1_000, 10_000, 200_000)
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


def recorded(count: int, seconds: float) -> Figures:
    with worker("--record-all"):
        load("--calls", str(count), "--tasks", "64", seconds=60)
        # Few, so that those that are measured don't make the history long themselves.
        return load("--calls", "3000", seconds=seconds)


def goals(results: Results) -> list[Goal]:
    ends = {
        "methods": (f"growth/{METHODS[-1]:,} methods", f"growth/{METHODS[0]} methods"),
        "clients, 64 callers": (f"growth/{CLIENTS[-1]} clients", f"growth/{CLIENTS[0]} clients"),
        # One call in flight can't be compared with many, which share their wake-ups.
        "in flight": (f"growth/{IN_FLIGHT[-1]:,} in flight", f"growth/{IN_FLIGHT[1]} in flight"),
    }
    found = [
        Goal(f"cost of a call, {what}: most / fewest", 1 / results.ratio(many, few, "calls_per_second"), FLAT)
        for what, (many, few) in ends.items()
        if results.has(many, few)
    ]
    many, few = f"growth/{RECORDED[-1]:,} recorded", f"growth/{RECORDED[0]:,} recorded"
    if results.has(many, few):
        found.append(Goal("p50 of a call, recorded: most / fewest", results.ratio(many, few), FLAT))
    return found


CASE = Case(
    [
        *(Measurement(f"growth/{count:,} methods", partial(methods, count)) for count in METHODS),
        *(Measurement(f"growth/{count:,} clients", partial(clients, count)) for count in CLIENTS),
        *(Measurement(f"growth/{count:,} in flight", partial(in_flight, count)) for count in IN_FLIGHT),
        *(Measurement(f"growth/{count:,} recorded", partial(recorded, count)) for count in RECORDED),
    ],
    goals,
)
