"""What happened to an endpoint, for the view's log: what the endpoint notes, and what two looks at it tell."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pycrust.errors import Code
from pycrust.jupyter.view.wire import sequence, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pycrust.versions.events import EventLog

_KEPT = 100
_COALESCED_MS = 10_000
"""Errors of one method and code that come within this long of each other are one line."""


_NOTED = {
    "publish": "swap", "rollback": "swap", "remove": "method", "rebound": "method", "refused": "refused",
    "loop": "refused", "reload": "model", "held": "model", "freed": "model",
}  # fmt: skip
"""What the view calls the kinds of event that an endpoint notes."""

_MARKED = {"publish", "rollback", "remove", "reload"}
"""Of these, the ones that the charts mark."""


@dataclass
class Line:
    """One line of the log.

    Attributes:
        number: Tells it from others; a line that is said again replaces what was said before.
        at: When, milliseconds since 1970.
        kind: `swap`, `method`, `client`, `error`, `held`, `refused`, `model` or `serving`.
        text: What happened.
        mark: What the charts' mark of it says; empty where there is none.
    """

    number: int
    at: int
    kind: str
    text: str
    mark: str = ""
    count: int = 0

    def row(self) -> list[Any]:
        """As it is sent."""
        return [self.number, self.at, self.kind, self.text, self.mark]


def wall_ms(monotonic_ns: int) -> int:
    """A moment of the machine's monotonic clock as milliseconds since 1970."""
    return (time.time_ns() - time.monotonic_ns() + monotonic_ns) // 1_000_000


class Timeline:
    """The last events; each look adds what is new."""

    def __init__(self) -> None:
        """Nothing has been looked at."""
        self._events: deque[Line] = deque(maxlen=_KEPT)
        self._number = 0
        self._fresh: dict[int, Line] = {}
        #: By method: its version and its errors by code. `None` before the first look.
        self._methods: dict[str, tuple[int, dict[int, int]]] | None = None
        self._seen_visit = (0, 0)
        self._noted = 0
        #: Calls to no method, and malformed frames.
        self._others: tuple[int, int] | None = None
        #: The last line about a kind of error.
        self._running: dict[tuple[str, int], Line] = {}

    def add(self, at: int, kind: str, text: str, mark: str = "") -> Line:
        """Notes an event."""
        self._number += 1
        event = Line(self._number, at, kind, text, mark)
        self._events.append(event)
        self._fresh[event.number] = event
        return event

    def fresh(self) -> list[list[Any]]:
        """What is new or has changed since this was last asked."""
        rows = [event.row() for event in self._fresh.values()]
        self._fresh.clear()
        return rows

    def all(self) -> list[list[Any]]:
        """Everything that is kept, the oldest first."""
        self._fresh.clear()
        return [event.row() for event in sorted(self._events, key=lambda event: (event.at, event.number))]

    def look(self, stats: Mapping[str, object], at: int) -> None:
        """Notes what the statistics tell of: clients that came or went, and errors.

        Args:
            stats: What `endpoint.stats()` gave.
            at: When, milliseconds since 1970.
        """
        self._look_at_visits(stats)
        self._look_at_methods(stats, at)
        unknown, malformed = whole(stats.get("unknown_method_calls")), whole(stats.get("malformed_frames"))
        before, self._others = self._others, (unknown, malformed)
        if before is None:
            return
        if unknown > before[0]:
            self._count("call to a method that does not exist", ("", 12), unknown - before[0], at)
        if malformed > before[1]:
            self._count("malformed frame", ("", -1), malformed - before[1], at)

    def look_at_notes(self, noted: EventLog, endpoint: str) -> None:
        """Notes what the endpoint has noted since the last look: swaps, refused cells, models.

        Args:
            noted: What `endpoint.events` is.
            endpoint: The endpoint's name, which its own view need not repeat.
        """
        for event in noted.since(self._noted):
            self._noted = event.number
            kind = _NOTED.get(event.kind, "method")
            if event.kind == "publish" and event.version == 1:
                kind = "method"
            mark = ""
            if event.kind in _MARKED and kind != "method":
                mark = f"{event.subject} v{event.version}"
            elif event.kind == "remove":
                mark = f"{event.subject} removed"
            text = event.text.removeprefix(f"{endpoint}.")
            self.add(int(event.time.timestamp() * 1000), kind, text, mark)

    def _look_at_visits(self, stats: Mapping[str, object]) -> None:
        for visit in sequence(stats, "visits"):
            seen = (whole(visit.get("at_ns")), whole(visit.get("connection")))
            if seen <= self._seen_visit:
                continue
            self._seen_visit = seen
            reason = str(visit.get("reason") or "")
            if seen[1] == 0:
                self.add(wall_ms(seen[0]), "error", reason)
                continue
            what = "connected" if visit.get("came") is True else f"disconnected{': ' if reason else ''}{reason}"
            pid = whole(visit.get("pid"))
            name = f"{visit.get('name') or 'client'} ({f'pid {pid}' if pid else 'another PID namespace'})"
            self.add(wall_ms(seen[0]), "client", f"{name} {what}")

    def _look_at_methods(self, stats: Mapping[str, object], at: int) -> None:
        now = {
            str(method.get("name", "")): (whole(method.get("version")), _codes(method.get("by_code")))
            for method in sequence(stats, "methods")
        }
        before, self._methods = self._methods, now
        for name, (version, codes) in now.items():
            _, errors = (before or {}).get(name, (0, {}))
            for code, count in codes.items():
                more = count - errors.get(code, 0)
                if more > 0 and before is not None:
                    self._count(f"{name} v{version}: {_code_name(code)}", (name, code), more, at)

    def _count(self, what: str, key: tuple[str, int], more: int, at: int) -> None:
        """Notes errors; those that go on add to the line that there is."""
        event = self._running.get(key)
        kept = event is not None and self._events and event.number >= self._events[0].number
        if event is None or not kept or at - event.at > _COALESCED_MS or not event.text.endswith(what):
            event = self._running[key] = self.add(at, "error", what)
        event.count += more
        event.at = at
        event.text = f"{event.count:,} × {what}"  # noqa: RUF001 - a multiplication sign is meant
        self._fresh[event.number] = event


def _codes(pairs: object) -> dict[int, int]:
    """Counts by code from pairs of both."""
    try:
        return {whole(code): whole(count) for code, count in cast("Iterable[tuple[object, object]]", pairs)}
    except (TypeError, ValueError):
        return {}


def _code_name(code: int) -> str:
    try:
        return Code(code).name
    except ValueError:
        return f"code {code}"
