"""Publishes an endpoint's statistics to its open views: one thread an endpoint, and none while nobody looks."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import threading
import time
import traceback
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from pycrust import logs
from pycrust.jupyter.view import rates
from pycrust.jupyter.view.inspector import Inspector
from pycrust.jupyter.view.minute import History
from pycrust.jupyter.view.model_rows import Models
from pycrust.jupyter.view.timeline import Timeline
from pycrust.jupyter.view.wire import Snapshot
from pycrust.process.threads import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pycrust.traffic.recording import Recording
    from pycrust.versions.events import EventLog

PERIOD_S = 0.2
"""Between two updates: 5 Hz. Past 1,000 messages a second a notebook server stops sending."""

CALLS_EVERY = 2
"""Updates for each look at the recorded calls."""

MODELS_EVERY = 5
"""Updates for each look at the model slots."""

SEATS_EVERY = 5
"""Updates for each look whether views are still heard."""

SILENCE_S = 16.0
"""A view says every 5 s that it is open. After this long without a word it counts as gone."""

GRACE_S = 6.0
"""How long a silent view has to be heard once the kernel is free."""

HELD_S = 0.75
"""An update that comes this late says that the interpreter was held: the thread only waited to run."""


def _say(level: int, text: str) -> None:
    """Logs the exception that is being handled."""
    logs.say(level, text, logger="pycrust.jupyter", trace=traceback.format_exc())


class Watched(Protocol):
    """What the view needs of an endpoint."""

    def stats(self) -> Mapping[str, object]:
        """The endpoint's statistics now."""
        ...

    def glance(self) -> Mapping[str, Any]:
        """The same as flat numbers."""
        ...

    @property
    def serving(self) -> bool:
        """Whether callers can reach it."""
        ...

    @property
    def events(self) -> EventLog:
        """What happened to its handlers and models."""
        ...

    @property
    def recording(self) -> Recording:
        """What of its traffic is recorded."""
        ...

    @property
    def rebound(self) -> Mapping[str, list[str]]:
        """Methods that read globals which were bound anew, with these."""
        ...

    @property
    def models(self) -> Mapping[str, Any]:
        """Its model slots."""
        ...


class Stage(Protocol):
    """Where messages go: a widget."""

    def post(self, content: str) -> None:
        """Sends a message, which is JSON, to every view of the widget."""
        ...


@dataclass
class _Page:
    """One open view."""

    stage: Stage
    heard: float
    # A view's words wait behind a busy cell where the kernel has no subshells. So a silent view is dropped only
    # after the kernel's own loop had a turn and the view some seconds more to be heard.
    asked: bool = False
    free: bool = False


def _when_kernel_is_free(then: Callable[[], None]) -> None:
    """Runs `then` when the kernel has no cell to run; at once where there is no kernel."""
    with contextlib.suppress(Exception):
        from ipykernel.kernelbase import Kernel  # noqa: PLC0415 - only a notebook has it

        loop = cast("Any", Kernel).instance().io_loop if Kernel.initialized() else None
        if loop is not None:
            loop.add_callback(then)
            return
    then()


class Publisher:
    """Sends snapshots and updates of one endpoint to whoever looks.

    Views may speak from any thread (a kernel's subshells have theirs). Sequence numbers are given and messages
    sent under one lock, so that they arrive in the order of their numbers.
    """

    def __init__(self, endpoint: Watched) -> None:
        """Nobody looks yet."""
        # Weak: the registry of publishers is keyed by the endpoint and must not keep it alive.
        self._endpoint = weakref.ref(endpoint)
        self._lock = threading.RLock()
        self._seats: dict[str, _Page] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._number = 0
        self._last: Snapshot | None = None
        self._history = History()
        self._events = Timeline()
        self._models = Models()
        self._slots: list[list[Any]] = []
        #: Of the last look at the statistics, what tells whether there is anything new for the log.
        self._told: tuple[object, ...] = ()
        #: The newest event's number, and how often settings of recording were changed, at the last look.
        self._looked = (-1, -1)
        #: Answers what views ask of single calls; it has no part in the numbers of messages.
        self.inspector = Inspector(self._endpoint)

    def hello(self, view: str, stage: Stage) -> None:
        """A view opened or missed something: sends it a snapshot, and updates from then on."""
        with self._lock:
            self._seats[view] = _Page(stage, time.monotonic())
            self._last = None  # the next message is a snapshot, to all: a new view's first, the others' no harm
            self._try_publish()

    def alive(self, view: str, stage: Stage) -> None:
        """A view is still open. It may have outlived a stop of the endpoint, or this side may have dropped it."""
        with self._lock:
            seat = self._seats.get(view)
            if seat is None:
                self.hello(view, stage)
                return
            seat.heard, seat.asked, seat.free = time.monotonic(), False, False
            if self._thread is None:
                self._try_publish()

    def goodbye(self, view: str) -> None:
        """A view closed."""
        with self._lock:
            self._seats.pop(view, None)
            self.inspector.left(view)
            if not self._seats:
                self._wake.set()

    def leave(self, stage: Stage) -> None:
        """A widget closed, and all of its views with it."""
        with self._lock:
            for view in [view for view, seat in self._seats.items() if seat.stage is stage]:
                self.goodbye(view)

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    def stop(self, *, timeout: float = 2.0) -> None:
        """Ends the thread after a last message; views that stay open start it again when the endpoint serves."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._wake.set()
            if thread is not None:
                self._try_publish(start=False)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _publish(self, *, start: bool = True) -> bool:
        """Sends what is new to every seat; whether the endpoint serves. Called under the lock."""
        endpoint = self._endpoint()
        if endpoint is None:
            self._seats.clear()
            return False
        glance = endpoint.glance()
        serving = endpoint.serving
        at = time.time_ns() // 1_000_000
        now = Snapshot.of(glance, serving=serving, at=at)
        point = self._history.add(at, now.calls, now.errors, *glance["latest"])
        self._note(endpoint, now, glance["visit"])
        self._number += 1
        message = now.since(self._last, self._number)
        if self._last is None:
            message |= {"points": self._history.points(), "events": self._events.all()}
        else:
            message |= {"points": [point], "events": self._events.fresh()}
        message["recent"] = self._history.recent()
        if self._last is None or self._number % MODELS_EVERY == 0:
            slots = self._models.rows(endpoint.models)
            if self._last is None or slots != self._slots:
                self._slots = message["models"] = slots
        message |= self._seldom(endpoint, afresh=self._last is None)
        self._last = now
        text = json.dumps(message, separators=(",", ":"))
        if self._number % CALLS_EVERY == 0 and (lists := self.inspector.news(glance["recorder"])):
            text = f'{text[:-1]},"lists":[{",".join(lists)}]}}'
        for stage in {id(seat.stage): seat.stage for seat in self._seats.values()}.values():
            try:
                stage.post(text)
            except Exception:  # noqa: BLE001 - a closed comm or a kernel on its way out; the others still look
                _say(logging.DEBUG, "a view can't be reached any more")
                self.leave(stage)
        if start and serving and self._seats and self._thread is None:
            self._start()
        return serving

    def _note(self, endpoint: Watched, now: Snapshot, visit: int) -> None:
        """Adds to the log what has happened since the last update."""
        self._events.look_at_notes(endpoint.events, now.endpoint)
        told = (now.names, now.errors, now.head["malformed"], visit)
        if told != self._told:
            self._told = told
            self._events.look(endpoint.stats(), now.head["at"])
        self._events.tell(now.head["at"])

    def _seldom(self, endpoint: Watched, *, afresh: bool) -> dict[str, Any]:
        """What changes seldom, if it may have: marks of versions, and settings of recording."""
        looked = (endpoint.events.last, endpoint.recording.changes)
        before, self._looked = self._looked, looked
        found: dict[str, Any] = {}
        if afresh or looked[0] != before[0]:
            found["rebound"] = endpoint.rebound
        if afresh or looked[1] != before[1]:
            found["recording"] = rates.shown(endpoint.recording)
        return found

    def _start(self) -> None:
        # An event of its own: an earlier thread that has not ended yet must not take this one's for its own.
        self._wake = threading.Event()
        self._thread = Thread(target=self._run, args=(self._wake,), name="pycrust-view", daemon=True)
        self._thread.start()

    def _run(self, wake: threading.Event) -> None:
        due, used = time.monotonic(), time.thread_time()
        while True:
            due += PERIOD_S
            wake.wait(max(0.0, due - time.monotonic()))
            # Wherever this thread had to wait for the interpreter, asleep or at work; not what it computed.
            before, used = used, time.thread_time()
            late = time.monotonic() - due - (used - before)
            due = max(due, time.monotonic())
            with self._lock:
                if late > HELD_S:
                    text = f"the interpreter was held for {late:.1f} s: nothing in Python could run"
                    self._events.add(time.time_ns() // 1_000_000, "held", text)
                if self._wake is not wake or self._thread is not threading.current_thread():
                    return
                # Under the lock that setters hold: no wake is lost, and none makes the next wait end at once.
                wake.clear()
                if self._number % SEATS_EVERY == 0:
                    self._drop_silent()
                if not self._seats or not self._try_publish(start=False):
                    self._thread = None
                    return

    def _try_publish(self, *, start: bool = True) -> bool:
        try:
            return self._publish(start=start)
        except Exception:  # noqa: BLE001 - what an endpoint raises must not end in a cell or kill the thread
            # The view says by itself that no update comes. Its next word tries again.
            _say(logging.ERROR, "the live view has nothing to show: the endpoint's statistics can't be read")
            return False

    def _drop_silent(self) -> None:
        for view, seat in list(self._seats.items()):
            if time.monotonic() - seat.heard < SILENCE_S:
                continue
            if seat.free:
                self.goodbye(view)
            elif not seat.asked:
                seat.asked = True
                _when_kernel_is_free(lambda seat=seat: self._give_grace(seat))

    def _give_grace(self, seat: _Page) -> None:
        with self._lock:
            if seat.asked:
                seat.free, seat.heard = True, time.monotonic() - SILENCE_S + GRACE_S


_publishers: weakref.WeakKeyDictionary[Watched, Publisher] = weakref.WeakKeyDictionary()
_registry = threading.Lock()


def publisher_of(endpoint: Watched) -> Publisher:
    """The endpoint's one publisher."""
    with _registry:
        found = _publishers.get(endpoint)
        if found is None:
            found = _publishers[endpoint] = Publisher(endpoint)
        return found


def _stop_all() -> None:
    with _registry:
        running = list(_publishers.values())
    for publisher in running:
        # The kernel is going: whatever can't be sent any more is no one's loss.
        with contextlib.suppress(Exception):
            publisher.stop(timeout=1.0)


# Before the interpreter finalises: a thread inside a send would then wait for a lock that never comes.
atexit.register(_stop_all)
