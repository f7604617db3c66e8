"""Calls that failed, in the log: each once, with what tells it from others, and no more than a few of a method."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback as tracebacks
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError

from pycrust import logs
from pycrust.errors import (
    Code,
    RpcError,
    describe_arguments,
    describe_result,
    message_of,
    qualified_name,
    traceback_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Failures of a method that are logged in full within one period; more are counted.
BURST = 5
PERIOD_S = 10.0
#: Characters of an exception's message in the first line; the traceback has all of it.
_MOST = 300

#: Codes of answers that are somebody's fault here; any other is what the handler chose to answer.
_FAULTS = frozenset({Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS})


@dataclass
class _Period:
    """Some seconds of one method's failures."""

    method: str
    level: int
    began: float
    logged: int = 0
    #: Those that were not logged, by the kinds of their exceptions.
    counted: Counter[str] = field(default_factory=Counter[str])

    def line(self) -> logging.LogRecord:
        """What is said of those that were only counted."""
        count = self.counted.total()
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.counted.most_common(5))
        text = f"{self.method}: {count:,} more calls failed within {PERIOD_S:.0f} s: {kinds}"
        return logs.record(self.level, text, extra={"suppressed": count})


class Limiter:
    """Lets the first few failures of each method through in each period, and sums up the others at its end."""

    def __init__(self) -> None:
        """Nothing has failed."""
        self._lock = threading.Lock()
        self._periods: dict[tuple[str, int], _Period] = {}
        self._over: list[_Period] = []

    def admits(self, method: str, level: int, kind: str) -> bool:
        """Whether a failure is logged; if not, it is counted."""
        now = time.monotonic()
        with self._lock:
            period = self._periods.get((method, level))
            if period is None or now - period.began >= PERIOD_S:
                if period is not None and period.counted:
                    self._over.append(period)
                period = self._periods[method, level] = _Period(method, level, now)
            if period.logged < BURST:
                period.logged += 1
                return True
            first = not period.counted
            period.counted[kind] += 1
        if first:
            logs.drain.put(_look)
        return False

    def patience(self) -> float | None:
        """Seconds until a period ends that has counted something."""
        with self._lock:
            if self._over:
                return 0.0
            ends = [period.began + PERIOD_S for period in self._periods.values() if period.counted]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def due(self, *, all_of_them: bool = False) -> list[logging.LogRecord]:
        """Takes the sums of the periods that have ended, or of all."""
        now = time.monotonic()
        with self._lock:
            ended = [period for period in self._periods.values() if all_of_them or now - period.began >= PERIOD_S]
            for period in ended:
                del self._periods[period.method, period.level]
            over, self._over = [*self._over, *ended], []
        return [period.line() for period in over if period.counted]

    def forked(self) -> None:
        """In a forked child: what failed is the parent's to tell."""
        self._lock = threading.Lock()
        self._periods, self._over = {}, []


def _look() -> None:
    """Wakes the thread that logs, which then looks when the sum is due."""


#: Called with what each call or batch has failed with, in the context that it runs in.
listeners: list[Callable[[BaseException], object]] = []
limiter = Limiter()
logs.drain.watch(limiter)


def failed(endpoint: str, call: Mapping[str, Any], code: int, error: BaseException, calls: int) -> None:
    """Logs that a call failed: with the traceback, if that is a fault and not an answer that was chosen.

    Args:
        endpoint: The endpoint's name.
        call: What is known of the call, or of the first one of a batch, as `RunningCall` has it.
        code: What its caller is answered.
        error: Why.
        calls: How many calls of a batch it has ended.
    """
    for listener in listeners:
        with contextlib.suppress(Exception):  # an exception need not be able to say what it is
            listener(error)
    status = Code(code)
    level = logging.ERROR if status in _FAULTS else logging.INFO
    if not logs.drain.running or not logging.getLogger(logs.ROOT).isEnabledFor(level):
        return
    method, kind = f"{endpoint}.{call['method']}", qualified_name(type(error))
    if not limiter.admits(method, level, kind):
        return
    extra = {
        "endpoint": endpoint,
        "method": call["method"],
        "version": call["version"],
        "call_id": call["id"],
        "connection": call["connection"],
        "client": call["client"],
        "client_pid": call["client_pid"],
        "code": status.name,
    }
    # Of a value that doesn't validate there is no traceback: it was refused here, and not by the handler's code.
    refused = isinstance(error, ValidationError) and status is not Code.UNKNOWN
    trace = traceback_text(error) if level == logging.ERROR and not refused else ""
    text = f"{method} v{call['version']} failed for {_who(call, calls)}: {_what(status, kind, error)}"
    logs.drain.put(logs.record(level, text, trace=trace, where=_where(error), extra=extra))


def _who(call: Mapping[str, Any], calls: int) -> str:
    # A client chose its name itself: no line of the log may begin in it.
    client = str(call["client"]).encode("unicode_escape").decode()
    more = f" and {calls - 1} more of its batch" if calls > 1 else ""
    return f"{client} (pid {call['client_pid']}), call {call['id']:#x}{more}"


def _what(status: Code, kind: str, error: BaseException) -> str:
    if isinstance(error, ValidationError) and status is not Code.UNKNOWN:
        # As the caller is told, without the values.
        describe = describe_result if status is Code.INTERNAL else describe_arguments
        return f"{status.name}: {describe(error)[1]['message']}"
    message = message_of(error).strip()
    head = message.splitlines()[0] if message else ""
    head = head if len(head) <= _MOST else f"{head[:_MOST]}…"
    said = f"{status.name} ({kind})" if status not in _FAULTS or isinstance(error, RpcError) else kind
    return f"{said}: {head}" if head else said


def _where(error: BaseException) -> tuple[str, int, str]:
    """Where it was raised."""
    steps = list(tracebacks.walk_tb(error.__traceback__))
    if not steps:
        return "", 0, ""
    frame, line = steps[-1]
    return frame.f_code.co_filename, line, frame.f_code.co_name
