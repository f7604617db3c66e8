"""The last minute of an endpoint: what its charts show, kept here so that a page that is opened again has it."""

from __future__ import annotations

from collections import deque

SHOWN_MS = 60_000
"""How much of the past the charts show."""

_RATE_MS = 1_000
"""Rates are differences of totals over at least this long."""

_RECENT_MS = 10_000
"""Errors of the last so many milliseconds make an endpoint one that fails."""

Point = tuple[int, float | None, float | None, int | None, int | None]
"""When (milliseconds), calls and errors a second, p50 and p99 of the round trip in nanoseconds."""


class History:
    """Points of the charts, and the totals that rates are differences of."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._points: deque[Point] = deque()
        #: When, and all calls and errors until then; of the last `_RECENT_MS`, at least two.
        self._totals: deque[tuple[int, int, int]] = deque()

    def add(self, at: int, calls: int, errors: int, p50: int, p99: int) -> Point:
        """Takes one moment in: its time in milliseconds, totals so far, and the latest round trips (0: none)."""
        totals, points = self._totals, self._points
        if totals and (calls < totals[-1][1] or at < totals[-1][0]):
            totals.clear()  # another life of the worker: its totals can't be subtracted
        totals.append((at, calls, errors))
        while len(totals) > 2 and totals[1][0] <= at - _RECENT_MS:  # noqa: PLR2004 - two make a difference
            totals.popleft()
        then, calls_then, errors_then = self._before(at - _RATE_MS)
        rate, error_rate = _rate(calls - calls_then, at - then), _rate(errors - errors_then, at - then)
        point = (at, rate, error_rate, p50 or None, p99 or None)
        points.append(point)
        while points[0][0] < at - SHOWN_MS - 1000:
            points.popleft()
        return point

    def _before(self, at: int) -> tuple[int, int, int]:
        """The totals at the last moment that lies so far back, or the oldest."""
        found = self._totals[0]
        for totals in reversed(self._totals):
            if totals[0] <= at:
                return totals
        return found

    def recent(self) -> list[int]:
        """Calls and errors of the last ten seconds."""
        if not self._totals:
            return [0, 0]
        (_, calls_then, errors_then), (_, calls, errors) = self._totals[0], self._totals[-1]
        return [calls - calls_then, errors - errors_then]

    def points(self) -> list[Point]:
        """The points of the last minute, the oldest first."""
        return list(self._points)


def _rate(count: int, milliseconds: int) -> float | None:
    return round(count * 1000 / milliseconds, 2) if milliseconds > 0 else None
