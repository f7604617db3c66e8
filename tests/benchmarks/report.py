"""The table, the plot, `bench.json`, and the tables of docs/benchmarks.md made of that."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results

ROOT = Path(__file__).resolve().parent.parent.parent
JSON, PLOT = ROOT / "bench.json", ROOT / "bench.svg"
QUANTILES = ("p50", "p90", "p99", "p999")
HEADS = ("p50", "p90", "p99", "p99.9")
#: Rows that the page shows.
SHOWN = ("floor/", "calls/", "peers/", "paced/", "pipelined/", "busy/")


def write(cases: list[Case], results: Results, goals: list[Goal], *, rounds: int, seconds: float) -> None:
    """Prints the table and the goals, and writes both with everything measured."""
    rows = [row for case in cases for row in case.measurements]
    about = {**machine(), "rounds": rounds, "seconds": seconds}
    left_out = {name: why for case in cases for name, why in case.left_out.items()}
    found = {
        "about": about,
        "results": {row.name: _result(row, results) for row in rows},
        "left_out": left_out,
        "goals": [
            {
                "goal": goal.text,
                "reached": goal.reached,
                "limit": goal.limit,
                "at_least": goal.at_least,
                "met": goal.met,
            }
            for goal in goals
        ],
    }
    JSON.write_text(json.dumps(found, indent=1))
    print(f"{describe(about)}; µs\n")
    print(f"{'':<46}" + "".join(f"{head:>10}" for head in HEADS) + f"{'calls/s':>11}  p50 /")
    for row in rows:
        print(_line(row, results))
    for name, why in left_out.items():
        print(f"{name:<46}  left out: {why}")
    print()
    for goal in goals:
        sign = "≥" if goal.at_least else "≤"
        met = "met   " if goal.met else "MISSED"
        print(f"{met}  {goal.text}: {goal.reached:,.2f}, aimed at {sign} {goal.limit:,g}")
    plot(found)


def machine() -> dict[str, str]:
    """Where and when this was measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "cpu": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def describe(about: dict[str, Any]) -> str:
    """The machine and the date in one line."""
    return (
        f"{about['cpu']} ({about['machine']}), {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {about['python']}, {about['date']}, {about['rounds']} rounds of {about['seconds']:g} s"
    )


def _result(row: Measurement, results: Results) -> dict[str, Any]:
    found: dict[str, Any] = {"unit": row.unit or "µs", **results.medians(row.name), "runs": results.runs[row.name]}
    if row.floor and results.has(row.floor):
        found["floor"], found["ratio"] = row.floor, results.ratio(row.name, row.floor)
    return found


def _line(row: Measurement, results: Results) -> str:
    figures = results.medians(row.name)
    if "value" in figures:
        return f"{row.name:<46}{figures['value']:>10,.3g} {row.unit}"
    times = "".join(f"{figures[key]:>10,.1f}" if key in figures else " " * 10 for key in QUANTILES)
    floor = ""
    if row.floor and results.has(row.floor):
        floor = f"  {results.ratio(row.name, row.floor):.2f} x {row.floor.partition('/')[2]}"
    return f"{row.name:<46}{times}{_rate(figures):>11}{floor}"


def _rate(figures: Figures) -> str:
    return f"{figures['calls_per_second']:,.0f}" if "calls_per_second" in figures else ""


def plot(found: dict[str, Any]) -> None:
    """Draws the times of calls, one bar from p50 to p99.9 a row."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    rows = {name: row for name, row in found["results"].items() if "p50" in row}
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(rows) + 1.2), layout="constrained")
    for at, row in enumerate(reversed(rows.values())):
        axes.plot([row["p50"], row["p999"]], [at, at], color="#b9c4d0", linewidth=5, solid_capstyle="butt")
        axes.plot([row["p50"], row["p99"]], [at, at], color="#5b7ea6", linewidth=5, solid_capstyle="butt")
        axes.plot(row["p50"], at, "o", color="#12365c", markersize=6)
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    axes.set_xscale("log")
    axes.set_xlabel("round trip in µs: p50, to p99, to p99.9")
    axes.grid(axis="x", which="both", color="#e5e8ec")
    axes.set_axisbelow(True)
    axes.set_title(describe(found["about"]), fontsize=8)
    figure.savefig(PLOT)
    plt.close(figure)


def tables() -> str:
    """The tables of docs/benchmarks.md, of `bench.json`."""
    found = json.loads(JSON.read_text())
    lines = [
        f"{describe(found['about'])}.",
        "",
        "| case | p50 | p90 | p99 | p99.9 | calls/s | p50 / |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for name, row in found["results"].items():
        if name.startswith(SHOWN) and ("p50" in row or "calls_per_second" in row):
            times = " | ".join(_short(row[key]) if key in row else "" for key in QUANTILES)
            floor = f"{row['ratio']:.1f} x {row['floor'].partition('/')[2]}" if "ratio" in row else ""
            lines.append(f"| {name.replace('/', ': ', 1)} | {times} | {_rate(row)} | {floor} |")
    if found["left_out"]:
        lines += ["", "Left out: " + "; ".join(f"{name} ({why})" for name, why in found["left_out"].items()) + "."]
    lines += ["", "| goal | aimed at | reached | |", "|---|--:|--:|---|"]
    for goal in found["goals"]:
        sign = "≥" if goal["at_least"] else "≤"
        met = "met" if goal["met"] else "**missed**"
        lines.append(f"| {goal['goal']} | {sign} {goal['limit']:,g} | {_short(goal['reached'])} | {met} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
