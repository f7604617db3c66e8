"""What a swap costs the traffic: latencies around swaps of handlers and reloads of models against quiet time.

`python -m tests.benchmarks.swaps [--swaps 50] [--json FILE]` runs a real kernel and a Rust client with four tasks,
each calling 500 times a second. A swap is where an answer of a new version first arrived; the 5 ms before and after
it are "around". The time to the first call is from the last statement of the cell to the first call that runs
the new version.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.programs import PROGRAMS
from tests.interop.history import Call, read
from tests.kernels import Kernel

#: Half of what counts as around a swap.
AROUND_NS = 5_000_000
PAUSE_S = 0.1

SERVE = """
import time
import numpy as np
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("swaps")
policy = endpoint.model("policy", lambda mark=1: np.full(5 * (1 << 20) // 8, float(mark)))
first_calls, ends = {}, {}
"""

CELL = """
@endpoint.register(models=["policy"])
def act(x: float, policy) -> float:
    first_calls.setdefault(NUMBER, time.monotonic_ns())
    return policy[0] * x
ends[NUMBER] = time.monotonic_ns()
"""


def measure(swaps: int) -> dict[str, dict[str, float]]:
    """Swaps a handler and reloads a model under traffic; microseconds of each case."""
    with tempfile.TemporaryDirectory(prefix="pycrust-swaps-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        kernel = Kernel()
        try:
            return _measure(kernel, swaps, Path(directory))
        finally:
            kernel.stop()


def _measure(kernel: Kernel, swaps: int, directory: Path) -> dict[str, dict[str, float]]:
    kernel.run(SERVE + CELL.replace("NUMBER", "0") + "endpoint.serve();")
    results: dict[str, dict[str, float]] = {}
    cases = {
        "swap of a handler": lambda number: CELL.replace("NUMBER", str(number)),
        "reload of 5 MiB": lambda number: f"policy.reload({number}).wait(drained=True);",
    }
    number = 0
    for name, cell in cases.items():
        history = directory / "history.jsonl"
        seconds = 2 + swaps * PAUSE_S * 1.5
        arguments = ["--endpoint", "swaps", "--method", "act", "--args", "[2.0]", "--tasks", "4", "--pace", "500"]
        load = subprocess.Popen(
            [PROGRAMS / "load", *arguments, "--seconds", str(seconds), "--history", history, "--json"],
            stdout=subprocess.PIPE,
        )
        time.sleep(1)
        for _ in range(swaps):
            number += 1
            kernel.run(cell(number))
            time.sleep(PAUSE_S)
        load.communicate()
        quiet, around = split(read(history))
        results[f"quiet, beside: {name}"] = quantiles(quiet)
        results[f"around: {name}"] = quantiles(around)
    code = "print([first_calls[n] - ends[n] for n in first_calls if n])"
    results["end of the cell to the first call"] = quantiles(json.loads(kernel.run(code)))
    return results


def split(calls: list[Call]) -> tuple[list[int], list[int]]:
    """Round trips in nanoseconds: of quiet time, and around the first answers of new versions."""
    newest, moments = calls[0].version, []
    for call in sorted(calls, key=lambda call: call.received_ns):
        if call.version > newest:
            newest = call.version
            moments.append(call.received_ns)
    quiet, around = [], []
    begun = calls[0].sent_ns + 500_000_000  # what a connection costs at first is not what is asked
    at = 0
    for call in calls:
        while at < len(moments) and moments[at] + AROUND_NS < call.sent_ns:
            at += 1
        near = at < len(moments) and call.received_ns >= moments[at] - AROUND_NS
        if call.sent_ns >= begun:
            (around if near else quiet).append(call.received_ns - call.sent_ns)
    return quiet, around


def quantiles(nanoseconds: list[int]) -> dict[str, float]:
    """Microseconds at p50, p99 and at most, and how many there were."""
    ordered = sorted(nanoseconds)
    if not ordered:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}

    def at(quantile: float) -> float:
        return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)] / 1e3

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": ordered[-1] / 1e3}


def table(results: dict[str, dict[str, float]]) -> str:
    """The results as a table in Markdown."""
    lines = ["| µs | calls | p50 | p99 | max |", "|---|--:|--:|--:|--:|"]
    for name, row in results.items():
        lines.append(f"| {name} | {row['count']:,} | {row['p50']:,.1f} | {row['p99']:,.1f} | {row['max']:,.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints the table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    results = measure(options.swaps)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
