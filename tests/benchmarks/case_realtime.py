"""A control loop at 1,000 Hz, from its tick to the answer, on a machine where every core computes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import rhythm, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIORITY = 50


@contextlib.contextmanager
def busy_machine() -> Iterator[None]:
    """Two processes for each core that compute."""
    spin = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def looped(busy: bool, realtime: bool, seconds: float) -> Figures:
    # The same core on both sides: an answer then wakes nobody on another one.
    asked = ("--priority", str(PRIORITY), "--lock-memory") if realtime else ()
    cores = ("--cores", str(max(os.sched_getaffinity(0)))) if realtime else ()
    with worker(*asked, *cores), busy_machine() if busy else contextlib.nullcontext():
        return rhythm("--hertz", "1000", *asked, *cores, seconds=seconds)


def goals(results: Results) -> list[Goal]:
    name = "realtime/1,000 Hz, every core computes, in real time"
    if not results.has(name):
        return []
    return [Goal("1,000 Hz, every core computes, in real time: p99 in µs", results.medians(name)["p99"], 1000)]


CASE = Case(
    [
        Measurement("realtime/1,000 Hz", partial(looped, False, False)),
        Measurement("realtime/1,000 Hz, in real time", partial(looped, False, True)),
        Measurement("realtime/1,000 Hz, every core computes", partial(looped, True, False)),
        Measurement("realtime/1,000 Hz, every core computes, in real time", partial(looped, True, True)),
    ],
    goals,
)
