"""What recording costs: throughput and round trips with it on and off, interleaved in one run.

Three settings: off; on as it comes (in full up to 2,000 calls/s, sampled above); and every call in full, whatever
the rate. Each under a caller that polls, one that sleeps between paced calls, and 64 at once.
A figure is the median
of the rounds; the last column compares throughput with recording off, in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.benchmarks.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

LOAD = PROGRAMS / "load"
QUANTILES = ("p50", "p90", "p99", "p999")

#: What `endpoint.recording(...)` is called with.
SETTINGS = {
    "off": {"on": False},
    "on": {},
    "on, every call": {"calls_per_second": 10_000_000, "bytes_per_second": 1 << 40},
}
CALLERS = {
    "1 task": [],
    "64 tasks": ["--tasks", "64"],
    "1,000 calls/s": ["--pace", "1000"],
}

WORKER = """
import signal, sys
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("bench-recording")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
endpoint.recording(**eval(sys.argv[1]))
with endpoint:
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(settings: dict[str, object]) -> Iterator[None]:
    """A worker process that serves `bench-recording`."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, repr(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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


def measure(caller: list[str], seconds: float) -> dict[str, float]:
    """One run of the program `load`."""
    arguments = ["--endpoint", "bench-recording", "--method", "add", "--args", '{"a": 1, "b": 2}']
    command = [LOAD, *arguments, "--seconds", str(seconds), "--json", *caller]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if report["errors"]:
        raise RuntimeError(f"calls failed: {report['errors']}")
    return {**report["round_trip_us"], "calls_per_second": report["calls_per_second"]}


def main() -> None:
    """Runs all cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    options = parser.parse_args()

    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="pycrust-bench-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        for _ in range(options.rounds):
            for caller, arguments in CALLERS.items():
                for name, settings in SETTINGS.items():
                    with serving(settings):
                        runs.setdefault((caller, name), []).append(measure(arguments, options.seconds))
    results = {
        case: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for case, found in runs.items()
    }
    print(f"recording; median of {options.rounds} rounds; µs")
    print(f"{'callers':<16}{'recording':<18}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'calls/s':>10}  / off")
    for (caller, name), figures in results.items():
        times = "".join(f"{figures[quantile]:>9.1f}" for quantile in QUANTILES)
        ratio = figures["calls_per_second"] / results[caller, "off"]["calls_per_second"]
        print(f"{caller:<16}{name:<18}{times}{figures['calls_per_second']:>10,.0f}  {ratio:.2f}")


if __name__ == "__main__":
    main()
