"""Trying a candidate on calls that were answered already: results compared, latencies side by side."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pycrust._extension import crossed
from pycrust.calls import output
from pycrust.errors import Code, describe, describe_arguments, describe_result
from pycrust.handlers.options import Options
from pycrust.handlers.registration import call_here, make_registration
from pycrust.text.statistics import duration
from pycrust.text.table import Table
from pycrust.traffic.recorded_error import RecordedError
from pycrust.trials.answers import Answer, compared, gone_arguments, shown_answer
from pycrust.trials.compare import Difference, Tolerance, of_any_item, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pycrust.errors import RpcError
    from pycrust.handlers.registration import Registration
    from pycrust.service.service import Service
    from pycrust.traffic.recorded import RecordedCall

#: Calls that differ and are kept, the newest ones.
_KEPT = 100
#: Latencies that are kept, the newest ones.
_LATENCIES = 10_000
#: Ends of calls that say nothing about a handler.
_NOT_THE_HANDLERS = frozenset({
    Code.CANCELLED,
    Code.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE,
    Code.UNIMPLEMENTED,
    Code.FAILED_PRECONDITION,
})  # fmt: skip
#: Places that a summary names of those that could not be compared; and that are counted.
_NAMED, _COUNTED = 3, 100
#: How the exception of a candidate is described, by how the recorded call ended; else as the handler's own.
_EXPLAIN = {Code.INVALID_ARGUMENT: describe_arguments, Code.INTERNAL: describe_result}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A call that the candidate answered otherwise, or of which nobody can tell.

    Attributes:
        call: The recorded call.
        differences: What differs in the results, or can't be compared; empty where one of the two failed, or both
            did with other errors.
        expected: How the recorded call ended, in a few words.
        found: How the candidate's ended; empty if it was not run.
    """

    call: RecordedCall = field(repr=False)
    differences: tuple[Difference, ...]
    expected: str
    found: str

    @property
    def uncompared(self) -> bool:
        """Whether nobody can tell: all that may differ is not there to be compared."""
        return bool(self.differences) and not any(one.certain for one in self.differences)

    def __str__(self) -> str:
        """One line for each difference."""
        said = [str(one) for one in self.differences] or [f"{self.expected} → {self.found}"]
        return f"call {self.call.seq} ({shown(self.call.arguments)}): " + "; ".join(said)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call of the candidate ended."""

    answer: Answer
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether with an error."""
        return self.answer.error is not None


class Trial:
    """What came of running a candidate on recorded calls; it shows itself as a table.

    The true answers are compared, also where fields of them are redacted: of a redacted field, a difference says
    only that it differs.

    Attributes:
        method: The method's name.
        calls: Calls that were compared.
        agreed: Those that ended alike: equal results within the tolerance, or an error of the same code and type.
        failed: Those that the candidate failed and the live handler did not.
        skipped: Those that could not be run: arguments that were not kept whole, and calls that ended by something
            else than the handler.
        uncompared: Those of which nobody can tell whether they agree. Fields of the arguments, or of what may
            differ in the answers, are not there: dropped before the call was stored, or hidden for good in the file
            that it was read from. Or they are arrays of which only type and shape are recorded. These calls are
            not among `calls`.
        mismatches: The newest hundred calls that differ.
        untold: The newest hundred of those that are uncompared; their differences say why.
    """

    def __init__(self, service: Service, candidate: Registration, tolerance: Tolerance) -> None:
        """Made by `shadow` and `replay`."""
        self.method = candidate.method
        self.calls = self.agreed = self.failed = self.skipped = self.uncompared = 0
        self.mismatches: deque[Mismatch] = deque(maxlen=_KEPT)
        self.untold: deque[Mismatch] = deque(maxlen=_KEPT)
        #: Why calls are uncompared, and how many for each reason.
        self._reasons: Counter[str] = Counter()
        self._service = service
        self._candidate = candidate
        self._tolerance = tolerance
        self._lock = threading.Lock()
        #: Seconds that the live handler and the candidate took: decoding, validating, running and encoding.
        self._took: tuple[deque[float], deque[float]] = (deque(maxlen=_LATENCIES), deque(maxlen=_LATENCIES))

    @property
    def differing(self) -> int:
        """Calls that ended otherwise."""
        with self._lock:
            return self.calls - self.agreed

    def run(self, call: RecordedCall) -> None:
        """Runs the candidate on a recorded call and notes how that compares."""
        if not can_run(call):
            self.skipped += 1
            return
        arguments = call.unredacted_arguments
        gone = gone_arguments(call, arguments)
        if gone:
            with self._lock:
                self._leave(Mismatch(call, gone, ended(call.result, call.error), ""))
            return
        outcome = self._attempt(call, arguments)
        mismatch = self._compared(call, outcome)
        stages = call.stages
        with self._lock:
            self._took[0].append(sum(stages.get(name, 0.0) for name in ("decode", "handler", "encode")))
            self._took[1].append(outcome.seconds)
            if mismatch is not None and mismatch.uncompared:
                self._leave(mismatch)
                return
            if mismatch is None:
                self.agreed += 1
            else:
                self.failed += outcome.failed and call.code is Code.OK
                self.mismatches.append(mismatch)
            # Last: whoever sees the call counted sees how it compared.
            self.calls += 1

    def _leave(self, mismatch: Mismatch) -> None:
        """Counts a call of which nobody can tell."""
        self.untold.append(mismatch)
        for reason in dict.fromkeys(f"{of_any_item(one.path)}: {one.reason}" for one in mismatch.differences):
            if reason in self._reasons or len(self._reasons) < _COUNTED:
                self._reasons[reason] += 1
        self.uncompared += 1

    def _attempt(self, call: RecordedCall, arguments: Any) -> Outcome:
        candidate = self._candidate
        as_recorded = self._service.catalog.local_call(candidate, call)
        begun = time.perf_counter()
        result, failed = None, None
        try:
            with output.collected():  # what a candidate prints belongs into no cell
                handler = self._service.catalog.bound(candidate)
                result = call_here(handler, candidate.kind, arguments, as_recorded)
                if candidate.kind in {"generator", "async_generator"}:
                    result = list(result)
                result = crossed(result)
        except BaseException as error:  # noqa: BLE001 - the candidate is what is tried
            raise_interrupt(error)
            result, failed = None, error
        took = time.perf_counter() - begun
        told = None if failed is None else _told(call, failed)
        return Outcome(Answer(result, told, as_recorded.looked_at_metadata), took)

    def _compared(self, call: RecordedCall, outcome: Outcome) -> Mismatch | None:
        if compared(call, outcome.answer, None, self._tolerance).same:
            return None
        new = shown_answer(call, outcome.answer, self._service.recording.redaction)
        found = compared(call, outcome.answer, new, self._tolerance)
        return Mismatch(call, found.differences, ended(call.result, call.error), ended(new.result, new.error))

    def latencies(self) -> dict[str, dict[str, float]]:
        """Seconds at p50, p90, p99 and at most, of the `live` handler and of the `candidate`."""
        with self._lock:
            took = [sorted(one) for one in self._took]
        return {
            name: {
                "p50": quantile(seconds, 0.5),
                "p90": quantile(seconds, 0.9),
                "p99": quantile(seconds, 0.99),
                "max": seconds[-1] if seconds else 0.0,
            }
            for name, seconds in zip(("live", "candidate"), took, strict=True)
        }

    def _table(self) -> Table:
        rows = [
            (name, *(duration(seconds * 1e9) for seconds in times.values()))
            for name, times in self.latencies().items()
        ]
        return Table((self.method, "p50", "p90", "p99", "max"), rows, left={0})

    def summary(self) -> str:
        """What came of it, in one line."""
        text = f"{self.method}: {self.calls} calls, {self.agreed} agree, {self.differing} differ"
        text += f", {self.failed} of them fail" if self.failed else ""
        text += f"; {self.uncompared} can't be compared ({self._why()})" if self.uncompared else ""
        return text + (f"; {self.skipped} skipped" if self.skipped else "")

    def _why(self) -> str:
        """Why calls can't be compared, the most frequent reasons first."""
        with self._lock:
            reasons = [reason for reason, _ in self._reasons.most_common(_NAMED)]
            more = len(self._reasons) - len(reasons)
        return "; ".join(reasons) + (f"; and {more} more places" if more else "")

    def __str__(self) -> str:
        """The summary, the latencies side by side, the newest differences, and what could not be compared last."""
        newest = [f"  {one}" for one in (*list(self.mismatches)[-5:], *list(self.untold)[-2:])]
        return "\n".join([self.summary(), str(self._table()), *newest])

    def __repr__(self) -> str:
        """The same: it is shown as a cell's value."""
        return str(self)


def raise_interrupt(error: BaseException) -> None:
    """Lets the user's Ctrl-C through; what else a handler raises, and on other threads anything, is its answer.

    Raises:
        KeyboardInterrupt: It was that.
    """
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error


def ended(result: Any, error: RecordedError | None) -> str:
    """How a call ended, in a few words."""
    return shown(result) if error is None else f"{error.type}: {error.message}"


def _told(call: RecordedCall, error: BaseException) -> RecordedError:
    """An exception of the candidate, as its caller would be told where the recorded call ended as it did."""
    code, told = _EXPLAIN.get(call.code, describe)(error)
    return RecordedError.of(Code(code), told)


def can_run(call: RecordedCall) -> bool:
    """Whether a recorded call can be run again, as far as its arguments are there."""
    return call.ran and not call.truncated and call.code not in _NOT_THE_HANDLERS and "one-way" not in call.kinds


def check_harmless(method: str, *registrations: Registration) -> None:
    """Refuses handlers that change the world.

    Raises:
        ValueError: One is marked as having side effects.
    """
    if any(one.side_effects for one in registrations):
        raise ValueError(
            f"{method} is registered with side_effects=True: running it again would change the world, so it is "
            "neither shadowed nor replayed"
        )


def candidate_of(
    service: Service,
    method: str,
    candidate: Callable[..., Any] | int | None,
    options: Mapping[str, Any],
    names: Mapping[str, Any],
) -> Registration:
    """What is tried in place of a method's live handler.

    Args:
        service: The endpoint.
        method: The method's name.
        candidate: A function, the number of a version whose handler is kept, or `None` for the live handler.
        options: As in `register`, where they are others than the live handler's.
        names: Names that annotations may use.

    Raises:
        UnknownMethod: Nothing is live, and there is no function.
        ValueError: The method or the candidate has side effects, or the version's handler was let go.
        TypeError: The candidate's kind or signature is unfit.
    """
    live = service.catalog.visible().get(method)
    if live is None and not callable(candidate):
        live = service.catalog.registered(method)
    if candidate is None and live is not None:
        made = live
    elif isinstance(candidate, int):
        made = service.catalog.archive.handler(method, candidate)
    else:
        assert candidate is not None  # noqa: S101 - without one, the live handler is taken
        wanted = Options.of({"warmup": None, **options}, live.options if live is not None else None)
        made = make_registration(candidate, method, wanted, names, service)
        made = replace(made, service=live.service if live is not None else "")
    check_harmless(method, *[one for one in (live, made) if one is not None])
    return made


def error_of(error: RpcError) -> RecordedError:
    """A failed call's error, as a recorded call has it."""
    traceback = "\n".join(getattr(error, "__notes__", []))
    return RecordedError(error.code, error.message, error.type, error.details, traceback)


def quantile(values: list[float], at: float) -> float:
    """A quantile of values in order; 0 of none.

    Examples:
        >>> quantile([1.0, 2.0, 3.0], 0.5), quantile([], 0.5)
        (2.0, 0.0)
    """
    return values[min(int(at * len(values)), len(values) - 1)] if values else 0.0
