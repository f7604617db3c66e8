"""Callers with a rhythm: expected by the worker or not, by a pacer or their own timer; beside a Unix socket."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, peer, worker

HERTZ = (1, 100, 500, 1000)
#: What ours is compared with, by the names of rows.
NAMES = {"the socket": "Unix socket", "calls that are not expected": "not expected"}
#: Calls of the slowest rhythm in one run, at least.
FEWEST = 5


def ours(hertz: int, seconds: float) -> Figures:
    with worker():
        return load("--pace", str(hertz), seconds=max(seconds, FEWEST / hertz))


def unexpected(hertz: int, seconds: float) -> Figures:
    with worker("--anticipation", "0"):
        return load("--pace", str(hertz), seconds=max(seconds, FEWEST / hertz))


def pacer(hertz: int, seconds: float) -> Figures:
    with worker():
        return load("--pace", str(hertz), "--pacer", seconds=max(seconds, FEWEST / hertz))


def socket(hertz: int, seconds: float) -> Figures:
    return peer("socket", "--pace", str(hertz), seconds=max(seconds, FEWEST / hertz))


def goals(results: Results) -> list[Goal]:
    return [
        Goal(f"{hertz:,} Hz, p50 of {what} / ours", results.ratio(other, mine), limit, at_least=True)
        for hertz in HERTZ
        for what, limit in (("the socket", 2), ("calls that are not expected", 1))
        if results.has(mine := f"paced/{hertz:,} Hz", other := f"paced/{hertz:,} Hz, {NAMES[what]}")
    ]


CASE = Case(
    [
        Measurement(f"paced/{hertz:,} Hz{suffix}", partial(run, hertz))
        for hertz in HERTZ
        for suffix, run in (
            ("", ours),
            (", pacer", pacer),
            (", not expected", unexpected),
            (", Unix socket", socket),
        )
    ],
    goals,
)
