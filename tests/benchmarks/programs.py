"""The programs that are measured, as the cases start them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.benchmarks.measuring import Figures

ROOT = Path(__file__).resolve().parent.parent.parent
#: What was built of `tests/programs`, and of the crates' examples.
PROGRAMS = ROOT / "target" / "dist"
EXAMPLES = PROGRAMS / "examples"
PEERS = ROOT / "target" / "peers" / "release"
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
    return _measured(PROGRAMS / "load", *called, "--json", *options, seconds=seconds)


def ticks(*options: str, seconds: float) -> Figures:
    """Calls with ticks from this project's Tokio client."""
    return _measured(PROGRAMS / "ticks", "--endpoint", "bench", *options, seconds=seconds)


def rhythm(*options: str, seconds: float) -> Figures:
    """A control loop's calls from this project's blocking client: each from its tick to the answer."""
    called = ("--endpoint", "bench", "--method", "add", "--args", ARGS)
    command = [PROGRAMS / "rhythm", *called, *options, "--seconds", str(seconds)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode or run.stderr:
        raise RuntimeError(f"{command} failed: {run.stderr}")
    report = json.loads(run.stdout)
    late = {f"late_{quantile}": value for quantile, value in report["late_us"].items()}
    return {**report["answer_after_tick_us"], **late, "calls": report["calls"], "overruns": report["overruns"]}


def peer(kind: str, *options: str, seconds: float) -> Figures:
    """Calls to one of the peers, from its own Tokio client."""
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        path = Path(directory) / "bench"
        if kind.startswith("iceoryx2"):
            path.mkdir()
        with _started(sys.executable, "-m", "tests.benchmarks.peer_worker", kind, str(path)):
            return _measured(PEERS / "peer", "--kind", kind, "--path", path, *options, seconds=seconds)


def peer_of_its_own(kind: str, *options: str, seconds: float) -> Figures:
    """Calls to one of the peers that have a client program of their own."""
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        path = Path(directory) / "bench"
        with _started(sys.executable, "-m", "tests.benchmarks.peer_worker", kind, str(path)):
            return _measured(PEERS / f"peer-{kind}", "--path", path, *options, seconds=seconds)


def embedded(way: str, *options: str, seconds: float) -> Figures:
    """Calls within one process, of Rust, that has this interpreter inside."""
    # An embedded interpreter knows of no virtual environment.
    paths = (str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    environment = {"PYTHONHOME": sys.base_prefix, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    command = (PEERS / "peer-embedding", "--way", way, *options)
    return _measured(*command, seconds=seconds, environment=environment)


PYTHON_CALLER = ("-m", "tests.benchmarks.python_caller", "--kind")


def ray(kind: str, *options: str, seconds: float) -> Figures:
    """Calls of an actor of Ray's, from Python."""
    return _measured(sys.executable, *PYTHON_CALLER, kind, *options, seconds=seconds)


def dora(*options: str, seconds: float) -> Figures:
    """Requests along the edges of a dataflow of dora's, from one Python node to another."""
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        dataflow, report = Path(directory) / "dataflow.yml", Path(directory) / "report.json"
        called = (*PYTHON_CALLER, "dora", "--report", str(report), "--seconds", str(seconds), *options)
        client = {
            "id": "client",
            "path": sys.executable,
            "args": shlex.join(called),
            "inputs": {"response": "server/response"},
            "outputs": ["request"],
        }
        server = {
            "id": "server",
            "path": sys.executable,
            "args": shlex.join(["-m", "tests.benchmarks.peer_worker", "dora", str(Path(directory) / "bench")]),
            "inputs": {"request": "client/request"},
            "outputs": ["response"],
        }
        # JSON is YAML, too.
        dataflow.write_text(json.dumps({"nodes": [client, server]}))
        # Its daemon tells the nodes each other's addresses, which are this host's: nobody has to be looked for.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DORA_ZENOH_MULTICAST": "off"}
        command = [Path(sys.executable).with_name("dora"), "run", dataflow]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, env=environment)
        if run.returncode or not report.exists():
            raise RuntimeError(f"{command} failed: {run.stdout}{run.stderr}")
        return _figures(report.read_text())


def _measured(
    *command: str | Path, seconds: float, environment: Mapping[str, str] = MappingProxyType({})
) -> Figures:
    run = subprocess.run(
        [*command, "--seconds", str(seconds)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    if run.returncode:
        raise RuntimeError(f"{command} failed: {run.stderr}")
    return _figures(run.stdout)


def _figures(printed: str) -> Figures:
    report = json.loads(printed)
    if report["errors"]:
        raise RuntimeError(f"calls failed: {report['errors']}")
    return {**report["round_trip_us"], "calls": report["calls"], "calls_per_second": report["calls_per_second"]}
