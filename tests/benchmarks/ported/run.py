"""`make bench-ported`: programs as they are used today, on this project and on their own transports, in one run.

The processes of all ways of a program stay for the whole run. Every round each caller makes calls for some seconds
while all others sleep, one after another, so that what the machine does meanwhile falls on all of them. The first
round warms up and is not counted. Quantiles are of all calls of all rounds; processor time is that of the caller's
and of the worker's process, with their children, divided by the calls.

`make bench-ported PROGRAMS="openpi lerobot"` runs some; `ROUNDS` and `SECONDS` change how long it takes. The tables
are printed; with `--write` they also replace those in the programs' READMEs and their rows in `docs/ported.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.benchmarks.ported import report
from tests.benchmarks.ported.program import ROOT, Program, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
#: What a process gets for its end before it is killed, in seconds.
GRACE = 20.0


@dataclass
class Figures:
    """What all rounds of a way gave."""

    #: Nanoseconds of each call.
    round_trips: list[int] = field(default_factory=list)
    #: Seconds of processor time.
    caller: float = 0.0
    worker: float = 0.0
    #: The median of each round, for ratios within a round.
    medians: list[float] = field(default_factory=list)


class Side:
    """A process of a way."""

    def __init__(self, command: list[str], runtime_dir: str) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.command = command
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **threads, "PYCRUST_RUNTIME_DIR": runtime_dir},
        )

    @property
    def input(self) -> IO[str]:
        assert self.process.stdin
        return self.process.stdin

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command} ended with {self.process.wait()}")
        return line.rstrip("\n")

    def address(self) -> str:
        """What it prints behind `ready`, once it has."""
        while not (line := self.line()).startswith("ready"):
            pass
        return line.removeprefix("ready").strip()

    def processor_time(self) -> float:
        """Seconds that it and its children have run."""
        return sum(processor_time(pid) for pid in family(self.process.pid))

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return [pid, *(relative for child in children for relative in family(child))]


def processor_time(pid: int) -> float:
    """Seconds that all threads of a process have run: the clock that clock_getcpuclockid(3) names."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


@contextmanager
def started(way: Way) -> Iterator[tuple[Side, Side | None]]:
    """The processes of a way: the caller and, if it has one, the worker."""
    with contextlib.ExitStack() as ending:
        directory = ending.enter_context(tempfile.TemporaryDirectory(prefix="ported-"))
        worker = Side(way.worker, directory) if way.worker else None
        if worker:
            ending.callback(worker.end)
        caller = Side(way.caller(worker.address() if worker else ""), directory)
        ending.callback(caller.end)
        caller.address()
        yield caller, worker


def slice_of(caller: Side, worker: Side | None, seconds: float, figures: Figures) -> None:
    """Calls for so many seconds."""
    before = caller.processor_time(), worker.processor_time() if worker else 0.0
    caller.input.write(f"{seconds}\n")
    caller.input.flush()
    told = json.loads(caller.line())
    if told["errors"]:
        raise RuntimeError(f"{caller.command}: {told['errors']} calls failed")
    figures.caller += caller.processor_time() - before[0]
    figures.worker += (worker.processor_time() if worker else 0.0) - before[1]
    figures.round_trips += told["round_trip_ns"]
    figures.medians.append(report.quantile(sorted(told["round_trip_ns"]), 0.5))


def measure(program: Program, rounds: int, seconds: float) -> dict[str, dict[str, Figures]]:
    """Runs every way of every case once a round."""
    found = {case: {way.name: Figures() for way in ways} for case, ways in program.cases.items()}
    with contextlib.ExitStack() as running:
        sides = {
            (case, way.name): running.enter_context(started(way))
            for case, ways in program.cases.items()
            for way in ways
        }
        for number in range(rounds + 1):
            for (case, way), (caller, worker) in sides.items():
                told = f"round {number} of {rounds}" if number else "warming up"
                print(f"{program.name}, {told}: {case}, {way}", file=sys.stderr, flush=True)
                slice_of(caller, worker, seconds, found[case][way] if number else Figures())
    return found


def programs() -> dict[str, Program]:
    """Everything here that can be measured."""
    stems = sorted(path.stem for path in HERE.glob("program_*.py"))
    found = [importlib.import_module(f"tests.benchmarks.ported.{stem}").PROGRAM for stem in stems]
    return {program.name: program for program in found}


def main() -> None:
    known = programs()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each way in each round")
    parser.add_argument("--write", action="store_true", help="the tables into READMEs and docs/ported.md, too")
    options = parser.parse_args()
    unknown = set(options.programs) - set(known)
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    for name in options.programs or known:
        program = known[name]
        if missing := [module for module in program.needs if importlib.util.find_spec(module) is None]:
            print(f"{name} is left out: {', '.join(missing)} are not installed")
            continue
        found = measure(program, options.rounds, options.seconds)
        text = report.page(program, found, rounds=options.rounds, seconds=options.seconds)
        print(text, flush=True)
        if options.write:
            report.write(program, found, text)


if __name__ == "__main__":
    main()
