"""Runs mixed calls, swaps and kills for a while and reports what the processes that stayed hold before and after.

A worker, which is a Jupyter kernel with its view shown, stays while its clients are killed; clients in Python and
Rust stay while their workers are killed. After a quarter of the time all that stay are measured, and at the end:
memory, descriptors, threads, shared-memory files must not grow. What the Rust clients have seen is checked: each
call ended once, with its own answer or an error that fits, and none ran twice.
"""

from __future__ import annotations

import argparse
import atexit
import collections
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

from tests.conftest import PROGRAMS, shared_memory
from tests.faults.controller import History, check, check_versions
from tests.kernels import Kernel

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Growth that is noise: MiB of memory, descriptors, threads, files.
ALLOWED = (24.0, 6, 4, 8)
NAMES = ("memory, MiB", "descriptors", "threads", "shared-memory files")
#: Microseconds between two calls of a task of a Rust client.
PAUSE_US = 10_000


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory_mib: float
    descriptors: int
    threads: int
    files: int

    @classmethod
    def by(cls, pid: int) -> Held:
        """The smallest of some looks, since calls come and go."""
        looks = []
        for _ in range(20):
            seen = psutil.Process(pid)
            files = len(shared_memory())
            looks.append((seen.memory_info().rss / 2**20, seen.num_fds(), seen.num_threads(), files))
            time.sleep(0.05)
        return cls(*(min(column) for column in zip(*looks, strict=True)))


def begin(*arguments: object) -> subprocess.Popen[str]:
    """A process that says when it is ready."""
    process = subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout
    while process.stdout.readline() not in {"ready\n", "calling\n"}:
        if process.poll() is not None:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
    return process


def end(process: subprocess.Popen[str], how: str) -> None:
    """Kills a process, or lets it end in good order."""
    if how == "kill":
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    assert how == "kill" or process.returncode == 0, f"ended with {process.returncode}"


class Soak:
    """Everybody."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clients = 0
        #: The Rust clients' histories, and whether they were killed.
        self.histories: list[tuple[History, bool]] = []
        self.kernel = Kernel({"PYTHONPATH": str(ROOT)})
        self.kernel.run(f"""
from tests.soak.worker import begin
endpoint, end = begin("steady", {str(directory / "ran-steady")!r})
""")
        self.kernel.run("endpoint")
        self.mortal_worker = self._worker()
        self.steady_client = begin(sys.executable, HERE / "client.py", "mortal")
        self.steady_rust = self._rust("mortal-rust")
        self.mortal_client = begin(sys.executable, HERE / "client.py", "steady")
        self.mortal_rust = self._rust("steady-rust")
        self.kills: collections.Counter[str] = collections.Counter()

    def _worker(self) -> subprocess.Popen[str]:
        return begin(sys.executable, HERE / "worker.py", "mortal", self._directory / "ran-mortal")

    def _rust(self, endpoint: str) -> subprocess.Popen[str]:
        self._clients += 1
        path = self._directory / f"{self._clients}.calls"
        self.histories.append((History(path), False))
        return begin(
            PROGRAMS / "faults", "--endpoint", endpoint, "--file", path,
            "--first", self._clients * 10_000_000, "--pause-us", PAUSE_US,
        )  # fmt: skip

    def steady(self) -> dict[str, int]:
        """Whoever stays, with its process."""
        return {
            "worker": self.kernel.pid, "client": self.steady_client.pid, "Rust client": self.steady_rust.pid,
        }  # fmt: skip

    def kill_somebody(self) -> None:
        """Ends one of those that don't stay, and begins another in its place."""
        how = random.choice(["kill", "kill", "close"])
        match random.choice(["worker", "client", "Rust client"]):
            case "worker":
                end(self.mortal_worker, how)
                self.mortal_worker = self._worker()
            case "client":
                end(self.mortal_client, how)
                self.mortal_client = begin(sys.executable, HERE / "client.py", "steady")
            case _:
                end(self.mortal_rust, how)
                history, _ = self.histories.pop()
                self.histories.append((history, how == "kill"))
                self.mortal_rust = self._rust("steady-rust")
        self.kills[how] += 1

    def end(self) -> None:
        """Lets everybody end in good order."""
        for client in (self.mortal_client, self.steady_client, self.mortal_rust, self.steady_rust):
            end(client, "close")
        end(self.mortal_worker, "close")
        self.kernel.run("end()")
        self.kernel.stop()

    def kill_all(self) -> None:
        """Leaves no process behind, whatever went wrong."""
        for process in [
            self.mortal_worker,
            self.mortal_client,
            self.mortal_rust,
            self.steady_client,
            self.steady_rust,
        ]:
            process.kill()
            process.wait()
        if self.kernel.manager.is_alive():
            self.kernel.kill()

    def check(self) -> str:
        """Asserts what must hold for the Rust clients' calls; says what there was."""
        ran: collections.Counter[int] = collections.Counter()
        for path in self._directory.glob("ran-*"):
            ran += collections.Counter(int(line) for line in path.read_text().split("\n")[:-1])
        twice = [number for number, count in ran.items() if count > 1]
        assert not twice, f"calls that ran twice: {twice}"
        calls, failed = 0, collections.Counter[str]()
        for history, killed in self.histories:
            history.read()
            assert killed or history.began == history.ended.keys(), "a call never ended"
            for call in history.ended.values():
                check(call, ran)
            check_versions(history.ended.values())
            calls += len(history.ended)
            failed += collections.Counter(call["code"] for call in history.ended.values() if "code" in call)
        return f"{calls} calls of {self._clients} Rust clients: {dict(failed)}"


def main() -> int:
    """Soaks; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        runtime = Path(directory, "run")
        os.environ["PYCRUST_RUNTIME_DIR"] = str(runtime)
        soak = Soak(Path(directory))
        atexit.register(soak.kill_all)
        started, before = time.monotonic(), None
        while (elapsed := time.monotonic() - started) < seconds:
            if before is None and elapsed > seconds / 4:
                before = {who: Held.by(pid) for who, pid in soak.steady().items()}
            time.sleep(random.uniform(0.2, 1.0))
            soak.kill_somebody()
        after = {who: Held.by(pid) for who, pid in soak.steady().items()}
        soak.end()
        said = soak.check()
        left = shared_memory()
    assert before
    print(f"{seconds:.0f} s, ends of processes: {dict(soak.kills)}\n{said}")
    grown = []
    for who, was in before.items():
        for name, first, last, allowed in zip(NAMES, astuple(was), astuple(after[who]), ALLOWED, strict=True):
            verdict = "" if last - first <= allowed else "  GREW"
            grown += [name] if verdict else []
            print(f"{who:11} {name:20} {first:9.1f} → {last:9.1f}{verdict}")
    if left:
        print(f"left in shared memory: {sorted(left)}")
    return 1 if grown or left else 0


if __name__ == "__main__":
    sys.exit(main())
