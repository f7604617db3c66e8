"""Ticks from Rust to a handler that adds up what they are worth: as maps, and as one array of records."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import ticks, worker

COUNTS = (100, 1000)
FORMS = ("maps", "records", "in-place")
#: The most that an array of 100 ticks may take of the time that they take as maps.
LIMIT = 0.7


def name(form: str, count: int) -> str:
    return f"records/{count:,} ticks, {form}"


def measured(form: str, count: int, seconds: float) -> Figures:
    with worker("--ticks"):
        return ticks("--form", form, "--count", str(count), seconds=seconds)


def goals(results: Results) -> list[Goal]:
    pair = name("records", 100), name("maps", 100)
    if not results.has(*pair):
        return []
    return [Goal("100 ticks, an array of records / maps", results.ratio(*pair), LIMIT)]


CASE = Case(
    [
        Measurement(
            name(form, count), partial(measured, form, count), floor="" if form == "maps" else name("maps", count)
        )
        for count in COUNTS
        for form in FORMS
    ],
    goals,
)
