"""Runs mixed calls, swaps and kills for a while and reports what the processes that stayed hold before and after.

A worker stays while its clients are killed; a client stays while its workers are killed. After a quarter of the
time both are measured, and at the end again: memory, descriptors, threads, shared-memory files must not grow.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
#: Growth that is noise: MiB of memory, descriptors, threads, files.
ALLOWED = (24.0, 6, 4, 8)
NAMES = ("memory, MiB", "descriptors", "threads", "shared-memory files")


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory_mib: float
    descriptors: int
    threads: int
    files: int

    @classmethod
    def by(cls, process: subprocess.Popen[str]) -> Held:
        """The smallest of some looks, since calls come and go."""
        looks = []
        for _ in range(20):
            seen = psutil.Process(process.pid)
            ours = f"pyc{os.getuid()}_"
            files = sum(name.startswith(ours) for _, _, names in os.walk("/dev/shm") for name in names)
            looks.append((seen.memory_info().rss / 2**20, seen.num_fds(), seen.num_threads(), files))
            time.sleep(0.05)
        return cls(*(min(column) for column in zip(*looks, strict=True)))


def begin(script: str, name: str) -> subprocess.Popen[str]:
    """A process that says when it is ready."""
    process = subprocess.Popen(
        [sys.executable, HERE / script, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    while process.stdout.readline() not in {"ready\n", "calling\n"}:
        if process.poll() is not None:
            raise RuntimeError(f"{script} ended with {process.returncode}")
    return process


def end(process: subprocess.Popen[str], how: str) -> None:
    """Kills a process, or lets it end in good order."""
    if how == "kill":
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def main() -> int:
    """Soaks; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = str(Path(directory, "run"))
        steady_worker, mortal_worker = begin("worker.py", "steady"), begin("worker.py", "mortal")
        mortal_client, steady_client = begin("client.py", "steady"), begin("client.py", "mortal")
        started, kills, before = time.monotonic(), 0, None
        while (elapsed := time.monotonic() - started) < seconds:
            if before is None and elapsed > seconds / 4:
                before = Held.by(steady_worker), Held.by(steady_client)
            time.sleep(random.uniform(0.2, 1.0))
            how = random.choice(["kill", "kill", "close"])
            if random.random() < 0.5:
                end(mortal_client, how)
                mortal_client = begin("client.py", "steady")
            else:
                end(mortal_worker, how)
                mortal_worker = begin("worker.py", "mortal")
            kills += 1
        after = Held.by(steady_worker), Held.by(steady_client)
        for process in (mortal_client, steady_client, mortal_worker, steady_worker):
            end(process, "close")
    assert before
    print(f"{seconds:.0f} s, {kills} ends of processes")
    grown = []
    for who, was, now in zip(("worker", "client"), before, after, strict=True):
        for name, first, last, allowed in zip(NAMES, astuple(was), astuple(now), ALLOWED, strict=True):
            verdict = "" if last - first <= allowed else "  GREW"
            grown += [name] if verdict else []
            print(f"{who:7} {name:20} {first:9.1f} → {last:9.1f}{verdict}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
