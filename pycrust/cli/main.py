"""Finds the command, runs it and gives its exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from typing import TYPE_CHECKING

from pycrust.cli import commands
from pycrust.cli.command import Command, CommandError, Status, remark

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUSES = "exit status: 0 well, 1 a difference or an error, 2 wrong usage, 3 no such endpoint"
#: As a shell has it for a program that an interrupt has ended.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: What follows the program's name; by default the process' own.

    Returns:
        The exit status.

    Raises:
        SystemExit: The usage is wrong, or only help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="pycrust",
        description="Looks at the endpoints that live processes of this user serve.",
        epilog=_STATUSES,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _commands():
        own = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"example:\n{command.example}\n\n{_STATUSES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(own)
        own.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except CommandError as error:
        remark(f"pycrust {options.command}: {error}")
        return int(error.status)
    except BrokenPipeError:
        # Whoever read the answer has read enough; Python would say so once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Status.WELL)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _commands() -> list[Command]:
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return [importlib.import_module(f"{commands.__name__}.{name}").COMMAND for name in names]
