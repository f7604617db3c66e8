"""Measures round trips beside their floors and prints a table; writes `bench.json`.

Every round runs every case once, so that what the machine does meanwhile falls on all of them; a figure is the
median of the rounds. Ratios compare within this run: absolute times mean little on a shared machine.

- Floors: eventfd ping-pong between two processes (blocking), raw iceoryx2 publish-subscribe (polled, 64 bytes).
- This project: `add` with Pydantic validation, a Tokio client in one process, the worker in another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "target" / "release" / "examples"
QUANTILES = ("p50", "p90", "p99", "p999")

#: Case: the worker's options, the client's options, the floor that it is compared with.
CASES = {
    "add, sleeping, 1 task": (["--spin-us", "0"], ["--spin", "off"], "eventfd"),
    "add, spinning, 1 task": ([], ["--spin", "adaptive"], "iceoryx2"),
    "add, 8 tasks": ([], ["--tasks", "8"], None),
    "add, 64 tasks": ([], ["--tasks", "64"], None),
    "add, 1,000 calls/s": ([], ["--pace", "1000"], None),
    "add, 100 calls/s, cell busy": (["--busy"], ["--pace", "100"], None),
}


@contextmanager
def serving(options: list[str]) -> Iterator[None]:
    """A worker process that serves `bench`."""
    worker = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("worker.py"), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout
    try:
        while worker.stdout.readline().strip() != "ready":
            if worker.poll() is not None:
                raise RuntimeError(f"the worker ended with {worker.returncode}")
        yield
    finally:
        worker.terminate()
        worker.wait()


def measure(client: list[str], seconds: float) -> dict[str, float]:
    """One run of the `load` example."""
    command = [EXAMPLES / "load", "--endpoint", "bench", "--method", "add", "--args", '{"a": 1, "b": 2}']
    run = subprocess.run(
        [*command, "--seconds", str(seconds), "--json", *client], capture_output=True, text=True, check=True
    )
    report = json.loads(run.stdout)
    if report["errors"]:
        raise RuntimeError(f"calls failed: {report['errors']}")
    return {**report["round_trip_us"], "calls_per_second": report["calls_per_second"]}


def main() -> None:
    """Runs all cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    options = parser.parse_args()

    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("eventfd", "iceoryx2", *CASES)}
    with tempfile.TemporaryDirectory(prefix="pycrust-bench-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        for _ in range(options.rounds):
            floors = subprocess.run([EXAMPLES / "floors"], capture_output=True, text=True, check=True)
            for name, figures in json.loads(floors.stdout).items():
                runs[name].append(figures)
            for name, (worker, client, _floor) in CASES.items():
                with serving(worker):
                    runs[name].append(measure(client, options.seconds))

    results = {
        name: {key: statistics.median(run[key] for run in found if key in run) for key in found[0]}
        for name, found in runs.items()
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    date = datetime.now(UTC).date().isoformat()
    print(f"{machine}, {date}; median of {options.rounds} rounds; µs")
    print(f"{'case':<30}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'calls/s':>10}  p50 / floor")
    for name, figures in results.items():
        times = "".join(f"{figures[quantile]:>9.1f}" for quantile in QUANTILES)
        rate = f"{figures['calls_per_second']:>10,.0f}" if "calls_per_second" in figures else " " * 10
        floor = CASES[name][2] if name in CASES else None
        ratio = f"{figures['p50'] / results[floor]['p50']:.2f} x {floor}" if floor else ""
        print(f"{name:<30}{times}{rate}  {ratio}")
    (ROOT / "bench.json").write_text(json.dumps({"machine": machine, "date": date, "results": results}, indent=2))


if __name__ == "__main__":
    main()
