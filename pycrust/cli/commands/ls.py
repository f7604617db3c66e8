"""`pycrust ls`: which endpoints live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrust._extension import live_endpoints
from pycrust.cli.command import Command, Status, say, say_json

if TYPE_CHECKING:
    import argparse


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write a JSON array with an object for each")


def _run(options: argparse.Namespace) -> Status:
    owners = live_endpoints()
    if options.json:
        say_json(owners)
        return Status.WELL
    for owner in owners:
        notebook = f" · {owner['notebook']}" if owner.get("notebook") else ""
        say(f"{owner['endpoint']} · pid {owner['pid']}{notebook}")
    return Status.WELL


COMMAND = Command("ls", "list the live endpoints", "  pycrust ls", _arguments, _run)
