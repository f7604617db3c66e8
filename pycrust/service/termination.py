"""SIGTERM while a script listens."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

#: What SIGTERM did before, while somebody listens: the one that began first comes first.
_before: list[Any] = []


@contextmanager
def on_sigterm() -> Generator[threading.Event]:
    """An event that SIGTERM sets, where Python can hear it: on the main thread."""
    terminated = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return
    pid = os.getpid()

    def terminate(number: int, _frame: object) -> None:
        if os.getpid() == pid:
            terminated.set()
        else:  # it came to a forked child before that put it back
            forked()
            signal.raise_signal(number)

    before = signal.signal(signal.SIGTERM, terminate)
    _before.append(before if before is not None else signal.SIG_DFL)
    try:
        yield terminated
    finally:
        if _before:
            signal.signal(signal.SIGTERM, _before.pop())


def forked() -> None:
    """In a forked child, which does not listen: SIGTERM does what it did before."""
    if _before:
        signal.signal(signal.SIGTERM, _before[0])
        _before.clear()
    release()


class _Held(threading.local):
    """The signals that a thread that forks kept from itself before."""

    mask: set[Any] | None = None


_held = _Held()


def hold() -> None:
    """Before a fork, while somebody listens: a SIGTERM waits until the child has put back what it does there.

    Python forgets what came to a child before that, and the child would live on.
    """
    if _before:
        _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def release() -> None:
    """After the fork, on both sides."""
    mask, _held.mask = _held.mask, None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
