"""`pycrust health`: whether an endpoint serves, for probes."""

from __future__ import annotations

from typing import Any

import click

from pycrust._extension import live_endpoints
from pycrust.cli.asking import client_name
from pycrust.cli.command import Status, command, json_option, remark, say, say_json, seconds_option
from pycrust.cli.names import endpoint_argument
from pycrust.cli.values import arguments
from pycrust.client import RpcClient
from pycrust.errors import RpcError
from pycrust.text.statistics import span

_EXAMPLE = """\
  pycrust health calculator                                    # a liveness probe: asks the worker alone
  pycrust health calculator --ready add '{"a": 1, "b": 2}'     # a readiness probe: runs a handler"""


@command("health", "say whether an endpoint serves, for probes", _EXAMPLE)
@endpoint_argument
@click.argument("args", metavar="[JSON|@FILE|-]", required=False)
@click.option("--ready", metavar="METHOD", help="run this handler, with the arguments given")
@seconds_option("--timeout", 1.0, "the time that the worker has, for each question")
@json_option()
def run(name: str, args: str | None, ready: str | None, timeout: float, *, as_json: bool) -> Status:
    """Ends with 0 if the endpoint serves, and says why not otherwise.

    The worker answers without its interpreter, so that a busy cell is no failure; --ready runs a real handler,
    which needs it.
    """
    if args is not None and ready is None:
        raise click.UsageError("the arguments are for a handler: name it with --ready")
    given, named = arguments(args)
    health: dict[str, Any] = {}
    try:
        with RpcClient(name, timeout=timeout, client_name=client_name(), lazy=True) as client:
            health = client.request("pycrust.health").call()
            why = "" if health["status"] == "serving" else f"it is {health['status']}"
            if ready is not None and not why:
                why = _unready(client, ready, given, named)
        status = Status.DIFFERENT if why else Status.WELL
    except RpcError as error:
        why = error.message
        served = any(owner["endpoint"] == name for owner in live_endpoints())
        status = Status.DIFFERENT if served else Status.NO_ENDPOINT
    if as_json:
        say_json({"well": not why, "reason": why, **health})
    elif why:
        remark(f"{name} is not well: {why}")
    else:
        what = "serving" if ready is None else f"serving, and {ready} answers"
        say(f"{name} · pid {health['pid']} · {what} · up for {span(health['uptime_ns'])}")
    return status


def _unready(client: RpcClient, method: str, given: list[Any], named: dict[str, Any]) -> str:
    """Why a handler doesn't answer; empty if it does."""
    try:
        client.ready(method, *given, **named)
    except RpcError as error:
        return f"{method} fails with {error.code.name}: {error}"
    return ""
