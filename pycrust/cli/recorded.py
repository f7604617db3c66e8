"""The recorded calls of a live endpoint, for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.asking import ask
from pycrust.cli.command import CommandError
from pycrust.traffic.filters import Filter, FilterError, parse
from pycrust.traffic.remote import RemoteTraffic, TrafficAnswerError

if TYPE_CHECKING:
    from pycrust.client import RpcClient


def chosen_by(text: str) -> Filter:
    """The filter of a command line.

    Raises:
        click.UsageError: It can't be read; the message points at what is wrong.
    """
    try:
        return parse(text)
    except FilterError as error:
        raise click.UsageError(str(error)) from error


def reader(client: RpcClient, *, after: int | None) -> RemoteTraffic:
    """Reads the calls of an endpoint that records them, or holds some.

    Args:
        client: Asks the worker.
        after: The number of the last call that is known; `None` is the last one.

    Raises:
        CommandError: It records none.
    """

    def page(known: int, most: int) -> Any:
        return ask(client, "traffic", known, most)

    traffic = RemoteTraffic(client.name, page, after)
    try:
        traffic.begin()
        holds = bool(RemoteTraffic(client.name, lambda known, _: page(known, 1)).page())
    except TrafficAnswerError as error:
        raise CommandError(str(error)) from error
    if not traffic.recording and not (holds and after is not None):
        raise CommandError(f"{client.name} records no calls: endpoint.recording.resume() in its process begins to")
    return traffic


def losses(traffic: RemoteTraffic) -> list[str]:
    """What was not read, a line each."""
    lines: list[str] = []
    if traffic.lost:
        lines.append(f"{traffic.lost} calls were let go of before they were read: endpoint.recording(max_calls=…)")
    if traffic.skipped:
        lines.append(f"{traffic.skipped} calls were left out by sampling: endpoint.recording(calls_per_second=…)")
    if traffic.hooked:
        lines.append("a redaction hook decides what is shown of payloads, so none are told outside of its process")
    return lines
