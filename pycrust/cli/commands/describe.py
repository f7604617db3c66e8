"""`pycrust describe`: what an endpoint can do."""

from __future__ import annotations

from typing import Any

from pycrust.cli.asking import ask, client_name, connected, others
from pycrust.cli.command import Status, command, json_option, say, say_json
from pycrust.cli.names import endpoint_argument
from pycrust.schemas.lock import Lock
from pycrust.schemas.outline import signature
from pycrust.text.statistics import counted

_EXAMPLE = """\
  pycrust describe calculator
  pycrust describe calculator --json    # with the schemas"""


@command("describe", "show an endpoint's methods, their signatures and versions", _EXAMPLE)
@endpoint_argument
@json_option("write an object with the schemas, too")
def run(name: str, *, as_json: bool) -> Status:
    """Shows what can be called: methods with their signatures, versions, schema hashes and limits.

    The worker answers without its interpreter, also while a cell is busy.
    """
    with connected(name) as client:
        health, methods, stats = (ask(client, question) for question in ("health", "methods", "stats"))
    limits = {method["name"]: method["concurrency"] for method in stats["methods"]}
    told = [_method(name, method, limits.get(method["name"], 0)) for method in methods]
    clients = others(stats, client_name())
    if as_json:
        recorder = stats["recorder"]
        say_json({**health, "methods": told, "clients": clients, "recorder": recorder})
        return Status.WELL
    recording = "records its calls" if stats["recorder"]["on"] else "records no calls"
    said = [f"pid {health['pid']}", health["status"], counted(len(told), "method"), counted(len(clients), "client")]
    say(f"{name} · {' · '.join(said)} · {recording}")
    for method in told:
        say(f"\n{method['signature']}")
        if method["doc"]:
            say(f"    {method['doc']}")
        at_once = f"{counted(method['concurrency'], 'call')} at once"
        say(f"    version {method['version']} · schema {method['hash']} · {at_once}")
    return Status.WELL


def _method(endpoint: str, told: dict[str, Any], concurrency: int) -> dict[str, Any]:
    """What is told of a method: as in a lock file, with its signature and how many calls of it may run."""
    (entry,) = Lock.of_answer(endpoint, [told]).methods.values()
    own = str(told["name"])
    return {"name": own, "signature": signature(own, entry), **entry, "concurrency": concurrency}
