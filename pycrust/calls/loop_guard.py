"""Keeps a loop that is not ours, the kernel's, from ending by what a handler has put on it.

`SystemExit` and `KeyboardInterrupt` pass through an event loop and end it, also out of a task or a callback that a
handler started and that outlives its call. Everything that a handler puts on a loop runs in a copy of the handler's
context, so it is told from what the kernel puts there.
"""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextvars import Context

    #: Tells the endpoint whose handler it was what reached the loop.
    Say = Callable[[str, BaseException | None], None]

#: What schedules a callback, with the callback's place among its arguments.
_SCHEDULING = {
    "call_soon": 0,
    "call_soon_threadsafe": 0,
    "call_later": 1,
    "call_at": 1,
    "add_reader": 1,
    "add_writer": 1,
}

#: In what a handler of the kernel's loop runs and starts: whom to tell.
guarded: ContextVar[Say | None] = ContextVar("pycrust_guarded", default=None)
_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def guard(loop: asyncio.AbstractEventLoop) -> None:
    """Guards a loop, once."""
    if loop in _loops:
        return
    for name, place in _SCHEDULING.items():
        setattr(loop, name, _scheduling(getattr(loop, name), place))
    setattr(loop, "set_exception_handler", _handler_setter(loop.set_exception_handler))  # noqa: B010 - on this one object
    setattr(loop, "stop", _stopper(loop.stop))  # noqa: B010 - as above
    _loops.add(loop)


def _scheduling(schedule: Callable[..., Any], place: int) -> Callable[..., Any]:
    @functools.wraps(schedule)
    def guarding(*args: Any, context: Context | None = None, **options: Any) -> Any:
        say = guarded.get() if context is None else context.get(guarded)
        if say is not None and len(args) > place:
            args = (*args[:place], _contained(args[place], say), *args[place + 1 :])
        if context is not None:
            options["context"] = context
        return schedule(*args, **options)

    return guarding


def _contained(callback: Callable[..., Any], say: Say) -> Callable[..., Any]:
    @functools.wraps(callback, updated=())
    def contained(*args: Any) -> Any:
        try:
            return callback(*args)
        except (SystemExit, KeyboardInterrupt) as error:
            say(f"{type(error).__name__} of a task or a callback would have ended the kernel's event loop", error)

    return contained


def _handler_setter(set_handler: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(set_handler)
    def setter(handler: Any) -> None:
        say = guarded.get()
        set_handler(_contained(handler, say) if say is not None and callable(handler) else handler)

    return setter


def _stopper(stop: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(stop)
    def stopper() -> None:
        say = guarded.get()
        if say is None:
            stop()
        else:
            say("a handler has called stop() of the kernel's event loop, which runs on", None)

    return stopper
