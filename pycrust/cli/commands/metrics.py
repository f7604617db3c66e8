"""`pycrust metrics`: what endpoints have counted, for Prometheus."""

from __future__ import annotations

import math
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from pycrust._extension import MetricsServer, encode, live_endpoints, metrics_text
from pycrust.cli.command import CommandError, Status, command, json_option, remark, say, say_json
from pycrust.cli.names import EndpointName
from pycrust.client import RpcClient
from pycrust.errors import RpcError, Unavailable
from pycrust.text.addresses import listening_address

if TYPE_CHECKING:
    from types import FrameType

#: What the worker answers by itself.
METHOD = "pycrust.metrics"
#: Seconds that a worker has to answer a scrape. Prometheus gives one 10 s, for all of them.
_PATIENCE = 2.0
#: Workers that are asked at the same time.
_AT_ONCE = 16
_FORMATS = ("prometheus", "openmetrics")


@command(
    "metrics",
    "print an endpoint's metrics, or serve those of all",
    "  pycrust metrics calculator\n  pycrust metrics calculator --format openmetrics\n"
    "  pycrust metrics --listen 127.0.0.1:9464",
)
@click.argument("name", type=EndpointName(), required=False)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="prometheus", help="the text's format")
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="answer GET /metrics there for all live endpoints of this user, until interrupted; 0 is any free port",
)
@json_option("write the metrics, or where they are served, as JSON")
def run(*, name: str | None, form: str, listen: str | None, as_json: bool) -> Status:
    """Prints an endpoint's metrics as Prometheus reads them, without the worker's interpreter.

    With --listen, serves those of all live endpoints of this user in one place; NAME then serves one alone.
    """
    if listen is not None:
        return _serve(listen, name, as_json=as_json)
    if name is None:
        raise click.UsageError("give an endpoint's NAME, or --listen")
    try:
        answer = ask(name, math.inf)
    except Unavailable as error:
        raise CommandError(str(error), Status.NO_ENDPOINT) from error
    except RpcError as error:
        raise CommandError(f"{name} doesn't tell its metrics: {error}") from error
    if as_json:
        say_json(answer)
    else:
        say(metrics_text([(name, encode(answer))], openmetrics=form == "openmetrics").removesuffix("\n"))
    return Status.WELL


def ask(name: str, patience: float) -> Any:
    """An endpoint's answer to `pycrust.metrics`.

    Raises:
        RpcError: It gives none within `patience` seconds, or nobody serves the name.
    """
    with RpcClient(name, timeout=min(patience, 30.0), client_name="pycrust metrics") as client:
        return client.call(METHOD)


def _serve(listen: str, only: str | None, *, as_json: bool) -> Status:
    try:
        address = listening_address(int(listen) if listen.isascii() and listen.isdigit() else listen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    with ThreadPoolExecutor(_AT_ONCE, "pycrust-ask") as asking:

        def collect() -> list[tuple[str, bytes | None]]:
            names = [only] if only else sorted({owner["endpoint"] for owner in live_endpoints()})
            return list(zip(names, asking.map(_answer, names), strict=True))

        try:
            server = MetricsServer(address, collect)
        except OSError as error:
            raise CommandError(f"--listen {listen}: {error}. Give a port that no other program has") from error
        try:
            url = f"http://{server.address}/metrics"
            if as_json:
                say_json({"url": url})
            else:
                remark(f"serving the metrics of {only or 'all live endpoints'} at {url}")
            while not ended.wait(1.0):
                pass
        finally:
            server.stop()
            for number, handler in before.items():
                signal.signal(number, handler)
    return Status.WELL


def _answer(name: str) -> bytes | None:
    try:
        return encode(ask(name, _PATIENCE))
    except RpcError:
        return None  # said by a metric of its own
