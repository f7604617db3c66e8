"""What happened to an endpoint's handlers and models: a bounded log of small records."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pycrust.text.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Events that are kept, the newest ones.
KEPT = 1_000

Kind = Literal["publish", "remove", "rollback", "reload", "refused", "rebound", "held", "freed", "loop"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        number: From 1, one more with each event of the endpoint.
        time: When, in the local zone.
        kind: `publish`, `remove`, `rollback`: a method's version; `reload`: a model's; `refused`: a cell or a
            model that failed, so that what was live serves on; `rebound`: a global that a live handler reads has
            changed; `held` and `freed`: what became of a replaced model; `loop`: what a handler did to an event
            loop.
        subject: The method's or the model's name; empty of a loop.
        version: The version that it is about; 0 where there is none.
        text: What happened, in one line.
    """

    number: int
    time: dt.datetime
    kind: Kind
    subject: str
    version: int
    text: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.time:%H:%M:%S}  {self.text}"


class EventLog:
    """The newest events of an endpoint, the oldest first; it shows itself as a table.

    Examples:
        >>> log = EventLog()
        >>> log.add("publish", "add", 1, "calculator.add v1")
        >>> log.add("publish", "add", 2, "calculator.add v1 → v2")
        >>> [event.text for event in log.since(1)], log.last
        (['calculator.add v1 → v2'], 2)
    """

    def __init__(self, told: Callable[[Event], object] | None = None) -> None:
        """Nothing has happened yet; `told` hears of everything that does."""
        self._told = told
        self._lock = threading.Lock()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._last = 0

    def add(self, kind: Kind, subject: str, version: int, text: str) -> None:
        """Notes that something happened, now."""
        with self._lock:
            self._last += 1
            event = Event(self._last, dt.datetime.now().astimezone(), kind, subject, version, text)
            self._kept.append(event)
        if self._told is not None:
            self._told(event)

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first one."""
        return self._last

    def since(self, number: int) -> list[Event]:
        """The events after the one of this number, as far as they are kept.

        Costs nothing where there is nothing new: it may be asked many times a second.
        """
        if number >= self._last:
            return []
        with self._lock:
            new: list[Event] = []
            for event in reversed(self._kept):
                if event.number <= number:
                    break
                new.append(event)
        return new[::-1]

    def __iter__(self) -> Iterator[Event]:
        """The events that are kept, the oldest first."""
        return iter(self.since(0))

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def __getitem__(self, index: int) -> Event:
        """One of the events that are kept; -1 is the newest."""
        return self.since(0)[index]

    def _table(self) -> Table:
        rows = [(str(event.number), f"{event.time:%H:%M:%S}", event.kind, event.text) for event in self]
        return Table(("event", "time", "kind", "what"), rows, left=range(4))

    def __repr__(self) -> str:
        """A table of text."""
        return str(self._table())

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        return self._table().html()
