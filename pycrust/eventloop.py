"""Running `async def` handlers and async generators: on an event loop of the worker's own, or the kernel's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pycrust._binding import be_punctual, make_inbox
from pycrust.capture import endings
from pycrust.errors import Interrupted
from pycrust.forking import leave_loop
from pycrust.threads import Thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from pycrust._binding import AsyncCall, CurrentCall, Inbox

#: The call that the running task belongs to.
current: ContextVar[CurrentCall] = ContextVar("pycrust_call")

#: Seconds that the tasks of a loop may take to end once they are cancelled.
_LAST_MOMENT = 1.0


#: Tasks of a parent process.
_left_alone: list[object] = []


class Tasks:
    """The calls that one event loop runs, each as a task.

    Dispatch threads leave calls in the inbox without taking the interpreter; its descriptor wakes the loop.
    """

    def __init__(self) -> None:
        """Runs nothing yet."""
        self.inbox: Inbox = make_inbox()
        self._tasks: dict[int, tuple[AsyncCall, asyncio.Task[None]]] = {}
        #: Calls that `endpoint.interrupt` ended.
        self._interrupted: set[int] = set()
        #: Tasks that wait for room or for an argument.
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The thread that runs it.
        self._thread: int | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes calls from now on; on the loop's own thread."""
        if self._loop is loop:
            return
        self._loop, self._thread = loop, threading.get_ident()
        self.inbox.open()
        loop.add_reader(self.inbox.fileno(), self._hear)

    def detach(self) -> list[asyncio.Task[None]]:
        """Takes no more calls and cancels those that run; on the loop's own thread. Gives their tasks."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self.inbox.fileno())
        self._loop = None
        self.inbox.close()
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        return tasks

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
        found = self._tasks.get(number)
        if found is not None:
            self._interrupted.add(number)
            found[1].cancel()

    def forked(self) -> None:
        """In a forked child: what runs is the parent's."""
        if self._loop is not None and self._thread == threading.get_ident() and current.get(None) is not None:
            # A handler has forked, and what it awaits nobody sees to: the loop's next step is the child's last.
            self._loop.call_soon(leave_loop)
        # Not freed: that would close coroutines, whose `finally` blocks are the parent's to run.
        _left_alone.append((self._tasks, self._waiting))
        self._tasks, self._waiting, self._loop = {}, {}, None

    def _hear(self) -> None:
        assert self._loop is not None  # noqa: S101 - it is this loop that calls
        for note in self.inbox.take():
            if isinstance(note, int):
                self._look(note)
            else:
                self._tasks[note.number] = (note, self._loop.create_task(self._run(note)))

    def _look(self, number: int) -> None:
        """Something changed for a call: it is cancelled, has room or has an argument."""
        found = self._tasks.get(number)
        if found is None:
            return
        call, task = found
        waiting = self._waiting.get(number)
        if call.cancelled:
            task.cancel()
        elif waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _run(self, call: AsyncCall) -> None:
        try:
            if call.cancelled:
                call.abandon()
                return
            current.set(call.context())
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
        except asyncio.CancelledError:
            if call.number in self._interrupted:
                call.fail(Interrupted())
            else:
                call.abandon()
        except BaseException as error:
            call.fail(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        finally:
            self._tasks.pop(call.number, None)
            self._interrupted.discard(call.number)

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
    """

    def __init__(self, name: str) -> None:
        """Is not running yet."""
        self.name = name
        self.tasks = Tasks()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Starts the thread if it does not run."""
        if self._thread is not None:
            return
        ready = threading.Event()
        self._thread = Thread(target=self._main, args=(ready,), name=self.name, daemon=True)
        self._thread.start()
        ready.wait()

    def _main(self, ready: threading.Event) -> None:
        be_punctual()
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self.tasks.attach(self._loop)
            ready.set()
            self._loop.run_forever()
            tasks = self.tasks.detach()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_MOMENT))

    def stop(self) -> None:
        """Cancels what runs and ends the thread, if it runs."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if thread is not threading.current_thread():
            thread.join(2 * _LAST_MOMENT)

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

    thread = Thread(target=run, name="pycrust-call")
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
