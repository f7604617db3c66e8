"""`endpoint.traffic()`: the last calls, as a list that can be filtered, shown, followed and kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, overload

from pycrust._extension import call_lines
from pycrust.text.statistics import counted
from pycrust.text.table import Table
from pycrust.traffic.filters import STAGES, Filter, parse
from pycrust.traffic.recorded import RecordedCall
from pycrust.traffic.redaction import Redaction

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable

    from pycrust._extension import Worker

#: Columns of the table that a list of calls is shown as.
COLUMNS = ("call", "time", "method", "version", "status", "took", "client", "arguments", "answer")
#: Rows of it that are shown; more are counted.
_ROWS = 20
#: Seconds between two looks at whether the user has interrupted.
_SLICE = 0.1
#: Calls that `follow` takes in one go.
_BATCH = 1_000


class Traffic(Sequence[RecordedCall]):
    """Recorded calls, the oldest first; what was recorded when it was made.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("traffic-doc")
        >>> endpoint.traffic("status:error >5ms")
        <Traffic of traffic-doc: 0 calls that match status:error >5ms>
    """

    def __init__(self, name: str, calls: Iterable[RecordedCall], chosen: Filter) -> None:
        """Made by `endpoint.traffic()`."""
        self.name = name
        self._calls = tuple(calls)
        self._filter = chosen

    @overload
    def __getitem__(self, index: int) -> RecordedCall: ...
    @overload
    def __getitem__(self, index: slice) -> Traffic: ...
    def __getitem__(self, index: int | slice) -> RecordedCall | Traffic:
        """A call by its place, `[-1]` being the last one; or a part of the list."""
        if isinstance(index, slice):
            return Traffic(self.name, self._calls[index], self._filter)
        return self._calls[index]

    def __len__(self) -> int:
        """How many calls these are."""
        return len(self._calls)

    @property
    def text(self) -> str:
        """The filter that they match."""
        return self._filter.text

    def filter(self, text: str) -> Traffic:
        """Those that match a filter, too (see `pycrust.traffic.filters`).

        Raises:
            FilterError: It can't be read.
        """
        also = parse(text)
        both = parse(f"{self.text} {text}".strip())
        return Traffic(self.name, filter(also, self._calls), both)

    def where(self, test: Callable[[RecordedCall], bool]) -> Traffic:
        """Those for which `test(call)` is true."""
        return Traffic(self.name, filter(test, self._calls), self._filter)

    def slowest(self, count: int = 10) -> Traffic:
        """The calls that took longest, the slowest first."""
        return Traffic(self.name, sorted(self._calls, key=lambda call: -call.took_ns)[:count], self._filter)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Writes the calls to a file of JSON lines, redacted as they are shown; gives how many.

        What is redacted is not in the file: calls that miss arguments can't be made again from it, and answers that
        miss fields can't be compared. Only this user can read the file, whatever the umask says.

        Args:
            path: The file, `calls.jsonl` for one; it is replaced. `pycrust.traffic.file` describes it.
        """
        from pycrust.traffic.file import save  # noqa: PLC0415 - files are read and written seldom

        return save(path, self.name, self.text, self._calls)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Traffic:
        """Reads what `save` wrote.

        Raises:
            TrafficFileError: It is no such file, or a damaged one; the message names the line.
            OSError: The file can't be read.
        """
        from pycrust.traffic.file import TrafficFileError, load  # noqa: PLC0415 - as above

        name, text, calls = load(path)
        try:
            chosen = parse(text)
        except ValueError as error:
            raise TrafficFileError(f"{path}, line 1: {error}") from None
        return cls(name, calls, chosen)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each call: times and stages in seconds, arguments and results as they are.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 # pyright: ignore[reportMissingImports, reportMissingTypeStubs, reportUnknownVariableType] - optional
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install pandas") from error
        rows = [
            {
                "seq": call.seq,
                "started": call.started,
                "method": call.method,
                "version": call.version,
                "status": call.code.name,
                "client": call.client,
                "duration": call.duration,
                "round_trip": call.round_trip,
                **{name: call.stages.get(name) for name in STAGES},
                "arguments": call.arguments,
                "result": call.result,
                "error": None if call.error is None else call.error.message,
                "output": call.output,
            }
            for call in self._calls
        ]
        columns = ["seq", "started", "method", "version", "status", "client", "duration", "round_trip", *STAGES]
        columns += ["arguments", "result", "error", "output"]
        frame: Any = cast("Any", pd).DataFrame(rows, columns=columns)
        return frame.set_index("seq")

    def _title(self) -> str:
        matching = f" that match {self.text}" if self.text else ""
        return f"{counted(len(self), 'call')}{matching}"

    def __repr__(self) -> str:
        """One line."""
        return f"<Traffic of {self.name}: {self._title()}>"

    def __str__(self) -> str:
        """A table of the last calls."""
        return f"{self._table()}\n{self._count()}"

    def _table(self) -> Table:
        return Table(COLUMNS, [call.cells() for call in self._calls[-_ROWS:]], left=range(len(COLUMNS)))

    def _count(self) -> str:
        return f"the last {_ROWS} of {self._title()}" if len(self) > _ROWS else self._title()

    def _repr_html_(self) -> str:
        return self._table().html(self._count())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001 - IPython's signature
        printer.text(repr(self) if cycle else str(self))


def lines_of(calls: Iterable[RecordedCall]) -> str:
    """Recorded calls of an endpoint as lines of a list, in JSON, without anything that would have to be decoded.

    Each is its number, method, version, status, client, when it ended (milliseconds since 1970), how long it took
    (nanoseconds), and what else there is to say.
    """
    return call_lines([cast("Any", call.source) for call in calls])


class Tap:
    """Reads an endpoint's recorder.

    Args:
        name: The endpoint's name.
        worker: Gives its worker, which a fork replaces.
        redaction: Gives what is hidden at the moment.
    """

    def __init__(
        self, name: str, worker: Callable[[], Worker], redaction: Callable[[], Redaction] = Redaction
    ) -> None:
        """Has read nothing yet."""
        self.name = name
        self._worker = worker
        self._redaction = redaction

    def calls(self, text: str, limit: int | None, since: int) -> Traffic:
        """The last calls that match.

        Raises:
            FilterError: The filter can't be read.
            ValueError: The limit is below 0.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit is at least 0, or None for all calls, not {limit}")
        chosen = parse(text)
        redaction = self._redaction()
        if not text.strip():
            # No more than the limit need be looked at.
            records = self._worker().recorded(since, sys.maxsize if limit is None else limit)
            return Traffic(self.name, [RecordedCall(record, redaction, self.name) for record in records], chosen)
        found: list[RecordedCall] = []
        for record in reversed(self._worker().recorded(since)):
            call = RecordedCall(record, redaction, self.name)
            if limit is not None and len(found) >= limit:
                break
            if chosen(call):
                found.append(call)
        return Traffic(self.name, reversed(found), chosen)

    def follow(self, text: str, since: int | None) -> Generator[RecordedCall]:
        """Calls as they end, from now on or from `since`; waits for the next one, for ever.

        Raises:
            FilterError: The filter can't be read.
        """
        return self._follow(parse(text), self._worker().recorder()["last"] if since is None else since)

    def _follow(self, chosen: Filter, since: int) -> Generator[RecordedCall]:
        while True:
            for record in self._worker().recorded(since, _BATCH, newest=False):
                since = record.seq
                call = RecordedCall(record, self._redaction(), self.name)
                if chosen(call):
                    yield call
            while not self._worker().wait_recorded(since, _SLICE):
                pass
