"""The event loops of an endpoint's async handlers. Without such handlers, asyncio is not even imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrust._binding import CurrentCall, Inbox
    from pycrust.eventloop import LoopThread, Tasks


class Loops:
    """Which event loops run an endpoint's async handlers.

    Args:
        name: The endpoint's name.
        serving: Whether callers can reach the endpoint.
    """

    def __init__(self, name: str, serving: Callable[[], bool]) -> None:
        """Runs none yet."""
        self._name = name
        self._serving = serving
        #: Made when a handler first needs it.
        self._own: LoopThread | None = None
        self._kernel: Tasks | None = None

    def inbox(self, loop: str) -> Inbox:
        """Where calls for a handler on this loop are left.

        Args:
            loop: `"worker"`, or `"kernel"` for the one that runs on this thread.

        Raises:
            RuntimeError: `"kernel"`, and no event loop runs on this thread.
        """
        import asyncio  # noqa: PLC0415 - it takes 40 ms, which a handler that needs none should not cost

        from pycrust.eventloop import LoopThread, Tasks  # noqa: PLC0415 - as above

        if loop == "kernel":
            running = asyncio.get_running_loop()
            self._kernel = self._kernel or Tasks()
            self._kernel.attach(running)
            return self._kernel.inbox
        self._own = self._own or LoopThread(f"pycrust-loop-{self._name}")
        if self._serving():
            self._own.start()
        return self._own.tasks.inbox

    def running(self) -> list[tuple[Tasks, int, CurrentCall]]:
        """The calls of async handlers that run now: where, under which number there, and what they are."""
        tasks = [loop for loop in (self._own and self._own.tasks, self._kernel) if loop is not None]
        return [(loop, number, call) for loop in tasks for number, call in loop.running()]

    def start(self) -> None:
        """The endpoint begins to serve."""
        if self._own is not None:
            self._own.start()

    def stop(self) -> None:
        """The endpoint serves no more: cancels what still runs."""
        if self._own is not None:
            self._own.stop()

    def forked(self) -> None:
        """In a forked child, which has none of the parent's loops."""
        for loop in (self._own, self._kernel):
            if loop is not None:
                loop.forked()


def current_task_call() -> CurrentCall | None:
    """The call that the running task of an event loop belongs to."""
    eventloop = sys.modules.get("pycrust.eventloop")
    return eventloop.current.get(None) if eventloop is not None else None
