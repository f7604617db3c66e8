"""A reload of a model: what it is doing, and how it ended."""

from __future__ import annotations

import threading
import time
import traceback as tracebacks
from typing import TYPE_CHECKING, Literal, Self

from pycrust.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable


def _unseen(_thing: object) -> Callable[[], None]:
    return lambda: None


#: Shows a thing in the running cell, and gives what shows it there again; `pycrust.jupyter` has its own put here.
follow: Callable[[object], Callable[[], None]] = _unseen

State = Literal["waiting", "loading", "warming up", "validating", "draining", "done", "failed", "cancelled"]


class ModelRefusedError(ValueError):
    """A model's validation has refused it; what was live serves on."""


class Reload:
    """One reload of a model slot, which runs on a thread of its own; as a cell's value it shows its progress.

    Attributes:
        slot: The slot's name.
        version: The number of the version that it makes; 0 until it is live.
        error: Why it failed; `None` otherwise. Its traceback is kept as text, in a note.
    """

    def __init__(self, slot: str) -> None:
        """Made by `slot.reload()`."""
        self.slot = slot
        self.version = 0
        self.error: BaseException | None = None
        self._state: State = "waiting"
        self._begun = time.monotonic()
        self._took: float | None = None
        self._cancel = False
        self._live = threading.Event()
        self._over = threading.Event()
        self._changed: Callable[[], None] | None = None

    @property
    def state(self) -> State:
        """What it is doing: `draining` once the new model is live, `done` once the old one is let go."""
        return self._state

    @property
    def finished(self) -> bool:
        """Whether the new model is live, or the reload has failed."""
        return self._live.is_set()

    def wait(self, timeout: float | None = None, *, drained: bool = False) -> Self:
        """Waits until the new model is live, or the reload has failed.

        Args:
            timeout: Seconds to wait, at most.
            drained: Whether to wait until the last call on the old model has ended, too, and what became of it
                is known.

        Returns:
            Itself; `state` and `error` say how it ended.

        Raises:
            TimeoutError: It goes on after `timeout`.
        """
        if not (self._over if drained else self._live).wait(timeout):
            raise TimeoutError(f"the reload of {self.slot!r} is still {self._state} after {timeout} s")
        return self

    def result(self, timeout: float | None = None) -> int:
        """Waits like `wait`; gives the new model's version.

        Raises:
            BaseException: Why the reload failed.
            TimeoutError: It goes on after `timeout`.
        """
        self.wait(timeout)
        if self.error is not None:
            raise self.error
        return self.version

    def cancel(self) -> bool:
        """Asks it to stop before the swap: what runs now ends first. Whether it was not live yet."""
        self._cancel = True
        return not self._live.is_set()

    def _step(self, state: State) -> None:
        """Goes on to the next state; raises if it was cancelled meanwhile."""
        if self._cancel:
            raise Cancelled(f"the reload of {self.slot!r} was cancelled")
        self._set(state)

    def _set(self, state: State) -> None:
        self._state = state
        if state in {"draining", "done", "failed", "cancelled"} and self._took is None:
            self._took = time.monotonic() - self._begun
            self._live.set()
        if state in {"done", "failed", "cancelled"}:
            self._over.set()
        if self._changed is not None:
            self._changed()

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self._set("cancelled" if isinstance(error, Cancelled) and self._cancel else "failed")

    def __repr__(self) -> str:
        """One line."""
        took = self._took if self._took is not None else time.monotonic() - self._begun
        version = f" v{self.version}" if self.version else ""
        error = f": {type(self.error).__name__}: {self.error}" if self.error is not None else ""
        return f"<reload of {self.slot}{version}: {self._state}, {took:.1f} s{error}>"

    def _ipython_display_(self) -> None:
        """Its line, which a notebook keeps up to date."""
        self._changed = follow(self)
        self._changed()  # what happened while it was shown for the first time


def without_frames(error: BaseException) -> BaseException:
    """The same exception without its frames, which would keep alive what they refer to; their text is a note."""
    text = "".join(tracebacks.format_exception(error))
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        waiting += [one.__cause__, one.__context__]
        waiting += getattr(one, "exceptions", ())  # a group's
    error.add_note(text)
    return error
