"""The tables: one for each program, in its README, and one row for each way in `docs/ported.md`."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from tests.benchmarks.ported.program import ROOT, Program
from tests.benchmarks.report import machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.ported.run import Figures

QUANTILES = (0.5, 0.9, 0.99, 0.999)
HEADS = "p50 | p90 | p99 | p99.9 | caller's CPU | worker's CPU | calls"
RULES = "--:|--:|--:|--:|--:|--:|--:|"
#: Between these lines a README has its table.
BEGIN, END = "<!-- figures: make bench-ported writes them -->", "<!-- end of figures -->"
OVERVIEW = ROOT / "docs" / "ported.md"
#: Where crates have their versions.
LOCKS = (ROOT / "Cargo.lock", ROOT / "tests" / "benchmarks" / "ported" / "callers" / "Cargo.lock")


def quantile(ordered: list[int], share: float) -> float:
    """The value below which such a share lies, in microseconds."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e3


def row(figures: Figures) -> str:
    """The numbers of one way."""
    ordered = sorted(figures.round_trips)
    times = [quantile(ordered, share) for share in QUANTILES]
    spent = [seconds * 1e6 / len(ordered) for seconds in (figures.caller, figures.worker)]
    cells = [short(value) if value else "" for value in (*times, *spent)]
    return " | ".join([*cells, f"{len(ordered):,}"])


def short(value: float) -> str:
    """Three digits of it, or what stands before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def page(program: Program, found: dict[str, dict[str, Figures]], *, rounds: int, seconds: float) -> str:
    """The table of a program, with what it was measured on."""
    lines = [f"{program.call}. {provenance(program, rounds, seconds)}", ""]
    lines += [f"| case | transport, caller | {HEADS} |", f"|---|---|{RULES}"]
    for case, ways in program.cases.items():
        for way in ways:
            name = f"**{way.name}**" if way.ours else way.name
            lines.append(f"| {case} | {name} | {row(found[case][way.name])} |")
    return "\n".join(lines)


def provenance(program: Program, rounds: int, seconds: float) -> str:
    """Where, when, with which versions, and how."""
    about = machine()
    versions = ", ".join(f"{name} {number}" for name in program.packages if (number := version_of(name)))
    return (
        f"Microseconds; {about['cpu']} ({about['machine']}), {about['cores']} cores, Linux {about['kernel']}, load "
        f"{about['load'].split()[0]}, {about['date']}; Python {about['python']}, {versions}; `release` build, "
        f"{rounds} rounds of {seconds:g} s each, interleaved."
    )


def version_of(name: str) -> str:
    """Of a distribution that is installed, or of a crate."""
    try:
        return version(name)
    except PackageNotFoundError:
        for lock in LOCKS:
            packages = tomllib.loads(lock.read_text())["package"] if lock.exists() else []
            for package in packages:
                if package["name"] == name:
                    return str(package["version"])
    return ""


def write(program: Program, found: dict[str, dict[str, Figures]], text: str) -> None:
    """Puts a program's table into its README, and its rows into the overview."""
    between(program.readme, text)
    name = f"[{program.name}](../client-rs/examples/{program.name}/README.md)"
    rows = []
    for case, ways in program.cases.items():
        for way in ways:
            told = f"**{way.name}**" if way.ours else way.name
            rows.append(f"| {name} | {case} | {told} | {row(found[case][way.name])} |")
    rows_of(OVERVIEW, name, rows)


def between(path: Path, text: str) -> None:
    """Replaces what stands between the marks."""
    before = path.read_text()
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(before):
        raise ValueError(f"{path} has no lines {BEGIN!r} and {END!r}")
    path.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", before))


def rows_of(path: Path, name: str, rows: list[str]) -> None:
    """Replaces the rows of a program in the one table of a page, or puts them at its end."""
    lines = path.read_text().splitlines()
    start = f"| {name} |"
    at = [number for number, line in enumerate(lines) if line.startswith(start)]
    if not at:
        at = [max(number for number, line in enumerate(lines) if line.startswith("|")) + 1]
    kept = [line for line in lines if not line.startswith(start)]
    path.write_text("\n".join([*kept[: at[0]], *rows, *kept[at[0] :]]) + "\n")
