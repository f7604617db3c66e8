"""What a command is, and how commands end."""

from __future__ import annotations

import enum
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


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


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: What it is called by.
        summary: One line about it.
        example: How it is used, for `--help`.
        arguments: Adds its arguments to a parser.
        run: Runs it.
    """

    name: str
    summary: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Status]


def say(text: str) -> None:
    """Writes a line of a command's answer."""
    print(text)  # noqa: T201 - the command's output


def say_json(answer: Any) -> None:
    """Writes a command's answer as JSON."""
    say(json.dumps(answer, indent=2, ensure_ascii=False, default=str))


def remark(text: str) -> None:
    """Writes a line beside the answer, which may go into a file."""
    print(text, file=sys.stderr)  # noqa: T201 - for whoever runs the command
