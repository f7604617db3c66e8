"""`python -m pycrust ls`: the endpoints that live processes of this user serve."""

from __future__ import annotations

import argparse
import sys

from pycrust._extension import live_endpoints


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pycrust", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ls", help="list the live endpoints")
    parser.parse_args(arguments)
    for owner in live_endpoints():
        notebook = f" · {owner['notebook']}" if owner.get("notebook") else ""
        print(f"{owner['endpoint']} · pid {owner['pid']}{notebook}")  # noqa: T201 - the command's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
