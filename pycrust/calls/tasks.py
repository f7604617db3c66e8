"""The call that an event loop's running task belongs to; it needs no asyncio."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pycrust._extension import CurrentCall

#: Set in the context of each call of an async handler.
current: ContextVar[CurrentCall | None] = ContextVar("pycrust_call", default=None)


def current_task_call() -> CurrentCall | None:
    """The call that the running task of an event loop belongs to."""
    return current.get()
