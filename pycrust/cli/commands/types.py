"""`pycrust types`: a Rust module with a typed client of an endpoint, and the lock file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pycrust.cli.command import Command, CommandError, Status
from pycrust.cli.generating import add_arguments, generate
from pycrust.schemas.rust import rust_module

if TYPE_CHECKING:
    import argparse

_EXAMPLE = """\
  pycrust types calculator                                   # the module, to standard output
  pycrust types calculator --lock calculator.schema.json -o src/calculator.rs
  pycrust types calculator.schema.json -o src/calculator.rs  # without a worker
  pycrust types calculator --lock calculator.schema.json --check"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, "Rust module")
    parser.add_argument(
        "--lock",
        metavar="FILE",
        type=Path,
        help="write the schemas there, for a repository (-: to standard output); the module then only with -o",
    )


def _run(options: argparse.Namespace) -> Status:
    if options.check and options.lock is None and options.output is None:
        raise CommandError("--check compares a file: give it with --lock or -o", Status.WRONG_USAGE)
    return generate(options, rust_module, options.lock)


COMMAND = Command("types", "make a typed Rust client of an endpoint", _EXAMPLE, _arguments, _run)
