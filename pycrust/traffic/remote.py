"""The recorded calls of a worker in another process, which tells them a page at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pycrust.traffic.file import StoredCall  # noqa: TC001 - Pydantic reads the annotation
from pycrust.traffic.recorded import RecordedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: Calls that are asked for at once.
_MOST = 1_000
#: Seconds between two questions while nothing new comes.
_PAUSE = 0.1


class TrafficAnswerError(ValueError):
    """An answer to `pycrust.traffic` that is none."""


class Page(BaseModel):
    """The answer to `pycrust.traffic`; section 5 of native/protocol/SPEC.md describes it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    recording: bool
    hooked: bool
    first: int
    last: int
    skipped: int
    calls: list[StoredCall]

    @classmethod
    def read(cls, answer: Any) -> Page:
        """Reads an answer.

        Raises:
            TrafficAnswerError: It is none; the message says where.
        """
        try:
            return cls.model_validate(answer)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise TrafficAnswerError(f"the worker's answer to pycrust.traffic: {where}: {first['msg']}") from None


@dataclass
class RemoteTraffic:
    """Reads a worker's recorder from another process.

    Args:
        endpoint: The endpoint's name.
        ask: Asks the worker: gets the number of the last call that is known and how many are wanted.
        after: The number of the last call that is known; `None` is the last one that was recorded.

    Attributes:
        lost: Calls that the worker recorded and let go of before they were read.
        skipped: Calls that it left out by sampling since reading began.
        recording: Whether it records, as of the last answer.
        hooked: Whether a hook of it decides what is shown, so that it tells no payloads.
    """

    endpoint: str
    ask: Callable[[int, int], Any]
    after: int | None = 0
    lost: int = 0
    skipped: int = 0
    recording: bool = True
    hooked: bool = False
    _skipped_before: int | None = field(default=None, repr=False)

    def begin(self) -> None:
        """Finds where to begin, which is no earlier than what is still held, and what is recorded.

        Raises:
            TrafficAnswerError: The worker's answer is none.
        """
        page = self._read(self.after or 0, 0)
        self.after = max(self.after or 0, page.first - 1)

    def page(self) -> list[RecordedCall]:
        """The next calls, the oldest first; none if there are no new ones. `taken` goes on behind one of them.

        Raises:
            TrafficAnswerError: The worker's answer is none.
        """
        if self.after is None:
            self.begin()
        after = self.after or 0
        page = self._read(after, _MOST)
        begins = page.calls[0].seq if page.calls else page.first
        # A worker that was started again counts anew.
        if page.last < after:
            self.after = 0
            return []
        lost = max(begins - after - 1, 0)
        self.lost += lost
        self.after = after + lost
        return [RecordedCall(call, None, self.endpoint, hooked=page.hooked) for call in page.calls]

    def taken(self, call: RecordedCall) -> None:
        """The call is known now."""
        self.after = call.seq

    def held(self) -> Generator[RecordedCall]:
        """The calls that the worker holds at the moment."""
        while calls := self.page():
            for call in calls:
                self.taken(call)
                yield call

    def follow(self, settled: float = 0.0) -> Generator[RecordedCall | None]:
        """Calls as they end, for ever; `None` when there are no new ones, each time.

        Args:
            settled: Seconds that a call must have ended before: what its client measured is told later.
        """
        while True:
            calls = self.page()
            until = time.time_ns() - round(settled * 1e9)
            for call in calls:
                if settled and call.ended_unix_ns > until and call.round_trip_ns is None:
                    calls = []
                    break
                self.taken(call)
                yield call
            if not calls:
                yield None
                time.sleep(_PAUSE)

    def _read(self, after: int, most: int) -> Page:
        page = Page.read(self.ask(after, most))
        if self._skipped_before is None:
            self._skipped_before = page.skipped
        self.skipped = max(page.skipped - self._skipped_before, 0)
        self.recording, self.hooked = page.recording, page.hooked
        if self.after is None:
            self.after = page.last
        return page
