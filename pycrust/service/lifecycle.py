"""What serving does to the process: its switch interval, its end, and its forks."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from pycrust import _extension
from pycrust.calls import forking
from pycrust.calls.output import capture
from pycrust.logs import drain
from pycrust.process import threads
from pycrust.process.realtime import frozen
from pycrust.service import termination

if TYPE_CHECKING:
    from pycrust.service.service import Service

_log = logging.getLogger("pycrust")

#: Seconds that stopping may take when the process ends. Jupyter kills a kernel that takes much longer.
EXIT_GRACE = 2.0


class SwitchInterval:
    """The interpreter's thread switch interval, lowered while anything serves and put back after.

    With a pure-Python cell busy, a call waits one interval for the interpreter: 5.2 ms at Python's default
    of 5 ms, 0.17 ms at 50 µs. With it goes what the main thread, which runs the cells, asks of the kernel: that
    threads which wake to serve or to receive an answer come first.
    """

    def __init__(self) -> None:
        """Nothing serves yet."""
        self._lock = threading.Lock()
        self._wanted: dict[str, float] = {}
        #: What the interval was before, and what it was set to, as the interpreter rounds it.
        self._before: float | None = None
        self._set: float | None = None

    def want(self, endpoint: str, seconds: float) -> None:
        """Lowers the interval for an endpoint that begins to serve."""
        with self._lock:
            self._wanted[endpoint] = seconds
            if len(self._wanted) == 1:
                _extension.yield_to_others(enabled=True)
            if self._before is None or self._changed_by_others():
                self._before = sys.getswitchinterval()
            self._apply(self._before)

    def release(self, endpoint: str) -> None:
        """Puts the interval back when the last endpoint stops, unless somebody else has changed it."""
        with self._lock:
            if self._wanted.pop(endpoint, None) is None or self._before is None:
                return
            if not self._changed_by_others():
                self._apply(self._before)
            if not self._wanted:
                self._before = self._set = None
                _extension.yield_to_others(enabled=False)

    def forked(self) -> None:
        """Puts the interval back in a forked child, which serves nothing."""
        self._lock = threading.Lock()
        for endpoint in list(self._wanted):
            self.release(endpoint)

    def _changed_by_others(self) -> bool:
        return self._set is not None and sys.getswitchinterval() != self._set

    def _apply(self, before: float) -> None:
        sys.setswitchinterval(min([before, *self._wanted.values()]))
        self._set = sys.getswitchinterval()  # as the interpreter rounds it


#: What a process ends with whose handlers will not end, unless an exception ended it.
exit_status = 0
#: Every endpoint of this process by its name.
services: dict[str, Service] = {}
#: Guards `services`.
lock = threading.RLock()
switch_interval = SwitchInterval()


@atexit.register
def stop_all() -> None:
    """Stops what serves, within bounds, before the interpreter ends.

    A dispatch thread that is inside a call when the interpreter finalises aborts the process; so if a handler
    will not end, the process exits here, after the remaining exit handlers.
    """
    until = time.monotonic() + EXIT_GRACE
    ended = [_ended(service, until) for service in list(services.values())]
    if not all(ended):
        _exit_now()


def _ended(service: Service, until: float) -> bool:
    """Stops one endpoint. Whether nothing of it runs any more; whatever goes wrong, the others are stopped, too."""
    try:
        stopped = service.stop(max(until - time.monotonic(), 0.0))[1]
        # A model that loads may be inside of native code, too.
        return service.end_trials() and stopped
    except BaseException:  # noqa: BLE001 - also a second Ctrl-C
        _log.exception("stopping %r at exit failed", service.name)
        return False


class _Handlers:
    """Looks at the exit handlers in their order, since `atexit.unregister` compares each with what it is given."""

    def __init__(self, remove: range) -> None:
        self.found: list[object] = []
        #: Places of the handlers to be unregistered: the same function may be registered in several.
        self._remove = remove

    def __eq__(self, handler: object) -> bool:
        self.found.append(handler)
        return len(self.found) - 1 in self._remove

    __hash__ = object.__hash__


def _forget_what_ran() -> None:
    """Unregisters `stop_all` and the handlers registered after it: these have run already."""

    def newest() -> None:
        """Tells in which order the interpreter keeps its handlers."""

    atexit.register(newest)
    seen = _Handlers(range(0))
    atexit.unregister(seen)  # pyright: ignore[reportArgumentType] - it only compares
    ours = seen.found.index(stop_all)
    ran = range(ours, len(seen.found)) if seen.found[-1] is newest else range(ours + 1)
    atexit.unregister(_Handlers(ran))  # pyright: ignore[reportArgumentType] - it only compares


def _exit_now() -> None:
    """Runs the exit handlers that are still to come, flushes, and ends the process."""
    _forget_what_ran()
    atexit._run_exitfuncs()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the only way to run the rest
    forking.flush()
    _extension.clean_up()
    interactive = hasattr(sys, "ps1") or "ipykernel" in sys.modules
    failed = getattr(sys, "last_value", None) is not None and not interactive
    os._exit(1 if failed else exit_status)


def _after_fork_in_child() -> None:
    """A forked child serves nothing: what the parent holds is the parent's."""
    global lock  # noqa: PLW0603 - another thread may have held it when the process forked
    lock = threading.RLock()
    threads.forked()
    termination.forked()
    if forking.in_handler():
        forking.begin(stop_all)
    switch_interval.forked()
    frozen.forked()
    capture.forked()
    drain.forked()
    for service in services.values():
        service.forked()


os.register_at_fork(
    before=termination.hold, after_in_parent=termination.release, after_in_child=_after_fork_in_child
)
