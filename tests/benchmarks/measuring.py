"""What a case is: things to measure once a round, and goals for what comes out."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: What one run gave: microseconds at `p50` to `p999`, `calls_per_second`, or a single `value`.
Figures = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """One row of the table."""

    #: Unique; a slash divides the case from the row.
    name: str
    #: Measures once, for about so many seconds.
    run: Callable[[float], Figures]
    #: What a single `value` is; empty for times of calls.
    unit: str = ""
    #: The row whose p50 this one's is shown as a multiple of.
    floor: str = ""


@dataclass(frozen=True)
class Goal:
    """What was aimed at, and what came of it."""

    text: str
    reached: float
    limit: float
    #: Whether more is better.
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.reached >= self.limit if self.at_least else self.reached <= self.limit


@dataclass
class Results:
    """Every run of every measurement, round by round."""

    runs: dict[str, list[Figures]] = field(default_factory=dict)

    def add(self, name: str, figures: Figures) -> None:
        self.runs.setdefault(name, []).append(figures)

    def has(self, *names: str) -> bool:
        """Whether these were all measured."""
        return all(name in self.runs for name in names)

    def medians(self, name: str) -> Figures:
        """The median of each figure over the rounds."""
        runs = self.runs[name]
        return {key: statistics.median(run[key] for run in runs if key in run) for key in runs[0]}

    def ratio(self, name: str, to: str, figure: str = "p50") -> float:
        """The median of the rounds' ratios, which what the machine does meanwhile touches less than figures."""
        pairs = zip(self.runs[name], self.runs[to], strict=True)
        return statistics.median(one[figure] / other[figure] for one, other in pairs)


@dataclass(frozen=True)
class Case:
    """Measurements that belong together."""

    measurements: list[Measurement]
    #: Goals of what was measured, as far as that was.
    goals: Callable[[Results], list[Goal]] = lambda _: []
    #: Rows that could not be measured here, and why.
    left_out: dict[str, str] = field(default_factory=dict)
