"""A handler that forks: how its child begins and ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from pycrust import _extension
from pycrust.calls.tasks import current_task_call

if TYPE_CHECKING:
    from collections.abc import Callable

_private: Any = threading
#: What a shell says of a program that Ctrl-C has ended.
_INTERRUPTED = 128 + signal.SIGINT


def in_handler() -> bool:
    """Whether this thread or task runs a handler."""
    return (
        _extension.current_call() is not None
        or _extension.current_calls() is not None
        or current_task_call() is not None
    )


def begin(stop_all: Callable[[], None]) -> None:
    """In a child that a handler has forked: what its parent wants done at its own end is not for the child to do.

    As `multiprocessing` has it for its children.
    """
    atexit._clear()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the only way
    atexit.register(stop_all)
    # The loop that it wakes is one of the main thread's, which the child does not have.
    signal.set_wakeup_fd(-1)


def leave(error: BaseException | None) -> NoReturn:
    """Ends a child whose handler has returned or raised, as the end of a program does.

    Its thread is a copy of its parent's that answers calls, which are none of the child's.
    """
    status = 1
    try:
        status = _status(error)
        # Waits for threads, as the end does.
        _private._shutdown()  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
    finally:
        flush()
        _extension.clean_up()
        os._exit(status)


def leave_loop() -> NoReturn:
    """Ends a child of an async handler that lets its parent's event loop go on."""
    leave(RuntimeError("a forked child of an async handler came to an await: its event loop is its parent's"))


def flush() -> None:
    """Writes what the standard streams still hold."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # closed, or none


def _status(error: BaseException | None) -> int:
    """The status that a program has which ends like this; says why where a program would."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1
