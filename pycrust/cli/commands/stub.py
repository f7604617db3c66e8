"""`pycrust stub`: a Python module with a typed client of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrust.cli.command import CommandError, Status, command
from pycrust.cli.generating import Wanted, generate, generating_options
from pycrust.schemas.stub import python_stub

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLE = """\
  pycrust stub calculator                    # the module, to standard output
  pycrust stub calculator -o calculator.py   # then: from calculator import Calculator
  pycrust stub calculator.schema.json -o calculator.py --check"""


@command("stub", "make a typed Python client of an endpoint", _EXAMPLE)
@generating_options("Python module")
def run(source: str, output: Path | None, *, check: bool, as_json: bool) -> Status:
    """Makes a Python module with a typed client.

    It is made of what a running endpoint says of itself, or of a lock file: a path with a / in it, or that ends in
    .json.
    """
    if check and output is None:
        raise CommandError("--check compares a file: give it with -o", Status.WRONG_USAGE)
    if output is not None and output.suffix == ".pyi":
        raise CommandError(
            f"the client is a module that runs, not only types: give -o {output.with_suffix('.py')}",
            Status.WRONG_USAGE,
        )
    return generate(Wanted(source, output, check, as_json), python_stub, None)
