"""The blocks of code of a page, and what invisible comments say of how each of them is run.

A block is run as what its fence says it is, after those above it on the same page:

| fence | what is done |
|---|---|
| `python` | a cell of the page's own kernel |
| `rust` | compiled against the client with every other one; a program (`fn main`) is run, too |
| `sh` | run by `sh -e` in the page's own folder, and ends with 0 |
| `console` | each command after `$ `; what stands below it is what it prints |
| `text` | what the block above has printed |
| `json`, `toml`, `yaml`, `ini` | parsed |

In what is expected `…` is anything, and a line of it alone is any lines. A comment behind `print(…)` and
`println!(…)` is what that prints.

A comment right above a block says more:

| comment | what it means |
|---|---|
| `<!-- file: NAME -->` | the block is written to this file of the page's folder, and that is all |
| `<!-- background: LINES -->` | goes on until the page ends; the next block waits for so many of its lines |
| `<!-- raises: NAME -->` | the cell ends with this exception |
| `<!-- endpoint: NAME -->` | these lines of Rust are run, with a `client` of this endpoint |
| `<!-- part of: FILE -->` | its lines stand in this file, in this order |
| `<!-- not run: WHY -->` | it can't be run |
| `<!-- python`, `<!-- sh` and lines | run like a block, and shown to nobody |
| `<!-- rust` and lines | what surrounds the next block; `@block` is its place |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = {"python", "rust", "sh", "console"}
PARSED = {"json", "toml", "yaml", "ini"}
KINDS = RUN | PARSED | {"text"}
#: What comments may say, and whether a value belongs to it.
MARKS = {
    "file": True, "background": True, "raises": True, "endpoint": True, "part of": True, "not run": True,
}  # fmt: skip
#: A page with this comment has a test of its own.
_ELSEWHERE = re.compile(r"<!-- tested by: (\S+) -->")
_PIECE = re.compile(r"^<!--\s*(.*?)\s*-->[ \t]*\n|^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile(r"(python|sh|rust)\n(.*)", re.DOTALL)


@dataclass
class Block:
    """Code between two fences, or in a comment."""

    page: str
    line: int
    kind: str
    text: str
    hidden: bool = False
    marks: dict[str, str] = field(default_factory=dict)
    #: What surrounds these lines of Rust.
    around: str = ""

    @property
    def place(self) -> str:
        """Where it begins."""
        return f"{self.page}:{self.line}"

    @property
    def name(self) -> str:
        """As a module of Rust may be named."""
        return re.sub(r"\W", "_", self.page.removesuffix(".md").lower()) + f"_{self.line}"

    @property
    def is_program(self) -> bool:
        """Whether it is a whole program of Rust."""
        return re.search(r"^(?:async )?fn main\(", self.text, re.MULTILINE) is not None


def documents() -> list[Path]:
    """The pages whose blocks are run."""
    return [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    """How a page is called here."""
    return path.relative_to(ROOT).as_posix()


def elsewhere(text: str) -> str | None:
    """The test that a page has for itself."""
    found = _ELSEWHERE.search(text)
    return found[1] if found else None


def blocks(text: str, page: str) -> list[Block]:
    """The blocks of a page, from top to bottom.

    Raises:
        ValueError: A comment says what none may say, or a block has no kind or one that nobody runs.
    """
    return list(_blocks(text, page))


def _blocks(text: str, page: str) -> Iterator[Block]:
    marks: dict[str, str] = {}
    around, end = "", 0
    for piece in _PIECE.finditer(text):
        if text[end : piece.start()].strip():
            marks, around = {}, ""  # they are of what follows right after them
        end = piece.end()
        said, kind, code = piece.groups()
        line = text.count("\n", 0, piece.start()) + 1
        if said is None:
            if kind not in KINDS:
                raise ValueError(f"{page}:{line}: nobody runs a block of kind {kind!r}")
            yield Block(page, line, kind, code, marks=marks, around=around)
            marks, around = {}, ""
        elif hidden := _HIDDEN.fullmatch(said):
            if hidden[1] == "rust":
                around = hidden[2]
            else:
                yield Block(page, line, hidden[1], hidden[2] + "\n", hidden=True, marks=marks)
                marks = {}
        elif not _ELSEWHERE.fullmatch(piece[0].strip()):
            key, colon, value = said.partition(":")
            if MARKS.get(key) != bool(colon):
                raise ValueError(f"{page}:{line}: no comment says {said!r}")
            marks[key] = value.strip()
    fences = len(re.findall(r"^\s*```", text, re.MULTILINE))
    seen = sum(piece[2] is not None for piece in _PIECE.finditer(text))
    if fences != 2 * seen:
        raise ValueError(f"{page}: a fence is indented, or never closed")
