"""`pycrust stub`: a Python module with a typed client of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrust.cli.command import Command, CommandError, Status
from pycrust.cli.generating import add_arguments, generate
from pycrust.schemas.stub import python_stub

if TYPE_CHECKING:
    import argparse

_EXAMPLE = """\
  pycrust stub calculator                    # the module, to standard output
  pycrust stub calculator -o calculator.py   # then: from calculator import Calculator
  pycrust stub calculator.schema.json -o calculator.py --check"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, "Python module")


def _run(options: argparse.Namespace) -> Status:
    if options.check and options.output is None:
        raise CommandError("--check compares a file: give it with -o", Status.WRONG_USAGE)
    if options.output is not None and options.output.suffix == ".pyi":
        raise CommandError(
            f"the client is a module that runs, not only types: give -o {options.output.with_suffix('.py')}",
            Status.WRONG_USAGE,
        )
    return generate(options, python_stub, None)


COMMAND = Command("stub", "make a typed Python client of an endpoint", _EXAMPLE, _arguments, _run)
