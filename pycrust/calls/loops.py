"""The event loops of an endpoint's async handlers. Without such handlers, asyncio is not even imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrust._extension import BaseContext, CurrentCall, Inbox, RealTimeProfile
    from pycrust.calls.event_loop import LoopThread, Tasks
    from pycrust.calls.loop_guard import Say


class Loops:
    """Which event loops run an endpoint's async handlers.

    Args:
        name: The endpoint's name.
        serving: Whether callers can reach the endpoint.
        say: Told of what handlers do to a loop.
    """

    def __init__(self, name: str, serving: Callable[[], bool], say: Say) -> None:
        """Runs none yet."""
        self._name = name
        self._serving = serving
        self._say = say
        #: The context that serving began in.
        self._base: BaseContext | None = None
        #: What its thread is given.
        self._profile: RealTimeProfile | None = None
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

        from pycrust.calls import loop_guard  # noqa: PLC0415 - as above
        from pycrust.calls.event_loop import LoopThread, Tasks  # noqa: PLC0415 - as above

        if loop == "kernel":
            running = asyncio.get_running_loop()
            self._kernel = self._kernel or Tasks(self._say)
            self._give_base(self._kernel)
            loop_guard.guard(running)
            self._kernel.attach(running)
            return self._kernel.inbox
        self._own = self._own or LoopThread(f"pycrust-loop-{self._name}", self._say)
        self._give_base(self._own.tasks)
        if self._serving():
            self._own.start(self._profile)
        return self._own.tasks.inbox

    def running(self) -> list[tuple[Tasks, int, CurrentCall]]:
        """The calls of async handlers that run now: where, under which number there, and what they are."""
        tasks = [loop for loop in (self._own and self._own.tasks, self._kernel) if loop is not None]
        return [(loop, number, call) for loop in tasks for number, call in loop.running()]

    def _give_base(self, tasks: Tasks) -> None:
        if self._base is not None:
            tasks.base = self._base

    def start(self, base: BaseContext, profile: RealTimeProfile | None) -> None:
        """The endpoint begins to serve, and each call runs in a copy of `base`; what its own thread is given."""
        self._base, self._profile = base, profile
        for tasks in (self._own and self._own.tasks, self._kernel):
            if tasks is not None:
                self._give_base(tasks)
        if self._own is not None:
            self._own.start(profile)

    def stop(self, caller: int) -> None:
        """The endpoint serves no more: cancels what still runs.

        Args:
            caller: The thread that asks, which is not waited for.
        """
        if self._own is not None:
            self._own.stop(caller)
        if self._kernel is not None:
            self._kernel.cancel()

    def forked(self) -> None:
        """In a forked child, which has none of the parent's loops."""
        for loop in (self._own, self._kernel):
            if loop is not None:
                loop.forked()
