"""One endpoint's life: its native worker, its catalog of methods, beginning and ending to serve."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from dataclasses import asdict, replace
from functools import partial
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Protocol

from pycrust import _extension, logs
from pycrust.calls.contexts import base_context
from pycrust.calls.loops import Loops
from pycrust.calls.output import capture
from pycrust.calls.running import RunningCall
from pycrust.errors import AlreadyServed, Interrupted
from pycrust.handlers.registration import make_registration
from pycrust.models.slot import ModelSlot
from pycrust.process.realtime import frozen
from pycrust.process.shield import shielded
from pycrust.service import lifecycle
from pycrust.text.addresses import listening_address
from pycrust.text.names import check_method
from pycrust.text.statistics import counted
from pycrust.traffic.recording import Recording
from pycrust.traffic.traffic import Tap
from pycrust.versions import staging
from pycrust.versions.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pycrust._extension import BaseContext, Change, Inbox, RealTimeProfile, Worker
    from pycrust.models.recipe import Recipe
    from pycrust.process.realtime import RealTime
    from pycrust.service.settings import Settings

#: Seconds between looks at signals while `wait` waits.
_SLICE = 0.1
#: Seconds that another process has to hand the name over: its calls may run on for 2 s.
_TAKEOVER_S = 10.0
#: Seconds between looks whether it has.
_TAKEOVER_PAUSE_S = 0.02


class Beside(Protocol):
    """A candidate that runs on live calls."""

    @property
    def ended(self) -> bool:
        """Whether its thread has."""
        ...

    def discard(self) -> object:
        """Ends it."""
        ...


#: What `serve(placement=…)` may be.
PLACEMENTS = ("auto", "kernel")


class Service:
    """What stands behind an `RpcEndpoint`, and there is one of for each name in a process.

    Args:
        name: The endpoint's name, checked.
        settings: Its options, checked.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        """Serves nothing yet."""
        self.name = name
        self.settings = settings
        self.worker = self._make_worker()
        self.catalog = Catalog(name, self._publish, lambda: self.serving, settings.keep_versions)
        #: The model slots by their names.
        self.slots: dict[str, ModelSlot] = {}
        #: Candidates that run on live calls.
        self.shadows: weakref.WeakSet[Beside] = weakref.WeakSet()
        self.loops = Loops(name, lambda: self.serving, self._said)
        #: What serving was asked to be like, and what came of it.
        self.realtime: RealTime | None = None
        self._profile: RealTimeProfile | None = None
        #: Where monitoring was asked to be answered, as `host:port`.
        self.metrics: str | None = None
        self.recording = Recording(name, lambda: self.worker)
        self.tap = Tap(name, lambda: self.worker, lambda: self.recording.redaction)
        #: The one object of each class that users hold for this endpoint.
        self.handles: dict[type, Any] = {}
        #: One begins or ends serving at a time.
        self._lock = threading.RLock()
        #: Set while this does not serve.
        self._stopped = threading.Event()
        self._stopped.set()

    def _make_worker(self) -> Worker:
        options = asdict(self.settings)
        del options["switch_interval"], options["keep_versions"]
        notebook = os.environ.get("JPY_SESSION_NAME", "")
        this = weakref.ref(self)

        def name_lost(how: str) -> None:
            service = this()
            if service is not None:
                service.name_lost(how)

        return _extension.make_worker(self.name, notebook=notebook, name_lost=name_lost, **options)

    # What a registration needs of its endpoint ------------------------------------------------------------

    def inbox(self, loop: str) -> Inbox:
        """Where calls for a handler on this event loop are left."""
        return self.loops.inbox(loop)

    @property
    def max_threads(self) -> int:
        """Threads that run its sync handlers, at most."""
        return self.settings.max_threads

    @property
    def cell(self) -> tuple[int | None, str | None]:
        """The number and the id of the notebook cell that the calling code belongs to."""
        return staging.cell()

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """The models that the calling code sees, by the names of their slots."""
        return self.catalog.models(names)

    def slot(self, name: str, recipe: Recipe) -> ModelSlot:
        """Makes a model slot, or gives the one of this name another recipe.

        Raises:
            BaseException: Whatever loading, warming up or validating raises.
        """
        check_method(name)
        if not name.isidentifier():
            raise ValueError(f"{name!r} can't be a model's name: handlers get it as the keyword of that name")
        recipe.check(name)
        made = ModelSlot(self.catalog, name, recipe, self._forget_slot)
        slot = self.slots.setdefault(name, made)
        try:
            slot.configure(recipe)
        except BaseException:
            if slot is made and not slot.known:
                self._forget_slot(slot)
            raise
        return slot

    def end_trials(self) -> bool:
        """Before the interpreter ends: ends shadows. Whether they did, and no model is being loaded."""
        shadows = list(self.shadows)
        for shadow in shadows:
            shadow.discard()
        busy = any(slot.busy for slot in list(self.slots.values()))
        return not busy and all(shadow.ended for shadow in shadows)

    def _forget_slot(self, slot: ModelSlot) -> None:
        if self.slots.get(slot.name) is slot:
            del self.slots[slot.name]

    def refresh(self) -> list[str]:
        """Registers again what a reloaded module has changed; gives a line for each thing that could not be."""
        lines: list[str] = []
        for live, function in self.catalog.reloaded():
            origin = live.origin
            assert origin is not None  # noqa: S101 - that is how it was found
            try:
                again = make_registration(function, live.method, origin.options, origin.names, self)
            except Exception as error:  # noqa: BLE001 - a user's module may be in any state
                text = f"{self.name}.{live.method} stays as it was: {origin.module} was reloaded, but {error}"
                self.catalog.events.add("refused", live.method, self.catalog.version(live.method), text)
                lines.append(text)
                continue
            reason = f"{origin.module} reloaded"
            lines += self.catalog.publish([replace(again, reason=reason, service=live.service)])
        return lines

    def look(self) -> list[str]:
        """Looks what has changed under live handlers: reloaded modules, globals, models that were let go."""
        lines = self.refresh() + self.catalog.look()
        for slot in list(self.slots.values()):
            slot.look()
        return lines

    # Life -------------------------------------------------------------------------------------------------

    def _publish(self, changes: Sequence[Change]) -> list[int]:
        return _extension.publish(self.worker, changes)

    @property
    def serving(self) -> bool:
        """Whether callers can reach the endpoint."""
        return self.worker.serving

    def start(
        self,
        expect: Sequence[str],
        *,
        takeover: bool = False,
        realtime: RealTime | None = None,
        placement: str = "auto",
        metrics: int | str | None = None,
    ) -> None:
        """Begins to serve; does nothing if it does already.

        Args:
            expect: Methods that are still to be registered.
            takeover: Asks another process that serves the name to stop.
            realtime: What the threads that serve are given.
            placement: Where they wait for a client with a rhythm.
            metrics: Where monitoring is answered.

        Raises:
            AlreadyServed: Another live process serves this name, and does not hand it over.
            OSError: Another program has the port of `metrics`.
            ValueError: The process may not use a core that is asked for, this serves already and otherwise, or
                `metrics` is no address.
        """
        if placement not in PLACEMENTS:
            raise ValueError(f"placement is one of {', '.join(map(repr, PLACEMENTS))}, not {placement!r}")
        # Cores that were asked for are kept to.
        elsewhere = placement == "auto" and not (realtime and realtime.cores)
        begin = partial(
            self._begin, expect, base_context(), realtime, elsewhere=elsewhere, metrics=listening_address(metrics)
        )
        self.worker.settle()
        try:
            begin()
        except AlreadyServed:
            if not takeover:
                raise
            self._take_over(begin)

    @shielded
    def _begin(
        self,
        expect: Sequence[str],
        base: BaseContext,
        realtime: RealTime | None,
        *,
        elsewhere: bool,
        metrics: str | None,
    ) -> None:
        with self._lock:
            if expect:
                self.worker.expect(expect)
            if self.worker.serving:
                if realtime not in (None, self.realtime):
                    raise ValueError(
                        f"{self.name!r} serves already, with realtime={self.realtime}: stop() it first"
                    )
                if metrics not in (None, self.metrics):
                    raise ValueError(
                        f"{self.name!r} serves already, with metrics={self.metrics!r}: stop() it first"
                    )
                return
            self._profile, self.realtime = realtime and realtime.begin(), realtime
            logs.drain.start()
            try:
                # The first call may come at once.
                capture.want(self.name)
                self.loops.start(base, self._profile)
                self.worker.start(base, self._profile, elsewhere=elsewhere, metrics=metrics)
            except BaseException:
                self._let_go(threading.get_ident())
                raise
            self.metrics = metrics
            self._stopped.clear()
            if self.settings.switch_interval is not None:
                lifecycle.switch_interval.want(self.name, self.settings.switch_interval)
            if realtime is not None and realtime.collect_between_calls:
                frozen.want(self.name)
            methods = counted(len(self.catalog.visible()), "method")
            logs.say(logging.INFO, f"{self.name}: serving from pid {os.getpid()} with {methods}")
            for line in self.missing:
                logs.say(logging.WARNING, f"{self.name}: {line}")

    def stop(self, grace: float) -> tuple[bool, bool]:
        """Ends serving; waits up to `grace` seconds for calls. Whether every call and every thread ended.

        Interrupted while it waits, the stop goes on by itself.
        """
        cut_short = True
        try:
            # Also where nothing serves any more: a handler may have outlived an earlier stop.
            ended = self.worker.stop(grace)
            cut_short = False
        finally:
            try:
                # Said while a kernel's streams are watched, and before whoever stops goes on.
                logs.drain.flush()
            finally:
                self._end(threading.get_ident(), cut_short=cut_short)
        # Without the lock, which the thread that hands the name over takes.
        self.worker.settle()
        return ended

    @shielded
    def _end(self, caller: int, *, cut_short: bool = False) -> None:
        """Lets go of what only serving needs, unless it was begun again meanwhile."""
        with self._lock:
            if cut_short or not self.worker.serving:
                self._let_go(caller)

    def _let_go(self, caller: int) -> None:
        self.loops.stop(caller)
        self._stopped.set()
        capture.release(self.name)
        lifecycle.switch_interval.release(self.name)
        frozen.release(self.name)
        profile, self._profile, self.realtime, self.metrics = self._profile, None, None, None
        if profile is not None:
            profile.end()

    @property
    def missing(self) -> list[str]:
        """What of real time could not be had: a line each, with the way to get it."""
        return [] if self._profile is None else self._profile.missing

    def stats(self) -> dict[str, Any]:
        """What `pycrust.stats` answers, and what was reached of real time."""
        stats, profile = self.worker.stats(), self._profile
        return stats if profile is None else {**stats, "realtime": profile.reached()}

    def _said(self, text: str, error: BaseException | None) -> None:
        """A handler has done something to an event loop."""
        text = f"{self.name}: {text}"
        self.catalog.events.add("loop", "", 0, text)
        # As text: a log that keeps the exception would keep its frames, and with them the caller's memory.
        logs.say(logging.ERROR, text, trace="".join(format_exception(error)) if error else "")

    def _take_over(self, begin: Callable[[], None]) -> None:
        """Asks whoever serves the name to stop, and serves it then.

        Raises:
            AlreadyServed: It did not stop in time.
        """
        deadline = time.monotonic() + _TAKEOVER_S
        logs.say(logging.INFO, f"{self.name}: asking the process that serves it, if there is one, to hand it over")
        # Whoever does not answer is found to serve the name still.
        with contextlib.suppress(OSError):
            self.worker.ask_for_name()
        while True:
            try:
                begin()
            except AlreadyServed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_TAKEOVER_PAUSE_S)
            else:
                return

    def name_lost(self, how: str) -> None:
        """Another process serves the name now."""
        logs.say(logging.WARNING, f"{self.name}: {how}")
        logs.drain.flush()
        self._end(threading.get_ident())

    def running(self, least_ns: int = 0) -> list[RunningCall]:
        """The calls that run now and were sent so many nanoseconds ago or earlier, the oldest first."""
        calls = [RunningCall(**call) for call in self.worker.running(least_ns)]
        on_loops = [RunningCall.of(call) for _, _, call in self.loops.running()]
        calls += [call for call in on_loops if call.elapsed_ns >= least_ns]
        return sorted(calls, key=lambda call: -call.elapsed_ns)

    def interrupt(self, connection: int, number: int) -> bool:
        """Ends a running call; whether it was told."""
        if self.worker.interrupt(Interrupted, connection, number):
            return True
        for tasks, task, call in self.loops.running():
            if (call.connection, call.id) == (connection, number):
                return tasks.interrupt(task)
        return False

    def wait(self, terminated: threading.Event) -> None:
        """Waits until this is stopped or `terminated` is set."""
        # In slices: a wait without end would keep a signal waiting, too.
        while not terminated.is_set() and not self._stopped.wait(_SLICE):
            pass

    def forked(self) -> None:
        """In a forked child: what serves is the parent's; this copy has its handlers and serves nothing."""
        _left_alone.append((self.worker, self._profile))
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._stopped.set()
        self.worker = self._make_worker()
        self.recording.forked()
        self.loops.forked()
        self._profile = self.realtime = self.metrics = None
        for slot in self.slots.values():
            slot.forked()
        self.catalog.forked()


#: Workers of a parent process: freeing them in the child would touch what the parent uses.
_left_alone: list[object] = []
