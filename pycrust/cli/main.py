"""Finds the command, runs it and gives its exit status."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

import click

from pycrust._extension import PROTOCOL_VERSION, VERSION
from pycrust.cli import commands
from pycrust.cli.command import STATUSES, CommandError, Status, color, remark

if TYPE_CHECKING:
    from collections.abc import Sequence

#: As a shell has it for a program that an interrupt has ended.
_INTERRUPTED = 130


class _Commands(click.Group):
    """Every module of `pycrust.cli.commands`, imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"{commands.__name__}.{cmd_name}").run
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            remark(f"pycrust {ctx.invoked_subcommand}: {error}")
            return error.status
        except BrokenPipeError:
            # Whoever read the answer has read enough; Python would say so once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Status.WELL
        except KeyboardInterrupt:
            return _INTERRUPTED


#: The command line.
COMMANDS = _Commands(
    "pycrust",
    help="Looks at the endpoints that live processes of this user serve, and calls them.",
    epilog=f"{STATUSES}. `python -m pycrust` is the same program, also where another one is called pycrust.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    subcommand_metavar="COMMAND [ARGUMENTS]...",
)
click.version_option(VERSION, message=f"%(prog)s %(version)s, protocol {PROTOCOL_VERSION}")(COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: What follows the program's name; by default the process' own.

    Returns:
        The exit status.
    """
    try:
        return int(
            COMMANDS.main(
                None if arguments is None else list(arguments),
                prog_name="pycrust",
                standalone_mode=False,
                color=color(),
            )
            or 0
        )
    except click.ClickException as error:
        error.show()
        return int(Status.WRONG_USAGE)
    except click.Abort:
        return _INTERRUPTED
