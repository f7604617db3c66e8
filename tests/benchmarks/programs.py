"""The programs that are measured, as the cases start them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.measuring import Figures

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "target" / "dist" / "examples"
PEER = ROOT / "target" / "peers" / "release" / "peer"
ARGS = '{"a": 1, "b": 2}'


@dataclass
class Running:
    """A program that was started, and what it says at its end."""

    process: subprocess.Popen[str]
    #: The lines that it printed after the first one, once it has ended.
    said: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout
        return self.process.stdout

    @property
    def input(self) -> IO[str]:
        assert self.process.stdin
        return self.process.stdin


@contextmanager
def _started(*command: str | Path) -> Iterator[Running]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    running = Running(process)
    try:
        while running.output.readline().strip() != "ready":
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
        yield running
    finally:
        process.terminate()
        try:
            running.said = process.communicate(timeout=20)[0].splitlines()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def worker(*options: str) -> contextlib.AbstractContextManager[Running]:
    """This project's worker, which serves `bench`."""
    return _started(sys.executable, "-m", "tests.benchmarks.worker", *options)


def load(*options: str, seconds: float, method: str = "add", args: str = ARGS) -> Figures:
    """Calls from this project's Tokio client."""
    called = ("--endpoint", "bench", "--method", method, "--args", args)
    return _measured(EXAMPLES / "load", *called, "--json", *options, seconds=seconds)


def ticks(*options: str, seconds: float) -> Figures:
    """Calls with ticks from this project's Tokio client."""
    return _measured(EXAMPLES / "ticks", "--endpoint", "bench", *options, seconds=seconds)


def peer(kind: str, *options: str, seconds: float) -> Figures:
    """Calls to one of the peers, from its own Tokio client."""
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        path = Path(directory) / "bench"
        if kind.startswith("iceoryx2"):
            path.mkdir()
        with _started(sys.executable, "-m", "tests.benchmarks.peer_worker", kind, str(path)):
            return _measured(PEER, "--kind", kind, "--path", path, *options, seconds=seconds)


def _measured(*command: str | Path, seconds: float) -> Figures:
    run = subprocess.run([*command, "--seconds", str(seconds)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{command} failed: {run.stderr}")
    report = json.loads(run.stdout)
    if report["errors"]:
        raise RuntimeError(f"calls failed: {report['errors']}")
    return {**report["round_trip_us"], "calls": report["calls"], "calls_per_second": report["calls_per_second"]}
