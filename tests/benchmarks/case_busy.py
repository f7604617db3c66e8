"""Calls while a cell computes, and what the cell loses by them."""

from __future__ import annotations

import importlib.util
import json
import time
from functools import partial

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, worker

ALONE = "busy/a pure-Python cell by itself"
#: A question that the worker answers without the interpreter.
NATIVE = "pycrust.health"


def alone(seconds: float) -> Figures:
    with worker("--busy", "python") as running:
        time.sleep(seconds)
    return {"value": json.loads(running.said[-1])["rounds_per_second"]}


def called(cell: str, hertz: int, seconds: float, *, method: str = "add") -> Figures:
    with worker("--busy", cell) as running:
        # Nearly the cell's whole life, so that its own speed is its speed under calls.
        args = {"args": "null"} if method == NATIVE else {}
        figures = load("--pace", str(hertz), seconds=seconds, method=method, **args)
    return {**figures, "rounds_per_second": json.loads(running.said[-1])["rounds_per_second"]}


def goals(results: Results) -> list[Goal]:
    found = []
    if results.has("busy/pure Python, 100 Hz"):
        figures = results.medians("busy/pure Python, 100 Hz")
        found += [
            Goal("pure-Python cell busy, 100 Hz: p50 in µs", figures["p50"], 250),
            Goal("pure-Python cell busy, 100 Hz: p99 in µs", figures["p99"], 1000),
        ]
        pairs = zip(results.runs["busy/pure Python, 100 Hz"], results.runs[ALONE], strict=True)
        kept = sorted(one["rounds_per_second"] / other["value"] for one, other in pairs)
        found.append(Goal("the cell keeps of its speed", kept[len(kept) // 2], 0.95, at_least=True))
    for name in ("busy/NumPy, 100 Hz", "busy/PyTorch, 100 Hz"):
        if results.has(name):
            label = name.removeprefix("busy/")
            found.append(Goal(f"{label}: p99 in µs", results.medians(name)["p99"], 1000))
    return found


CELLS = {"python": "pure Python", "numpy": "NumPy"} | (
    {"torch": "PyTorch"} if importlib.util.find_spec("torch") else {}
)
CASE = Case(
    [
        Measurement(ALONE, alone, unit="rounds/s"),
        *(Measurement(f"busy/{label}, 100 Hz", partial(called, cell, 100)) for cell, label in CELLS.items()),
        Measurement("busy/pure Python, 1,000 Hz", partial(called, "python", 1000)),
        Measurement("busy/a C call holds the lock for 20 ms", partial(called, "lock", 100)),
        Measurement("busy/a C call holds the lock, asked natively", partial(called, "lock", 100, method=NATIVE)),
    ],
    goals,
)
