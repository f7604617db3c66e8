"""Where a handler's time goes: samples of the stacks of threads that run it, while it is asked for."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from pycrust.functions.callables import plain_function
from pycrust.text.table import Table

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from pycrust.handlers.registration import Registration

#: Seconds between two samples, by default.
PERIOD = 0.001
#: Frames of one stack that are kept.
_DEPTH = 64
#: Rows of the table that are shown.
_ROWS = 20


class Profile:
    """Samples of a handler's stacks; it shows itself as a table of functions and lines.

    Attributes:
        method: The method's name.
        seconds: How long was sampled.
        samples: Looks at the threads.
        inside: Samples of a thread that was inside of the handler.
        own: Samples in a function itself, by `name (file:line)`.
        total: Samples in a function or in what it called, by `name (file:line)`.
        stacks: Samples of each whole stack from the handler on, names joined by `;`: what flame graphs are made of.
    """

    def __init__(self, method: str) -> None:
        """Has seen nothing yet."""
        self.method = method
        self.seconds = 0.0
        self.samples = self.inside = 0
        self.own: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.stacks: Counter[str] = Counter()

    def sample(self, code: CodeType, leave_out: int) -> None:
        """Looks at every thread once.

        Args:
            code: The handler's.
            leave_out: The thread that looks.
        """
        self.samples += 1
        for thread, frame in sys._current_frames().items():  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the way to see other threads
            if thread == leave_out:
                continue
            stack = _inside(frame, code)
            if not stack:
                continue
            self.inside += 1
            self.own[stack[0]] += 1
            self.total.update(set(stack))
            self.stacks[";".join(reversed(stack))] += 1

    def _table(self) -> Table:
        rows = [
            (name, str(self.own[name]), str(total), f"{100 * total / self.inside:.0f} %")
            for name, total in self.total.most_common(_ROWS)
        ]
        return Table((f"{self.method}: where", "own", "with calls", "share"), rows, left={0})

    def __str__(self) -> str:
        """How often the handler ran, and a table of where it was."""
        share = 100 * self.inside / self.samples if self.samples else 0.0
        line = (
            f"{self.method}: in {self.inside} of {self.samples} samples ({share:.0f} %) over {self.seconds:.1f} s"
        )
        return f"{line}\n{self._table()}" if self.inside else f"{line}: it was not called, or waits elsewhere"

    def __repr__(self) -> str:
        """The same: it is shown as a cell's value."""
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{str(self).splitlines()[0]}</p>{self._table().html() if self.inside else ''}"


def _inside(frame: FrameType | None, code: CodeType) -> list[str]:
    """The stack from the innermost frame out to the handler's; empty if the handler is not on it."""
    stack: list[str] = []
    while frame is not None and len(stack) < _DEPTH:
        inner = frame.f_code
        stack.append(f"{inner.co_qualname} ({inner.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno})")
        if inner is code:
            return stack
        frame = frame.f_back
    return []


def profile(registration: Registration, seconds: float, period: float) -> Profile:
    """Samples the calls of a live handler; it costs its calls nothing when nobody asks.

    Args:
        registration: The live handler.
        seconds: How long to look.
        period: Seconds between two samples.

    Raises:
        ValueError: A time is not above 0.
        TypeError: The handler has no Python code that could be seen.
    """
    if not (seconds > 0 and period > 0):
        raise ValueError(f"seconds and period are above 0, not {seconds} and {period}")
    fingerprint = registration.fingerprint
    function: Any = plain_function(fingerprint.function) if fingerprint is not None else None
    if function is None:
        raise TypeError(f"{registration.method} has no Python code that could be sampled")
    found = Profile(registration.method)
    begun = time.perf_counter()
    me = threading.get_ident()
    while (passed := time.perf_counter() - begun) < seconds:
        found.sample(function.__code__, me)
        time.sleep(min(period, seconds - passed))
    found.seconds = time.perf_counter() - begun
    return found
