"""Connecting the first and the 64th client, and the memory of a client, both sides together."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import PROGRAMS, worker

CLIENTS = 64


class Connecting:
    """All three rows come from one run of one program."""

    def __init__(self) -> None:
        self._millis: list[float] = []
        self._kib = 0.0

    def first(self, _seconds: float) -> Figures:
        with worker() as running:
            command = [PROGRAMS / "connect", "--endpoint", "bench", "--clients", str(CLIENTS)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
                assert client.stdin
                assert client.stdout
                pids = running.pid, json.loads(client.stdout.readline())["pid"]
                before = memory_kib(*pids)
                client.stdin.write("\n")
                client.stdin.flush()
                self._millis = json.loads(client.stdout.readline())["connect_ms"]
                self._kib = (memory_kib(*pids) - before) / CLIENTS
                client.stdin.close()
        return {"value": self._millis[0]}

    def last(self, _seconds: float) -> Figures:
        return {"value": self._millis[-1]}

    def memory(self, _seconds: float) -> Figures:
        return {"value": self._kib}


def memory_kib(*pids: int) -> float:
    """Memory of these processes; what they share with each other counts once, by halves."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) for text in rollups)


def goals(results: Results) -> list[Goal]:
    rows = {
        FIRST: ("connect, ms", 10),
        LAST: ("connect the 64th, ms", 25),
        MEMORY: ("memory of a client, KiB", 1024),
    }
    return [
        Goal(text, results.medians(name)["value"], limit)
        for name, (text, limit) in rows.items()
        if results.has(name)
    ]


FIRST, LAST, MEMORY = "connect/first client", "connect/64th client", "connect/memory of a client"
connecting = Connecting()
CASE = Case(
    [
        Measurement(FIRST, connecting.first, unit="ms"),
        Measurement(LAST, connecting.last, unit="ms"),
        Measurement(MEMORY, connecting.memory, unit="KiB"),
    ],
    goals,
)
