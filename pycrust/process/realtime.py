"""What a worker that answers a control loop asks of the kernel, and of the garbage collector."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pycrust._extension import RealTimeProfile, collector_forked

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The least and the greatest priority of `SCHED_FIFO`.
_LEAST, _GREATEST = 1, 99


@dataclass(frozen=True, kw_only=True)
class RealTime:
    """How an endpoint's threads keep a rhythm: `endpoint.serve(realtime=RealTime(cores=[2], priority=50))`.

    What can't be had is said when serving begins, in one line each with the way to get it, and the endpoint serves
    all the same; `endpoint.stats()["realtime"]` has what was reached. It is all put back when the endpoint stops.
    The first pages of the stacks of the threads that serve are there before the first call.

    Three things to know before `priority` is used:

    - A handler that never sleeps keeps its core from everything else that has a lower priority or none. Linux takes
      it away for 50 ms in each second (`/proc/sys/kernel/sched_rt_runtime_us`), which a loop at 1 kHz sees as 50
      missed ticks; where that was turned off (-1), such a handler can stop the machine.
    - The interpreter's lock gives its priority to nobody: while a thread without one holds it, such as a cell's, a
      call waits as long as that thread is not let run. Leave a core to the rest of the process, and run nothing in
      it beside a loop that must not wait.
    - Threads of one priority take no turns on one core: handlers that run beside each other need a core each.

    Args:
        cores: The cores that the threads that serve may run on, by the kernel's numbers: of those that the process
            may use, or that the kernel keeps free of others (`isolcpus`). None leaves them where they are. What a
            handler starts stays on them, but for a forked process.
        priority: `SCHED_FIFO` with this priority, 1 to 99, for the threads that serve; `None` schedules them as
            usual. What a handler starts has none.
        lock_memory: Whether the process's memory stays where it is once it was touched, now and later. Call each
            method once, or give it a `warmup=`, before the loop begins: what nobody has touched is not there.
        collect_between_calls: Whether the garbage collector spares sync handlers: none of its runs begins by itself
            while one runs; what is due then is done when the caller has its answer and no call waits. What the
            process has when serving begins is not looked at again (`gc.freeze`).

    Raises:
        TypeError: An argument is of another type.
        ValueError: A priority or a core is out of bounds.

    Examples:
        >>> RealTime(cores=[2], priority=50, lock_memory=True)
        RealTime(cores=(2,), priority=50, lock_memory=True, collect_between_calls=True)
    """

    cores: Sequence[int] = ()
    priority: int | None = None
    lock_memory: bool = False
    collect_between_calls: bool = True

    def __post_init__(self) -> None:
        """Refuses values that no process could ask for."""
        cores: tuple[object, ...] = tuple(self.cores)
        for core in cores:
            if _whole("cores are numbers", core) < 0:
                raise ValueError(f"cores are numbered from 0; there is no {core}")
        object.__setattr__(self, "cores", tuple(sorted(set(self.cores))))
        if self.priority is not None:
            priority = _whole("priority is an int or None", self.priority)
            if not _LEAST <= priority <= _GREATEST:
                raise ValueError(f"priority is between {_LEAST} and {_GREATEST}, not {priority}")

    def begin(self) -> RealTimeProfile:
        """Locks the memory, and finds out what threads can be given.

        Raises:
            ValueError: The process may not use one of the cores; it names those that it may.
        """
        return RealTimeProfile(self.cores, self.priority, self.lock_memory, self.collect_between_calls)


def _whole(what: str, value: object) -> int:
    """A whole number.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what}, not {type(value).__name__}")
    return value


class Frozen:
    """What the collector does not look at while endpoints collect between calls: all that was there before."""

    def __init__(self) -> None:
        """Nobody serves."""
        self._lock = threading.RLock()
        self._wanted: set[str] = set()
        #: Whether it was frozen here: what somebody else has frozen is left so.
        self._ours = False

    def want(self, endpoint: str) -> None:
        """An endpoint begins to serve: one last look at everything, unless the user does without."""
        with self._lock:
            if not self._wanted and gc.isenabled() and not gc.get_freeze_count():
                gc.collect()
                gc.freeze()
                self._ours = True
            self._wanted.add(endpoint)

    def release(self, endpoint: str) -> None:
        """It stops: the collector looks at everything again when the last one does."""
        with self._lock:
            self._wanted.discard(endpoint)
            if not self._wanted and self._ours:
                gc.unfreeze()
                self._ours = False

    def collect(self) -> None:
        """Collects everything, also what is frozen."""
        with self._lock:
            if self._ours:
                gc.unfreeze()
            gc.collect()
            if self._ours:
                gc.freeze()

    def forked(self) -> None:
        """In a forked child, which serves nothing: the collector is as it was before its parent did."""
        self._lock = threading.RLock()
        for endpoint in list(self._wanted):
            self.release(endpoint)
        collector_forked()


frozen = Frozen()
