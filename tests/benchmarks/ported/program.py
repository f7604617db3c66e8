"""What a ported program is: cases, and the ways in which each of them is done, today's and this project's.

A `program_*.py` here has one, as `PROGRAM`. Both sides of a way are processes that speak two lines:

- The worker prints `ready`, and behind it on the same line where it listens, if its caller has to be told. It
  serves until its standard input ends.
- The caller prints `ready` once it is connected. For each line of its standard input, which is a number of seconds,
  it makes calls for so long and then prints a line of JSON: `round_trip_ns`, a list with the time of each call, and
  `errors`, a number. It ends with its standard input.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent.parent
#: This project's example programs, and the callers of other transports that are in Rust.
EXAMPLES = ROOT / "target" / "release" / "examples"
CALLERS = ROOT / "target" / "ported" / "release"

Command = list[str]


@dataclass(frozen=True)
class Way:
    """One way of doing what a program does."""

    #: What the table calls it: the transport, and in what the caller is written.
    name: str
    #: The caller's command; it is told where the worker listens.
    caller: Callable[[str], Command]
    #: The worker's command; none where the caller starts what it needs, as its own child processes.
    worker: Command | None = None
    #: Whether it is this project's.
    ours: bool = False


@dataclass(frozen=True)
class Program:
    """A program as it is used, and what is measured of it."""

    #: Its folder in `client-rs/examples`, and its name in tables.
    name: str
    #: What one call is, for the head of its table.
    call: str
    #: Each case with its ways.
    cases: dict[str, list[Way]]
    #: Distributions and crates whose versions the table names.
    packages: tuple[str, ...] = ()
    #: Modules without which it is left out.
    needs: tuple[str, ...] = ()

    @property
    def readme(self) -> Path:
        """The page that has its table."""
        return ROOT / "client-rs" / "examples" / self.name / "README.md"


def python(module: str, *options: object) -> Command:
    """A module of this folder as a program."""
    return [sys.executable, "-m", f"tests.benchmarks.ported.{module}", *map(str, options)]


def example(name: str, *options: object) -> Command:
    """One of this project's example programs."""
    return [str(EXAMPLES / name), *map(str, options)]


def beside(name: str, script: str, *cells: str) -> Command:
    """The Python side of an example program, which stands beside it, as a worker; these cells run in it first."""
    return python("serve", ROOT / "client-rs" / "examples" / name / script, *cells)


def caller(name: str, *options: object) -> Command:
    """A caller of another transport that is written in Rust (`tests/benchmarks/ported/callers`)."""
    return [str(CALLERS / name), *map(str, options)]
