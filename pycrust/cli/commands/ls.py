"""`pycrust ls`: which endpoints live."""

from __future__ import annotations

from pycrust._extension import live_endpoints
from pycrust.cli.command import Status, command, json_option, say, say_json


@command("ls", "list the live endpoints", "  pycrust ls")
@json_option("write a JSON array with an object for each")
def run(*, as_json: bool) -> Status:
    """Lists the endpoints that live processes of this user serve."""
    owners = live_endpoints()
    if as_json:
        say_json(owners)
        return Status.WELL
    for owner in owners:
        notebook = f" · {owner['notebook']}" if owner.get("notebook") else ""
        say(f"{owner['endpoint']} · pid {owner['pid']}{notebook}")
    return Status.WELL
