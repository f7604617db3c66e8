"""What the commands share that make source of schemas: where it goes, and whether it is there already."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.command import Status, json_option, remark, say, say_json
from pycrust.cli.names import Source
from pycrust.cli.sources import lock_of, read_lock, text_in, write
from pycrust.schemas.differences import differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrust.schemas.differences import Difference
    from pycrust.schemas.lock import Lock


def generating_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds what they all take.

    Args:
        what: What is made.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        options = [
            click.argument("source", metavar="NAME|LOCKFILE", type=Source()),
            click.option(
                "-o",
                "--output",
                metavar="FILE",
                type=click.Path(path_type=Path),
                help=f"write the {what} there, if it differs",
            ),
            click.option(
                "--check",
                is_flag=True,
                help="write nothing; end with 1 and what differs if a file is not up to date",
            ),
            json_option(),
        ]
        for option in reversed(options):
            function = option(function)
        return function

    return add


@dataclass(frozen=True)
class Wanted:
    """What a command is asked for.

    Attributes:
        source: Where the schemas are.
        output: Where the source goes; `None` is to standard output.
        check: Whether files are only looked at.
        as_json: Whether the answer is JSON.
    """

    source: str
    output: Path | None
    check: bool
    as_json: bool


@dataclass
class Report:
    """What a command has done or found."""

    lock: Lock
    #: Files that were written, and that were up to date.
    written: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    #: Files that are not up to date, and how the schemas differ.
    outdated: list[str] = field(default_factory=list[str])
    differences: list[Difference] = field(default_factory=list["Difference"])
    source: str | None = None

    def put(self, path: Path, text: str) -> None:
        """Writes a file if it differs."""
        (self.written if write(path, text) else self.unchanged).append(str(path))

    def compare(self, path: Path, text: str) -> None:
        """Looks whether a file is up to date."""
        (self.unchanged if text_in(path) == text else self.outdated).append(str(path))

    def tell(self, *, as_json: bool) -> Status:
        """Writes the answer."""
        if as_json:
            say_json(self._as_json())
        else:
            self._say()
        return Status.DIFFERENT if self.outdated else Status.WELL

    def _as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "endpoint": self.lock.endpoint,
            "methods": list(self.lock.methods),
            "written": self.written,
            "unchanged": self.unchanged,
            "outdated": self.outdated,
            "differences": [one.as_json() for one in self.differences],
        }
        return told if self.source is None else {**told, "source": self.source}

    def _say(self) -> None:
        if self.source is not None:
            say(self.source.removesuffix("\n"))
        for path in self.outdated:
            say(f"{path} is not up to date")
        for one in self.differences:
            say(f"  {one}")
        for path in self.written:
            remark(f"{path}: written")
        for path in self.unchanged:
            remark(f"{path}: up to date")


def generate(wanted: Wanted, make: Callable[[Lock], str], lock_file: Path | None) -> Status:
    """Makes source of schemas and writes it, or looks whether what was written is up to date.

    Args:
        wanted: What the command is asked for.
        make: What makes it.
        lock_file: Where the schemas go; `None` is nowhere.
    """
    lock = lock_of(wanted.source)
    before = read_lock(lock_file) if lock_file is not None and lock_file.is_file() else None
    if before is not None:
        lock = lock.over(before)
    report = Report(lock)
    put = report.compare if wanted.check else report.put
    if lock_file == Path("-"):
        say(lock.text().removesuffix("\n"))
    elif lock_file is not None:
        put(lock_file, lock.text())
    if wanted.output is not None:
        put(wanted.output, make(lock))
    if lock_file is None and wanted.output is None:
        report.source = make(lock)
    if wanted.check and before is not None:
        report.differences = differences(before, lock)
    return report.tell(as_json=wanted.as_json)
