"""The worker's threads: their stack, and what debuggers and logs see of them."""

from __future__ import annotations

import sys
import threading
from typing import Any

from pycrust import _extension

#: The module's private parts, where there is no other way.
_private: Any = threading
#: Held while the interpreter's usual stack size is another one.
_starting = threading.Lock()


class Thread(threading.Thread):
    """A thread that runs somebody's code, with as much stack as the main thread may use.

    Python gives its threads what the C library does, which is less where the main thread's is not limited.
    """

    def start(self) -> None:
        """Starts it."""
        with _starting:
            before = threading.stack_size(_extension.stack_size())
            try:
                super().start()
            finally:
                threading.stack_size(before)


def enter(number: int) -> int:
    """A dispatch thread begins: it is known as a thread that Python has started is.

    Debuggers and tracers that are there see its handlers; one that comes later finds it among Python's threads.
    This is done once in its life, so that a call costs nothing more.

    Returns:
        Python's number for it.
    """
    # Made known to `threading` by being asked for.
    threading.current_thread().name = f"pycrust-{number}"
    if (trace := threading.gettrace()) is not None:
        sys.settrace(trace)
    if (profile := threading.getprofile()) is not None:
        sys.setprofile(profile)
    _meet_debugger()
    return threading.get_ident()


def _meet_debugger() -> None:
    """Makes debugpy, JupyterLab's debugger, aware of this thread, as it wants for those not of Python's making."""
    debugpy: Any = sys.modules.get("debugpy")
    pydevd: Any = sys.modules.get("pydevd")
    if debugpy is not None and pydevd is not None and pydevd.get_global_debugger() is not None:
        debugpy.debug_this_thread()


def nothing() -> None:
    """Does nothing, but looks whether this thread is to raise an exception, as every function does."""


def leave() -> None:
    """A dispatch thread ends: before 3.12, Python would go on counting it."""
    with _private._active_limbo_lock:  # noqa: SLF001
        _private._active.pop(threading.get_ident(), None)  # noqa: SLF001


def forked() -> None:
    """In a forked child, whose only thread is its main thread from now on."""
    global _starting  # noqa: PLW0603 - another thread may have held it when the process forked
    _starting = threading.Lock()
    if isinstance(threading.main_thread(), _private._DummyThread):  # noqa: SLF001
        # Until 3.13 it stays one, and the end of a child that `multiprocessing` forked fails on it.
        _private._main_thread = _private._MainThread()  # noqa: SLF001
