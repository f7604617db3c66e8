"""`make bench`: measures everything, interleaved, and writes `bench.json` and `bench.svg`.

Every round runs every row once, one after another, so that what the machine does meanwhile falls on all of them; a
figure is the median of the rounds, a ratio the median of the rounds' ratios. Ratios are what counts: absolute times
mean little on a shared machine.

`make bench CASES="calls busy"` runs some; `ROUNDS` and `SECONDS` change how long it takes. Any other module here
with a `main()` can be named, too, and all of them run at the end of a full run. `--tables` prints the
tables of docs/benchmarks.md from `bench.json` and measures nothing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.measuring import Case, Goal, Results

HERE = Path(__file__).parent
#: Cases in the order of the table.
CASES = (
    "calls",
    "paced",
    "peers",
    "pipelined",
    "busy",
    "idle",
    "connecting",
    "codec",
    "import",
    "growth",
    "overload",
)
#: Modules here that are no programs of their own.
PARTS = {
    "__init__",
    "handler",
    "measuring",
    "peer_worker",
    "programs",
    "python_caller",
    "report",
    "run",
    "ticks_handler",
    "worker",
}


def programs() -> list[str]:
    """Benchmarks that are programs: they print what they find by themselves."""
    stems = sorted(path.stem for path in HERE.glob("*.py"))
    return [stem for stem in stems if stem not in PARTS and not stem.startswith("case_")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join((*CASES, *programs()))}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row in each round")
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    if options.tables:
        print(report.tables())
        return
    unknown = set(options.cases) - {*CASES, *programs()}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")

    chosen = [name for name in CASES if not options.cases or name in options.cases]
    cases = [importlib.import_module(f"tests.benchmarks.case_{name}").CASE for name in chosen]
    if cases:
        results = measure(cases, options.rounds, options.seconds)
        goals: list[Goal] = [goal for case in cases for goal in case.goals(results)]
        report.write(cases, results, goals, rounds=options.rounds, seconds=options.seconds)
    for name in programs():
        if not options.cases or name in options.cases:
            print(f"\n{name}", flush=True)
            subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)


def measure(cases: list[Case], rounds: int, seconds: float) -> Results:
    """Runs every row once a round."""
    results = Results()
    with tempfile.TemporaryDirectory(prefix="pycrust-bench-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        try:
            for number in range(rounds):
                for case in cases:
                    for row in case.measurements:
                        print(f"round {number + 1} of {rounds}: {row.name}", file=sys.stderr, flush=True)
                        results.add(row.name, row.run(seconds))
        finally:
            # What iceoryx2 itself keeps of programs that use it directly.
            for prefix in ("pycfloor_", "pycpeer_"):
                for left in Path("/dev/shm").glob(f"{prefix}*"):
                    left.unlink()
    return results


if __name__ == "__main__":
    main()
