"""Callers with a rhythm: 1, 100 and 1,000 calls a second, beside the hand-written Unix socket."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, peer, worker

HERTZ = (1, 100, 1000)
#: Calls of the slowest rhythm in one run, at least.
FEWEST = 5


def ours(hertz: int, seconds: float) -> Figures:
    with worker():
        return load("--pace", str(hertz), seconds=max(seconds, FEWEST / hertz))


def socket(hertz: int, seconds: float) -> Figures:
    return peer("socket", "--pace", str(hertz), seconds=max(seconds, FEWEST / hertz))


def goals(results: Results) -> list[Goal]:
    return [
        Goal(f"{hertz:,} Hz, p50 of the socket / ours", results.ratio(other, mine), 2, at_least=True)
        for hertz in HERTZ
        if results.has(mine := f"paced/{hertz:,} Hz", other := f"paced/{hertz:,} Hz, Unix socket")
    ]


CASE = Case(
    [
        Measurement(f"paced/{hertz:,} Hz{suffix}", partial(run, hertz))
        for hertz in HERTZ
        for suffix, run in (("", ours), (", Unix socket", socket))
    ],
    goals,
)
