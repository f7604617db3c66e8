"""What a command is, and how commands end."""

from __future__ import annotations

import enum
import json
import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

#: How each `--help` ends.
STATUSES = "exit status: 0 well, 1 a difference or an error, 2 wrong usage, 3 no such endpoint"


class Status(enum.IntEnum):
    """How a command ended, for the shell."""

    WELL = 0
    #: A difference was found, or something failed.
    DIFFERENT = 1
    WRONG_USAGE = 2
    NO_ENDPOINT = 3


class CommandError(Exception):
    """A command can't go on.

    Args:
        message: Why, and what to do.
        status: How it ends.
    """

    def __init__(self, message: str, status: Status = Status.DIFFERENT) -> None:
        """Keeps both."""
        super().__init__(message)
        self.status = status


class Command(click.Command):
    """One command: its `--help` ends with an example.

    Attributes:
        example: How it is used, a line for each way.
    """

    example: str = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the example as it stands."""
        del ctx
        formatter.write(f"\nexample:\n{self.example}\n\n{STATUSES}\n")


def command(name: str, summary: str, example: str) -> Callable[[Callable[..., Status]], Command]:
    """Makes a command of a function that returns how it ended; its docstring is the command's help.

    Args:
        name: What it is called by.
        summary: One line about it, for the list of commands.
        example: How it is used, for `--help`; lines that begin with two spaces.

    Returns:
        A decorator. A module of `pycrust.cli.commands` names what it makes `run`.
    """

    def make(function: Callable[..., Status]) -> Command:
        made = click.command(name, cls=Command, short_help=summary)(function)
        made.example = example
        return made

    return make


def json_option(what: str = "write the answer as JSON") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--json`, as `as_json`.

    Args:
        what: What it does, for `--help`.
    """
    return click.option("--json", "as_json", is_flag=True, help=what)


def seconds_option(
    name: str, default: float, what: str, least: float = 0.0
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that is a time in seconds and has a default.

    Args:
        name: With its dashes.
        default: Seconds.
        what: What it is, for `--help`.
        least: The least that it may be.
    """
    return click.option(
        name, type=click.FloatRange(min=least), metavar="SECONDS", default=default, show_default=True, help=what
    )


def color() -> bool | None:
    """Whether to write colours: never with `NO_COLOR`, otherwise where a terminal is written to (`None`)."""
    return False if os.environ.get("NO_COLOR") else None


def safe(text: str) -> str:
    r"""A text that somebody else has sent, without what a terminal would take for a command.

    Examples:
        >>> print(safe("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


def say(text: str) -> None:
    """Writes a line of a command's answer."""
    click.echo(text)


def say_json(answer: Any) -> None:
    """Writes a command's answer as JSON."""
    say(json.dumps(answer, indent=2, ensure_ascii=False, default=str))


def say_json_line(answer: Any) -> None:
    """Writes one of a command's answers as a line of JSON."""
    say(json.dumps(answer, ensure_ascii=False, default=str))


def remark(text: str) -> None:
    """Writes a line beside the answer, which may go into a file."""
    click.echo(text, err=True)
