"""`pycrust ls`: which endpoints live, and how they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from pycrust._extension import live_endpoints, stale_endpoints
from pycrust.cli.asking import client_name, others
from pycrust.cli.command import Status, command, json_option, remark, say, say_json
from pycrust.client import RpcClient
from pycrust.errors import Code, RpcError
from pycrust.text.statistics import duration
from pycrust.text.table import Table

#: Seconds that each worker has to say how it is; all are asked at once.
_PATIENCE = 1.0
#: Workers that are asked at once.
_AT_ONCE = 32
#: Nanoseconds that a call waits for the interpreter beyond which somebody holds it.
_HELD_NS = 100_000_000
_EXAMPLE = """\
  pycrust ls
  pycrust ls --all --json    # with those whose process has died"""


@command("ls", "list the live endpoints", _EXAMPLE)
@click.option("--all", "everything", is_flag=True, help="also endpoints whose process has died and left its lock")
@json_option("write a JSON array with an object for each")
def run(*, everything: bool, as_json: bool) -> Status:
    """Lists the endpoints that live processes of this user serve.

    The state is serving, stopping, "interpreter held" (a call has waited for it for more than 0.1 s), silent (it is
    there and answers nothing) or dead. A dead one's remains are removed as soon as they were listed.
    """
    stale = stale_endpoints() if everything else []
    rows = _asked(live_endpoints()) + [{**owner, "state": "dead"} for owner in stale]
    if as_json:
        say_json(rows)
    elif rows:
        say(
            str(
                Table(
                    ("endpoint", "pid", "state", "methods", "clients", "notebook"),
                    [_cells(row) for row in rows],
                    left={0, 2, 5},
                )
            )
        )
    else:
        remark("no endpoint lives")
    return Status.WELL


def _asked(owners: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = client_name()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        states = threads.map(_state, [owner["endpoint"] for owner in owners], [own] * len(owners))
        return [{**owner, **state} for owner, state in zip(owners, states, strict=True)]


def _state(name: str, own: str) -> dict[str, Any]:
    """What a worker says of itself within its time."""
    try:
        with RpcClient(name, timeout=_PATIENCE, client_name=own, lazy=True) as client:
            health = client.request("pycrust.health").call()
            stats = client.request("pycrust.stats").call()
    except RpcError as error:
        # One that has ended since it was listed is no live one any more.
        return {"state": "silent" if error.code is Code.DEADLINE_EXCEEDED else "gone", "reason": error.message}
    waiting_ns = health.get("waiting_ns", 0)  # an older worker does not say it
    held = health["status"] == "serving" and waiting_ns > _HELD_NS
    return {
        "state": "interpreter held" if held else health["status"],
        "waiting_ns": waiting_ns,
        "uptime_ns": health["uptime_ns"],
        "methods": [method["name"] for method in stats["methods"]],
        "clients": len(others(stats, own)),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = str(row["state"])
    if state == "interpreter held":
        state = f"interpreter held for {duration(row['waiting_ns'])}"
    methods, clients = row.get("methods"), row.get("clients")
    return (
        row["endpoint"],
        str(row["pid"]),
        state,
        "-" if methods is None else str(len(methods)),
        "-" if clients is None else str(clients),
        row.get("notebook") or "",
    )
