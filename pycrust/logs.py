"""What the package has to say, through the standard `logging`: the logger `pycrust` and those below it.

Nobody who has something to say waits for it to be heard: notes lie in a bounded native queue until one thread
hands them to `logging`. So a logging handler that is slow, raises, or calls the endpoint holds up no call.

Where nobody has configured logging, warnings and errors go to standard error with their time. In a notebook nothing
of it is printed into a cell: the live view and the records of calls are the place there; handlers that write
elsewhere get it.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol, cast

from pycrust import _extension
from pycrust.calls import output
from pycrust.process.environment import in_kernel
from pycrust.process.shield import shielded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = "pycrust"
#: Loggers of the native side.
_NATIVE = (ROOT, f"{ROOT}.transport", f"{ROOT}.client", f"{ROOT}.iceoryx2")
#: Seconds that whoever stops waits for what was said before.
_FLUSH_S = 0.5
#: Seconds that the process's end waits for it.
_END_S = 1.0


class Overdue(Protocol):
    """What has lines to say later, without being asked."""

    def patience(self) -> float | None:
        """Seconds until the next one; `None` if there is none."""
        ...

    def due(self, *, all_of_them: bool = False) -> list[logging.LogRecord]:
        """The lines whose time has come."""
        ...

    def forked(self) -> None:
        """In a forked child, where nothing of it is to be said."""
        ...


class _Fallback(logging.StreamHandler[Any]):
    """Standard error as it is at the time, as of `logging.lastResort`, and with the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    @property
    def stream(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - as in logging itself
        return sys.stderr


_fallback = _Fallback()


def record(  # noqa: PLR0913 - all but the level and the text are keywords with defaults
    level: int,
    text: str,
    *,
    logger: str = ROOT,
    trace: str = "",
    where: tuple[str, int, str] = ("", 0, ""),
    extra: Mapping[str, Any] | None = None,
) -> logging.LogRecord:
    """A line of the log, with the time and the thread of now.

    Args:
        level: One of `logging`'s.
        text: What it says.
        logger: Who says it.
        trace: The text of a traceback.
        where: The file, line and function that it is about.
        extra: Attributes of the record.
    """
    path, line, function = where
    made = logging.getLogger(logger).makeRecord(
        logger, level, path, line, text, (), None, function or None, dict(extra or {})
    )
    # Text and not the exception: its frames would keep alive what the handler held.
    made.exc_text = trace.rstrip() or None
    return made


class Drain:
    """The thread that hands notes to `logging`; it runs from the first endpoint or client to the process's end."""

    def __init__(self) -> None:
        """Is not running yet."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._overdue: list[Overdue] = []
        self._ended = False
        self._levels: list[int] = []
        #: Kinds of exceptions of logging handlers that were complained of.
        self._complained: set[type[BaseException]] = set()

    @property
    def running(self) -> bool:
        """Whether anybody hears what is put."""
        return self._thread is not None and not self._ended

    def start(self) -> None:
        """Starts the thread if it does not run."""
        if self._thread is None and not self._ended:
            self._begin()

    @shielded
    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None or self._ended:
                return
            self._follow_levels()
            thread = threading.Thread(target=self._run, name="pycrust-log", daemon=True)
            thread.start()
            self._thread = thread

    def put(self, note: logging.LogRecord | Callable[[], object]) -> bool:
        """Leaves a line, or what is to be called on the thread; whether there was room. Never waits."""
        return self.running and _extension.log_put(note)

    def flush(self, seconds: float = _FLUSH_S) -> None:
        """Waits until what was said before was heard, at most so long; not on the thread itself."""
        heard = threading.Event()
        if threading.current_thread() is not self._thread and self.put(heard.set):
            heard.wait(seconds)

    def watch(self, overdue: Overdue) -> None:
        """Asks for lines of its own from time to time."""
        self._overdue.append(overdue)
        self.put(_nothing)

    def end(self) -> None:
        """Says what is left and ends the thread, within bounds: a logging handler may hang."""
        with self._lock:
            thread, self._ended = self._thread, True
        _extension.log_close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_END_S)

    def forked(self) -> None:
        """In a forked child, which has none of the parent's threads and says nothing of what the parent has put."""
        _extension.log_forked()
        self._lock = threading.Lock()
        self._thread = None
        for one in self._overdue:
            one.forked()

    def _run(self) -> None:
        output.leave_call(silent=in_kernel())
        while (taken := _extension.log_take(self._patience())) is not None:
            self._follow_levels()
            notes, lost = taken
            for note in notes:
                self._deal_with(note)
            if lost:
                self._hand_over(record(logging.WARNING, f"{lost} lines of the log had no room and are lost"))
            self._say_what_is_due()
        self._say_what_is_due(all_of_them=True)

    def _patience(self) -> float | None:
        found = [seconds for one in self._overdue if (seconds := one.patience()) is not None]
        return min(found, default=None)

    def _say_what_is_due(self, *, all_of_them: bool = False) -> None:
        for one in self._overdue:
            for line in one.due(all_of_them=all_of_them):
                self._hand_over(line)

    def _deal_with(self, note: Any) -> None:
        if isinstance(note, tuple):
            note = _native_record(*cast("tuple[int, str, str, float, str]", note))
        if isinstance(note, logging.LogRecord):
            self._hand_over(note)
        else:
            note()

    def _hand_over(self, line: logging.LogRecord) -> None:
        logger = logging.getLogger(line.name)
        try:
            if not logger.isEnabledFor(line.levelno):
                return
            if logger.hasHandlers():
                logger.handle(line)
            elif _last_resort_takes(line) and logger.filter(line):
                _fallback.handle(line)
        except BaseException as error:  # noqa: BLE001 - a user's handlers and filters may raise anything
            self._complain(error, line)

    def _complain(self, error: BaseException, line: logging.LogRecord) -> None:
        """Says once of each kind of exception that a logging handler has raised it."""
        if type(error) in self._complained or in_kernel():
            return
        self._complained.add(type(error))
        text = f"a logging handler raised {type(error).__name__}: {error}; it was to log: {line.getMessage()}"
        _fallback.handle(record(logging.ERROR, text))

    def _follow_levels(self) -> None:
        """Lets native lines come that somebody wants, of each logger.

        Those of INFO always do: they are few, and with them a level that was changed is seen.
        """
        levels = [min(logging.INFO, logging.getLogger(name).getEffectiveLevel()) for name in _NATIVE]
        if levels != self._levels:
            self._levels = levels
            _extension.log_levels([max(0, level) for level in levels])


def _nothing() -> None:
    """Wakes the thread, which then looks how long it may sleep."""


def _native_record(level: int, logger: str, text: str, at: float, thread: str) -> logging.LogRecord:
    line = record(level, text, logger=logger)
    line.created, line.msecs = at, float(int(at * 1000) % 1000)
    line.threadName = thread
    return line


def _last_resort_takes(line: logging.LogRecord) -> bool:
    """Whether a line is shown where no handler is configured."""
    last = logging.lastResort
    return last is not None and line.levelno >= last.level and sys.stderr is not None and not in_kernel()


drain = Drain()


def say(
    level: int, text: str, *, logger: str = ROOT, trace: str = "", extra: Mapping[str, Any] | None = None
) -> None:
    """Says something, if anybody wants to hear it; at the earliest once something serves or a client is open."""
    if drain.running and logging.getLogger(logger).isEnabledFor(level):
        drain.put(record(level, text, logger=logger, trace=trace, extra=extra))


# Registered before what stops the endpoints, so that it runs after that.
atexit.register(drain.end)
