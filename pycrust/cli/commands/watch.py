"""`pycrust watch`: a line a second, for a log."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

import click

from pycrust._extension import live_endpoints
from pycrust.cli.asking import PATIENCE, client_name, others, unreachable
from pycrust.cli.command import Status, command, json_option, say, say_json_line, seconds_option
from pycrust.cli.names import endpoint_argument
from pycrust.cli.numbers import Interval
from pycrust.client import RpcClient
from pycrust.errors import RpcError
from pycrust.text.statistics import counted, duration

_EXAMPLE = """\
  pycrust watch calculator
  pycrust watch calculator --interval 10 --json >> calculator.log
  pycrust watch calculator --count 1"""


@command("watch", "write a line a second about an endpoint", _EXAMPLE)
@endpoint_argument
@seconds_option("--interval", 1.0, "the time between two lines", 0.05)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="end after so many lines")
@json_option("write each as a line of JSON")
def run(name: str, interval: float, count: int | None, *, as_json: bool) -> Status:
    """Writes rate, errors, percentiles as the clients measured them, calls in flight, clients and versions.

    Percentiles are of the last one to two seconds. The worker answers without its interpreter. While there is no
    worker, that is what the line says.
    """
    own = client_name()
    numbers = itertools.count() if count is None else range(count)
    try:
        client = RpcClient(name, timeout=min(PATIENCE, max(interval, 0.5)), client_name=own)
    except RpcError as error:
        raise unreachable(name, error) from error
    with client:
        before = _stats(client)
        due = time.monotonic()
        for _ in numbers:
            due += interval
            time.sleep(max(0.0, due - time.monotonic()))
            now = _stats(client)
            if isinstance(now, str):
                told: dict[str, Any] = {"endpoint": name, "gone": now}
            else:
                told = _told(Interval(before if isinstance(before, dict) else now, now), own)
            before = now
            told = {"time": datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"), **told}
            if as_json:
                say_json_line(told)
            else:
                say(_line(told))
    return Status.WELL


def _stats(client: RpcClient) -> dict[str, Any] | str:
    """The worker's statistics, or why there are none."""
    try:
        return client.request("pycrust.stats").call()
    except RpcError as error:
        served = any(owner["endpoint"] == client.name for owner in live_endpoints())
        return f"it doesn't answer: {error}" if served else "no worker serves it"


def _told(interval: Interval, own: str) -> dict[str, Any]:
    """What a line says of the time between two looks at the statistics."""
    now, calls = interval.now, interval.gained_in_all("calls")
    return {
        "endpoint": now["endpoint"],
        "pid": now["pid"],
        "rate": interval.rate(calls),
        "calls": calls,
        "errors": interval.gained_in_all("errors"),
        "round_trip": now["latest"],
        "in_flight": interval.in_flight,
        "clients": len(others(now, own)),
        "versions": {one["name"]: one["version"] for one in interval.methods},
    }


def _line(told: dict[str, Any]) -> str:
    if "gone" in told:
        return f"{told['time'][11:19]}  {told['endpoint']}: {told['gone']}"
    trip = told["round_trip"]
    times = [f"{label} {duration(trip[f'{label}_ns']) if trip['count'] else '-'}" for label in ("p50", "p99")]
    parts = [
        told["time"][11:19],
        f"{told['rate']:,.1f} calls/s",
        click.style(counted(told["errors"], "error"), fg="red" if told["errors"] else None),
        *times,
        f"{told['in_flight']} in flight",
        counted(told["clients"], "client"),
        " ".join(f"{method} v{version}" for method, version in told["versions"].items()),
    ]
    return "  ".join(parts).rstrip()
