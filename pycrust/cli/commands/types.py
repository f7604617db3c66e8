"""`pycrust types`: a Rust module with a typed client of an endpoint, and the lock file."""

from __future__ import annotations

from pathlib import Path

import click

from pycrust.cli.command import CommandError, Status, command
from pycrust.cli.generating import Wanted, generate, generating_options
from pycrust.schemas.rust import rust_module

_EXAMPLE = """\
  pycrust types calculator                                   # the module, to standard output
  pycrust types calculator --lock calculator.schema.json -o src/calculator.rs
  pycrust types calculator.schema.json -o src/calculator.rs  # without a worker
  pycrust types calculator --lock calculator.schema.json --check"""


@command("types", "make a typed Rust client of an endpoint", _EXAMPLE)
@generating_options("Rust module")
@click.option(
    "--lock",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="write the schemas there, for a repository (-: to standard output); the module then only with -o",
)
def run(source: str, output: Path | None, lock: Path | None, *, check: bool, as_json: bool) -> Status:
    """Makes a Rust module with a typed client, and the lock file.

    It is made of what a running endpoint says of itself, or of a lock file: a path with a / in it, or that ends in
    .json.
    """
    if check and lock is None and output is None:
        raise CommandError("--check compares a file: give it with --lock or -o", Status.WRONG_USAGE)
    return generate(Wanted(source, output, check, as_json), rust_module, lock)
