"""Running `async def` handlers and async generators: on an event loop of the worker's own, or the kernel's."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import AsyncCall, be_punctual, make_inbox
from pycrust.calls import loop_guard
from pycrust.calls.contexts import base_context
from pycrust.calls.forking import leave_loop
from pycrust.calls.output import endings
from pycrust.calls.tasks import current
from pycrust.errors import Interrupted
from pycrust.process.shield import shielded
from pycrust.process.threads import Thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from pycrust._extension import BaseContext, CurrentCall, Inbox, RealTimeProfile
    from pycrust.calls.loop_guard import Say


#: Seconds that the tasks of a loop may take to end once they are cancelled.
_LAST_MOMENT = 1.0


#: Tasks of a parent process.
_left_alone: list[object] = []


class Tasks:
    """The calls that one event loop runs, each as a task.

    Dispatch threads leave calls in the inbox without taking the interpreter; its descriptor wakes the loop.

    Args:
        say: Told of what handlers do to the loop.
    """

    def __init__(self, say: Say) -> None:
        """Runs nothing yet."""
        self.inbox: Inbox = make_inbox()
        #: Each call runs in a copy of it.
        self.base: BaseContext = base_context()
        self._say = say
        self._tasks: dict[int, tuple[AsyncCall, asyncio.Task[None]]] = {}
        #: Calls that `endpoint.interrupt` ended.
        self._interrupted: set[int] = set()
        #: Calls that their caller or a stop ended.
        self._cancelled: set[int] = set()
        #: Tasks that wait for room or for an argument.
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The thread that runs it.
        self._thread: int | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes calls from now on; on the loop's own thread."""
        if self._loop is loop:
            return
        self.inbox.open()
        loop.add_reader(self.inbox.fileno(), self._hear, loop)
        # Last: interrupted before, it is done again.
        self._loop, self._thread = loop, threading.get_ident()

    def detach(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[None]]:
        """Takes no more calls and cancels those that run; on the loop's own thread. Gives their tasks."""
        if self._loop is loop:
            self._loop = None
            loop.remove_reader(self.inbox.fileno())
            self.inbox.close()
        running = {number: task for number, (_, task) in self._tasks.items() if task.get_loop() is loop}
        self._cancel(list(running))
        return list(running.values())

    def cancel(self) -> None:
        """Cancels what runs, and goes on taking calls; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self._cancel, list(self._tasks))

    def _cancel(self, numbers: list[int]) -> None:
        for number in numbers:
            self._cancelled.add(number)
            if not self._end_task(number):
                self._cancelled.discard(number)

    def _end_task(self, number: int) -> bool:
        """Cancels the task of a call; whether it is there, and will see that."""
        found = self._tasks.get(number)
        if found is None:
            return False
        call, task = found
        task.cancel()
        if inspect.getcoroutinestate(cast("Any", task.get_coro())) != inspect.CORO_CREATED:
            return True
        # Cancelled before its first step it runs none at all.
        call.abandon()
        del self._tasks[number]
        return False

    def lose(self, reason: str) -> None:
        """Answers the calls of a loop that will not run again."""
        for call, task in list(self._tasks.values()):
            call.fail(RuntimeError(reason))
            with contextlib.suppress(BaseException):  # of what the handler does at its end
                cast("Any", task.get_coro()).close()
        self._tasks, self._waiting, self._loop = {}, {}, None

    def running(self) -> list[tuple[int, CurrentCall]]:
        """The calls that run now, each with its number; from any thread."""
        calls: list[tuple[int, CurrentCall]] = []
        for number, (call, _) in list(self._tasks.items()):
            with contextlib.suppress(RuntimeError):  # answered meanwhile
                calls.append((number, call.context()))
        return calls

    def interrupt(self, number: int) -> bool:
        """Cancels a call's task; from any thread. Whether the loop was told."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(self._interrupt, number)
        except RuntimeError:
            return False  # closed meanwhile
        return True

    def _interrupt(self, number: int) -> None:
        self._interrupted.add(number)
        if not self._end_task(number):
            self._interrupted.discard(number)

    def forked(self) -> None:
        """In a forked child: what runs is the parent's."""
        if self._loop is not None and self._thread == threading.get_ident() and current.get() is not None:
            # A handler has forked, and what it awaits nobody sees to: the loop's next step is the child's last.
            self._loop.call_soon(leave_loop)
        # Not freed: that would close coroutines, whose `finally` blocks are the parent's to run.
        _left_alone.append((self._tasks, self._waiting))
        self._tasks, self._waiting, self._loop = {}, {}, None

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:  # a handler had held this one up for so long that another took its place
            loop.remove_reader(self.inbox.fileno())
            return
        for note in AsyncCall.take(self.inbox):
            if isinstance(note, int):
                self._look(note)
            else:
                self._begin(note)

    def _begin(self, call: AsyncCall) -> None:
        context = self.base.copy()
        context.run(current.set, call.context())
        context.run(loop_guard.guarded.set, self._say)
        # Not by the loop's factory of tasks, which a handler may have replaced.
        task = asyncio.Task(self._run(call), loop=self._loop, context=context)
        self._tasks[call.number] = call, task

    def _look(self, number: int) -> None:
        """Something changed for a call: it is cancelled, has room or has an argument."""
        found = self._tasks.get(number)
        if found is None:
            return
        waiting = self._waiting.get(number)
        if found[0].cancelled:
            self._cancel([number])
        elif waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _run(self, call: AsyncCall) -> None:
        work = None
        try:
            if call.cancelled:
                call.abandon()
                return
            ending: list[Callable[[], object]] = []
            endings.set(ending)
            work = call.begin(self._arguments(call))
            if work is None:
                return
            if call.streams:
                await self._stream(call, work, ending)
            else:
                result = await work
                _end(ending)
                call.finish(result)
        except asyncio.CancelledError as error:
            if call.number in self._interrupted:
                call.fail(Interrupted())
            elif call.number in self._cancelled or call.cancelled:
                call.abandon()
            else:
                call.fail(error)  # of something that the handler has cancelled itself
        except BaseException as error:  # noqa: BLE001 - also SystemExit is its caller's, and would end the loop
            call.fail(error)
        finally:
            self._tasks.pop(call.number, None)
            self._interrupted.discard(call.number)
            self._cancelled.discard(call.number)
            # Whoever keeps what the handler has raised keeps this frame.
            del call, work

    async def _stream(self, call: AsyncCall, items: Any, ending: list[Callable[[], object]]) -> None:
        try:
            async for item in items:
                while not call.may_send:
                    await self._change(call)
                if not call.send(item):
                    return
            _end(ending)
            call.end()
        finally:
            await items.aclose()
            del call, items  # as in `_run`

    async def _arguments(self, call: AsyncCall) -> AsyncIterator[Any]:
        """What the caller streams, as it comes."""
        while True:
            taken = call.take_argument()
            if taken is None:
                await self._change(call)
                continue
            there, item = taken
            if not there:
                return
            yield item

    async def _change(self, call: AsyncCall) -> None:
        """Waits until something changes for a call."""
        waiting = self._waiting[call.number] = asyncio.get_running_loop().create_future()
        try:
            # Whatever changes is told through the inbox, which this loop reads: not before it waits here.
            await waiting
        finally:
            del self._waiting[call.number]


def _end(ending: list[Callable[[], object]]) -> None:
    """Does what is to be done when a handler has ended."""
    for then in ending:
        then()


class LoopThread:
    """An event loop on a thread of its own, while the endpoint serves.

    Args:
        name: The thread's name.
        say: Told of what handlers do to the loop.
    """

    def __init__(self, name: str, say: Say) -> None:
        """Is not running yet."""
        self.name = name
        self.tasks = Tasks(say)
        self._say = say
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Set once the thread is to end.
        self._stopping = threading.Event()

    @shielded
    def start(self, profile: RealTimeProfile | None) -> None:
        """Starts the thread if it does not run.

        Args:
            profile: What the thread is given while it runs.

        Raises:
            Exception: Whatever the process's policy for event loops raises instead of making one.
        """
        if self._thread is not None and self._thread.is_alive() and not self._stopping.is_set():
            return
        loop = asyncio.new_event_loop()
        self._stopping, ready = threading.Event(), threading.Event()
        arguments = (loop, self._stopping, ready, profile)
        self._thread = Thread(target=self._main, args=arguments, name=self.name, daemon=True)
        self._thread.start()
        ready.wait()

    def _main(
        self,
        loop: asyncio.AbstractEventLoop,
        stopping: threading.Event,
        ready: threading.Event,
        profile: RealTimeProfile | None,
    ) -> None:
        be_punctual()
        if profile is None:
            self._serve(loop, stopping, ready)
            return
        profile.enter()
        try:
            self._serve(loop, stopping, ready)
        finally:
            profile.leave()

    def _serve(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event, ready: threading.Event) -> None:
        while True:
            self._loop = loop
            asyncio.set_event_loop(loop)
            self.tasks.attach(loop)
            ready.set()
            self._run(loop, stopping)
            if stopping.is_set():
                break
            with contextlib.suppress(BaseException):
                loop.close()
            self._say("the event loop was closed or broken by a handler: another one takes its place", None)
            self.tasks.lose("the event loop that ran this call was closed or broken, by this or by another handler")
            loop = asyncio.new_event_loop()
        self._drain(loop, self.tasks.detach(loop))
        self._close(loop)

    def _run(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> None:
        """Runs a loop until it is to end; it runs on whatever its callbacks raise, unless it is closed."""
        while not stopping.is_set() and not loop.is_closed():
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                self._say(
                    f"{type(error).__name__} of a task or a callback has ended the event loop: it runs again", error
                )
            except BaseException as error:  # noqa: BLE001 - whatever it is, other calls need a loop
                self._say(f"the event loop is broken: {error!r}", error)
                return
            else:
                if not stopping.is_set():
                    self._say("a handler has stopped the event loop: it runs again", None)

    def _drain(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task[None]]) -> None:
        """Lets tasks that were cancelled end, those first that answer calls."""
        others = [task for task in asyncio.all_tasks(loop) if task not in tasks]
        for task in others:
            task.cancel()
        self._complete(loop, [*tasks, *others])

    def _complete(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task[Any]]) -> None:
        until = time.monotonic() + _LAST_MOMENT
        while tasks and not loop.is_closed() and time.monotonic() < until:
            waiting = loop.create_task(asyncio.wait(tasks, timeout=max(until - time.monotonic(), 0.0)))
            with contextlib.suppress(BaseException):  # a task that exits, or stops the loop
                loop.run_until_complete(waiting)
            if not waiting.done():
                waiting.cancel()
            tasks = [task for task in tasks if not task.done()]

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        # What handlers leave in generators and threads may raise anything; the thread ends all the same.
        for work in (loop.shutdown_asyncgens, loop.shutdown_default_executor):
            if not loop.is_closed():
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(work())
        asyncio.set_event_loop(None)
        loop.close()

    def stop(self, caller: int) -> None:
        """Cancels what runs and ends the thread, if it runs.

        Args:
            caller: The thread that asks: it is not waited for.
        """
        self._stopping.set()
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            loop.call_soon_threadsafe(loop.stop)
        if thread.ident != caller:
            thread.join(2 * _LAST_MOMENT)
        self._thread = self._loop = None

    def forked(self) -> None:
        """In a forked child, which has none of the parent's threads."""
        self._thread = self._loop = None
        self.tasks.forked()


async def each(items: Iterable[Any]) -> AsyncIterator[Any]:
    """Items that are all here, as an async iterator."""
    for item in items:
        yield item


def in_process(work: AsyncIterator[Any]) -> list[Any]:
    """Everything that an async generator gives, whether or not this thread runs an event loop."""

    async def collect() -> list[Any]:
        return [item async for item in work]

    return run_to_end(collect())


def run_to_end(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, whether or not this thread runs an event loop.

    Raises:
        BaseException: Whatever it raises.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((asyncio.run(work), None))
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            outcome.append((None, error))

    thread = Thread(target=copy_context().run, args=(run,), name="pycrust-call")
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
