"""The live view without a front end: a snapshot as text and as HTML."""

from __future__ import annotations

import math
import os
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from pycrust.jupyter.view.wire import part, sequence, whole
from pycrust.text.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADS = ("method", "version", "calls", "errors", "in flight", "p50 µs", "p99 µs")
_NOTHING = "\N{EN DASH}"
_LONGEST_NAME = 40


def _digits(nanoseconds: int) -> str:
    """Microseconds with three significant digits; a dash where nothing was measured."""
    if nanoseconds == 0:
        return _NOTHING
    shown = float(f"{nanoseconds / 1000:.3g}")
    places = max(0, 2 - math.floor(math.log10(shown)))
    return f"{shown:,.{places}f}"


def _printable(name: str) -> str:
    """A method's name on one line, without control characters, and not longer than a column bears."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return clean if len(clean) <= _LONGEST_NAME else f"{clean[: _LONGEST_NAME - 1]}…"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def headline(stats: Mapping[str, object], *, serving: bool) -> str:
    """One line: the endpoint, its state, process, methods and clients, and when that was: a notebook keeps it."""
    state = "serving" if serving else "stopped"
    methods, clients = len(sequence(stats, "methods")), len(sequence(stats, "clients"))
    return (
        f"{_printable(str(stats.get('endpoint', '')))} · {state} · pid {whole(stats.get('pid')) or os.getpid()}"
        f" · {_count(methods, 'method')} · {_count(clients, 'client')} · as of {datetime.now():%Y-%m-%d %H:%M:%S}"  # noqa: DTZ005 - the reader's own clock
    )


def _cells(method: Mapping[str, object]) -> tuple[str, ...]:
    round_trip = part(method, "round_trip")
    return (
        _printable(str(method.get("name", ""))),
        f"v{whole(method.get('version'))}",
        *(f"{whole(method.get(name)):,}" for name in ("calls", "errors", "in_flight")),
        _digits(whole(round_trip.get("p50_ns"))),
        _digits(whole(round_trip.get("p99_ns"))),
    )


def text(stats: Mapping[str, object], *, serving: bool, most: int | None = None) -> str:
    """A table in plain text, of the first `most` methods."""
    rows = [_cells(method) for method in sequence(stats, "methods")]
    shown = rows[:most]
    lines = [headline(stats, serving=serving)]
    if shown:
        lines.append(str(Table(_HEADS, shown, left={0})))
    lines.extend(_rest(len(rows) - len(shown)))
    return "\n".join(lines)


def html(stats: Mapping[str, object], *, serving: bool, most: int | None = None) -> str:
    """A table in HTML, of the first `most` methods, without scripts and with every name escaped."""
    rows = [_cells(method) for method in sequence(stats, "methods")]
    shown = rows[:most]
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in numbers)}</tr>'
        for name, *numbers in shown
    )
    rest = "".join(f"<p>{escape(line)}</p>" for line in _rest(len(rows) - len(shown)))
    return (
        f"<table><caption>{escape(headline(stats, serving=serving))}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{rest}"
    )


def _rest(left: int) -> list[str]:
    return [f"and {_count(left, 'more method')}"] if left > 0 else []
