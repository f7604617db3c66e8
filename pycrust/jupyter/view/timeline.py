"""What happened to an endpoint, for the view's log: what the endpoint notes, and what two looks at it tell."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pycrust.errors import Code
from pycrust.jupyter.view.wire import sequence, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pycrust.versions.events import EventLog

_KEPT = 100
_PARTS = 20
"""Of what a line stands for, the newest so many can be read one by one."""

_BURST_MS = 10_000
"""Errors within this long of each other are one part of their line."""

_BETWEEN_MS = 1_000
"""Between two new lines about clients and errors, so that they can be read while they come."""


_NOTED = {
    "publish": "swap", "rollback": "swap", "remove": "method", "rebound": "method", "refused": "refused",
    "loop": "refused", "reload": "model", "held": "model", "freed": "model",
}  # fmt: skip
"""What the view calls the kinds of event that an endpoint notes."""

_MARKED = {"publish", "rollback", "remove", "reload"}
"""Of these, the ones that the charts mark."""

_TOGETHER = {"swap", "method"}
"""Kinds of line that stand for all that happens at once."""

_NAMED = 3
"""Of these, so many are named in the line itself."""


@dataclass
class Line:
    """One line of the log.

    Attributes:
        number: Tells it from others; a line that is said again replaces what was said before.
        at: When it was said last, milliseconds since 1970.
        kind: `swap`, `method`, `client`, `error`, `held`, `refused`, `model` or `serving`.
        text: What happened.
        marks: What the charts' mark of it says, of each of the changes that are one line.
        parts: What the line stands for, if that is more than one thing: when and what, the oldest first.
    """

    number: int
    at: int
    kind: str
    text: str
    marks: list[str] = field(default_factory=list[str])
    parts: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def row(self) -> list[Any]:
        """As it is sent."""
        parts = self.parts[-_PARTS:] if len(self.parts) > 1 else []
        return [self.number, self.at, self.kind, self.text, self.marks, parts]


@dataclass
class _Errors:
    """What one kind of error has come to: how many, in which bursts, and its line once it has one."""

    what: str
    count: int = 0
    #: When each burst began and ended, and its errors.
    bursts: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    line: Line | None = None

    def add(self, more: int, at: int) -> None:
        self.count += more
        if self.bursts and at - self.bursts[-1][1] <= _BURST_MS:
            began, _, count = self.bursts[-1]
            self.bursts[-1] = (began, at, count + more)
        else:
            self.bursts = [*self.bursts[1 - _PARTS :], (at, at, more)]

    def tell(self, line: Line) -> None:
        line.at = self.bursts[-1][1]
        line.text = f"{self.count:,} × {self.what}"  # noqa: RUF001 - a multiplication sign is meant
        line.parts = [(began, _burst(began, ended, count)) for began, ended, count in self.bursts]


def _burst(began: int, ended: int, count: int) -> str:
    """What a burst of errors was: how many, and for how long."""
    seconds = (ended - began) / 1000
    return f"{count:,} in {seconds:,.0f} s" if seconds >= 1 else f"{count:,}"


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
        #: Each kind of error: its method, version and code.
        self._errors: dict[tuple[str, int, int], _Errors] = {}
        #: Of these, the ones without a line so far.
        self._waiting: set[tuple[str, int, int]] = set()
        #: Clients that came or went and are not told yet: when, what, and whether one came.
        self._visits: list[tuple[int, str, bool]] = []
        #: When the last line about a client or an error was new, and whether it was about clients.
        self._last_new = (0, False)

    def add(self, at: int, kind: str, text: str, marks: list[str] | None = None) -> Line:
        """Notes an event."""
        self._number += 1
        event = Line(self._number, at, kind, text, marks or [])
        self._events.append(event)
        self._fresh[event.number] = event
        return event

    def tell(self, at: int) -> None:
        """Makes one line, at most, of the errors and clients that wait for theirs: of the most numerous ones.

        Args:
            at: The moment, milliseconds since 1970.
        """
        when, clients = self._last_new
        if 0 <= at - when < _BETWEEN_MS or not (self._visits or self._waiting):
            return
        if self._visits and not (self._waiting and clients):
            self._last_new = (at, True)
            self._tell_visits()
            return
        self._last_new = (at, False)
        key = max(self._waiting, key=lambda one: self._errors[one].count)
        self._waiting.discard(key)
        errors = self._errors[key]
        errors.line = self.add(at, "error", "")
        errors.tell(errors.line)

    def _tell_visits(self) -> None:
        visits, self._visits = self._visits, []
        if len(visits) == 1:
            self.add(visits[0][0], "client", visits[0][1])
            return
        came = sum(1 for *_, one_came in visits if one_came)
        went = len(visits) - came
        words = [f"{count:,} {what}" for count, what in ((came, "connected"), (went, "disconnected")) if count]
        line = self.add(visits[-1][0], "client", f"{len(visits):,} clients: {', '.join(words)}")
        line.parts = [(at, text) for at, text, _ in visits]

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
            key = ("", 0, Code.UNIMPLEMENTED)
            self._count("call to a method that does not exist", key, unknown - before[0], at)
        if malformed > before[1]:
            self._count("malformed frame", ("", 0, -1), malformed - before[1], at)

    def look_at_notes(self, noted: EventLog, endpoint: str) -> None:
        """Notes what the endpoint has noted since the last look: swaps, refused cells, models.

        Args:
            noted: What `endpoint.events` is.
            endpoint: The endpoint's name, which its own view need not repeat.
        """
        kinds: dict[str, list[tuple[int, str, str]]] = {}
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
            at, text = int(event.time.timestamp() * 1000), event.text.removeprefix(f"{endpoint}.")
            kinds.setdefault(kind, []).append((at, text, mark))
        for kind, noted_now in kinds.items():
            self._note(kind, noted_now)

    def _note(self, kind: str, noted: list[tuple[int, str, str]]) -> None:
        """One line for what a cell has done to several methods at once, else one for each."""
        if kind not in _TOGETHER or len(noted) == 1:
            for at, text, mark in noted:
                self.add(at, kind, text, [mark] if mark else [])
            return
        texts = [text for _, text, _ in noted]
        more = len(texts) - _NAMED
        words = ", ".join(texts) if more <= 0 else f"{', '.join(texts[:_NAMED])} and {more:,} more"
        marks = [mark for *_, mark in noted if mark]
        line = self.add(noted[-1][0], kind, f"{len(texts):,} changes: {words}", marks)
        line.parts = [(at, text) for at, text, _ in noted]

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
            self._visits.append((wall_ms(seen[0]), f"{name} {what}", visit.get("came") is True))

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
                    self._count(f"{name} v{version}: {_code_name(code)}", (name, version, code), more, at)

    def _count(self, what: str, key: tuple[str, int, int], more: int, at: int) -> None:
        """Notes errors; those that go on add to the line that there is."""
        errors = self._errors.get(key)
        if errors is None:
            errors = self._errors[key] = _Errors(what)
        elif errors.line is not None and (not self._events or errors.line.number < self._events[0].number):
            errors = self._errors[key] = _Errors(what)  # its line is no longer kept
        errors.add(more, at)
        if errors.line is None:
            self._waiting.add(key)
            return
        errors.tell(errors.line)
        self._fresh[errors.line.number] = errors.line


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
