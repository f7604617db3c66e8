"""One endpoint's life: its native worker, its catalog of methods, beginning and ending to serve."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from pycrust import _binding, lifecycle
from pycrust.catalog import Catalog
from pycrust.loops import Loops

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pycrust._binding import Change, Worker
    from pycrust.endpoint import RpcEndpoint
    from pycrust.settings import Settings

#: Seconds between looks at signals while `wait` waits.
_SLICE = 0.1


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
        self.catalog = Catalog(name, self._publish, lambda: self.serving)
        self.loops = Loops(name, lambda: self.serving)
        #: The one object of each class that users hold for this endpoint.
        self.handles: dict[type, RpcEndpoint] = {}
        #: One begins or ends serving at a time.
        self._lock = threading.RLock()
        #: Set while this does not serve.
        self._stopped = threading.Event()
        self._stopped.set()

    def _make_worker(self) -> Worker:
        options = asdict(self.settings)
        del options["switch_interval"]
        return _binding.make_worker(self.name, notebook=os.environ.get("JPY_SESSION_NAME", ""), **options)

    def _publish(self, changes: Sequence[Change]) -> list[int]:
        return _binding.publish(self.worker, changes)

    @property
    def serving(self) -> bool:
        """Whether callers can reach the endpoint."""
        return self.worker.serving

    def start(self, expect: Sequence[str]) -> None:
        """Begins to serve; does nothing if it does already.

        Raises:
            AlreadyServed: Another live process serves this name.
        """
        with self._lock:
            if expect:
                self.worker.expect(expect)
            if self.worker.serving:
                return
            self.loops.start()
            self.worker.start()
            self._stopped.clear()
            if self.settings.switch_interval is not None:
                lifecycle.switch_interval.want(self.name, self.settings.switch_interval)

    def stop(self, grace: float) -> tuple[bool, bool]:
        """Ends serving; waits up to `grace` seconds for calls. Whether every call and every thread ended."""
        with self._lock:
            if not self.worker.serving:
                return True, True
            try:
                return self.worker.stop(grace)
            finally:
                self.loops.stop()
                self._stopped.set()
                lifecycle.switch_interval.release(self.name)

    def wait(self, terminated: threading.Event) -> None:
        """Waits until this is stopped or `terminated` is set."""
        # In slices: a wait without end would keep a signal waiting, too.
        while not terminated.is_set() and not self._stopped.wait(_SLICE):
            pass

    def forked(self) -> None:
        """In a forked child: what serves is the parent's; this copy has its handlers and serves nothing."""
        _left_alone.append(self.worker)
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._stopped.set()
        self.worker = self._make_worker()
        self.loops.forked()
        self.catalog.forked()


#: Workers of a parent process: freeing them in the child would touch what the parent uses.
_left_alone: list[Worker] = []


@contextmanager
def on_sigterm() -> Generator[threading.Event]:
    """An event that SIGTERM sets, where Python can hear it: on the main thread."""
    terminated = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: terminated.set())
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
