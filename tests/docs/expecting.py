"""Compares what was printed with what a page says of it."""

from __future__ import annotations

import re

#: A line that prints, and the comment that says what.
_SHOWN = {
    "python": re.compile(r"^\s*(?:await )?print\(.*\)\s+# (.*)$", re.MULTILINE),
    "rust": re.compile(r"^\s*println!\(.*\);\s+// (.*)$", re.MULTILINE),
}


def shown(code: str, kind: str) -> list[str]:
    """What comments say is printed, a line each."""
    return _SHOWN[kind].findall(code) if kind in _SHOWN else []


def _pattern(line: str) -> str:
    return re.escape(line.rstrip()).replace("…", ".*")


def is_as_said(printed: str, said: str) -> bool:
    """Whether all that was printed is what the page has; `…` is anything, and alone on a line any lines."""
    lines = [
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else _pattern(line) + r"[ \t]*\n"
        for line in said.strip("\n").splitlines()
    ]
    return re.fullmatch("".join(lines), printed.strip("\n") + "\n") is not None


def come_in_order(printed: str, lines: list[str]) -> bool:
    """Whether these lines are among those that were printed, in this order."""
    there = iter(printed.splitlines())
    return all(any(re.fullmatch(_pattern(line), one.rstrip()) for one in there) for line in lines)
