"""What a worker costs that nobody calls: processor time and wake-ups."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import Running, load, worker

#: Until the threads that look after a call that has ended sleep again.
SETTLING = 1.0


def wake_ups(pid: int) -> int:
    """Times that the process's threads have gone to sleep."""
    return sum(
        int(count)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for count in re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", (task / "status").read_text(), re.MULTILINE)
    )


def ticks(pid: int) -> int:
    """Processor time, in the kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def idle(seconds: float) -> Figures:
    with worker() as running:
        load(seconds=0.2)
        time.sleep(SETTLING)
        return _watched(running, seconds)


def _watched(running: Running, seconds: float) -> Figures:
    before = wake_ups(running.pid), ticks(running.pid)
    time.sleep(seconds)
    after = wake_ups(running.pid), ticks(running.pid)
    busy = (after[1] - before[1]) / os.sysconf("SC_CLK_TCK")
    return {"value": (after[0] - before[0]) / seconds, "processor_percent": 100 * busy / seconds}


def goals(results: Results) -> list[Goal]:
    if not results.has("idle/wake-ups"):
        return []
    figures = results.medians("idle/wake-ups")
    return [
        Goal("idle worker: wake-ups a second", figures["value"], 5),
        Goal("idle worker: % of a core", figures["processor_percent"], 0.1),
    ]


CASE = Case([Measurement("idle/wake-ups", idle, unit="/s")], goals)
