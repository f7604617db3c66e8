"""Recorded calls made again through a client, on whatever serves the endpoint now, and compared."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from pycrust.errors import RpcError
from pycrust.text.statistics import duration
from pycrust.text.table import Table
from pycrust.trials.answers import Answer, compared, gone_arguments
from pycrust.trials.trial import Mismatch, can_run, ended, error_of, quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pycrust.client import Request, RpcClient
    from pycrust.traffic.recorded import RecordedCall
    from pycrust.trials.compare import Tolerance

#: Calls that differ and are kept, the first ones.
_KEPT = 100
#: Calls that are on their way at once, where they are made at the times at which they were recorded.
_AT_ONCE = 64
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class RemoteReplay:
    """What came of making recorded calls again; its text is a table.

    Args:
        client: Makes the calls.
        tolerance: How far numbers may be apart.
        timeout: Seconds that each call has.

    Attributes:
        calls: Calls that were made and compared.
        differing: Those that ended otherwise.
        uncompared: Calls of which nobody can tell: what would be compared, or sent, is not there.
        skipped: Calls that were not made: their arguments were not kept whole, or something else than a handler had
            ended them.
        mismatches: The first hundred calls that differ.
        untold: The first hundred of those that are uncompared.
    """

    def __init__(self, client: RpcClient, tolerance: Tolerance, timeout: float) -> None:
        """Has made no call yet."""
        self.calls = self.differing = self.uncompared = self.skipped = 0
        self.mismatches: deque[Mismatch] = deque()
        self.untold: deque[Mismatch] = deque()
        self._client = client
        self._tolerance = tolerance
        self._timeout = timeout
        self._lock = threading.Lock()
        #: Nanoseconds of each method: those that were recorded, and those of now.
        self._took: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))

    def run(self, calls: Iterable[RecordedCall]) -> None:
        """Makes calls one after the other, each as soon as the one before has ended.

        Raises:
            Unavailable: The worker is gone.
        """
        for call in calls:
            self.make(call)

    def run_timed(self, calls: Sequence[RecordedCall], speed: float) -> None:
        """Makes calls at the times at which they were recorded, also several at once.

        Args:
            calls: The calls.
            speed: How many times as fast as they were recorded.
        """
        begins = sorted(((call.ended_unix_ns - call.duration_ns, call) for call in calls), key=lambda one: one[0])
        if not begins:
            return
        first_ns, started = begins[0][0], time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            made = list[Any]()
            for begin_ns, call in begins:
                at = started + (begin_ns - first_ns) / 1e9 / speed
                time.sleep(max(0.0, at - time.monotonic()))
                made.append(threads.submit(self.make, call))
            for one in made:
                one.result()

    def make(self, call: RecordedCall) -> None:
        """Makes one call and notes how its answer compares."""
        if not can_run(call):
            with self._lock:
                self.skipped += 1
            return
        arguments = call.unredacted_arguments
        gone = gone_arguments(call, arguments)
        if gone:
            self._note(call, Mismatch(call, gone, ended(call.result, call.error), ""), None)
            return
        begun = time.perf_counter()
        try:
            answer = Answer(self._sent(call, arguments), None, bool(call.metadata_dropped))
        except RpcError as error:
            answer = Answer(None, error_of(error), bool(call.metadata_dropped))
        took_ns = (time.perf_counter() - begun) * 1e9
        found = compared(call, answer, None, self._tolerance)
        mismatch = None
        if not found.same:
            said = ended(call.result, call.error), ended(answer.result, answer.error)
            mismatch = Mismatch(call, found.differences, *said)
        self._note(call, mismatch, took_ns)

    def _note(self, call: RecordedCall, mismatch: Mismatch | None, took_ns: float | None) -> None:
        with self._lock:
            if took_ns is not None:
                before, now = self._took[call.method]
                before.append(call.took_ns)
                now.append(took_ns)
            if mismatch is not None and mismatch.uncompared:
                self.uncompared += 1
                if len(self.untold) < _KEPT:
                    self.untold.append(mismatch)
                return
            self.calls += 1
            if mismatch is not None:
                self.differing += 1
                if len(self.mismatches) < _KEPT:
                    self.mismatches.append(mismatch)

    def _sent(self, call: RecordedCall, arguments: Any) -> Any:
        """The result of the call; of one that streams, the list of its items."""
        dropped = set(call.metadata_dropped)
        metadata = {name: value for name, value in call.metadata["request"].items() if name not in dropped}
        request = self._client.request(call.method, timeout=self._timeout, metadata=metadata or None)
        if "upload" in call.kinds:
            if call.streamed:
                with request.exchange(arguments or []) as items:
                    return list(items)
            return request.upload(arguments or [])
        if call.streamed:
            with _streamed(request, arguments) as items:
                return list(items)
        return _called(request, arguments)

    # Showing ----------------------------------------------------------------------------------------------

    def latencies(self) -> dict[str, dict[str, dict[str, float]]]:
        """Seconds at p50, p90, p99 and at most of each method, as `recorded` and `now`."""
        return {
            method: {
                name: {label: quantile(sorted(took), at) / 1e9 for label, at in _QUANTILES.items()}
                for name, took in zip(("recorded", "now"), pair, strict=True)
            }
            for method, pair in sorted(self._took.items())
        }

    def as_json(self) -> dict[str, Any]:
        """All of it, of plain JSON types."""
        return {
            "calls": self.calls,
            "agreed": self.calls - self.differing,
            "differing": self.differing,
            "uncompared": self.uncompared,
            "skipped": self.skipped,
            "differences": [_told(one) for one in self.mismatches],
            "not_compared": [_told(one) for one in self.untold],
            "latencies_s": self.latencies(),
        }

    def summary(self) -> str:
        """What came of it, in one line."""
        text = f"{self.calls} calls, {self.calls - self.differing} agree, {self.differing} differ"
        text += f"; {self.uncompared} can't be compared" if self.uncompared else ""
        return text + (f"; {self.skipped} skipped" if self.skipped else "")

    def __str__(self) -> str:
        """The summary, the latencies side by side, what differs, and what could not be compared."""
        rows = [
            (method, of, *(duration(seconds * 1e9) for seconds in times.values()))
            for method, pair in self.latencies().items()
            for of, times in pair.items()
        ]
        parts = [self.summary()]
        if rows:
            parts.append(str(Table(("method", "round trip", *_QUANTILES), rows, left={0, 1})))
        parts += [f"≠ {one.call.method}: {one}" for one in self.mismatches]
        parts += [f"? {one.call.method}: {one}" for one in self.untold]
        return "\n".join(parts)


def _told(one: Mismatch) -> dict[str, Any]:
    return {
        "call": one.call.seq,
        "method": one.call.method,
        "differences": [str(difference) for difference in one.differences],
        "recorded": one.expected,
        "now": one.found,
    }


def _called(request: Request, arguments: Any) -> Any:
    given, named = _bound(arguments)
    return request.call(*given, **named)


def _streamed(request: Request, arguments: Any) -> Any:
    given, named = _bound(arguments)
    return request.stream(*given, **named)


def _bound(arguments: Any) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position and by name: nothing is none, and what is neither list nor map is one argument."""
    if arguments is None:
        return [], {}
    if isinstance(arguments, list):
        return cast("list[Any]", arguments), {}
    pairs = cast("dict[Any, Any]", arguments)
    if isinstance(arguments, dict) and all(isinstance(key, str) for key in pairs):
        return [], pairs
    return [arguments], {}
