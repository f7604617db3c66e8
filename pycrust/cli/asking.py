"""Questions that commands ask a worker; all of them are answered without its interpreter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pycrust._extension import live_endpoints
from pycrust.cli.command import CommandError, Status
from pycrust.client import RpcClient
from pycrust.errors import RpcError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

#: Seconds that a worker has to answer a question about itself.
PATIENCE = 5.0


def client_name() -> str:
    """What a command calls itself to a worker."""
    return click.get_current_context().command_path


@contextmanager
def connected(name: str, *, timeout: float = PATIENCE, wait: float = 0.0) -> Generator[RpcClient]:
    """A client of a live endpoint.

    Args:
        name: The endpoint's name.
        timeout: Seconds that each call has.
        wait: Seconds to wait for a worker.

    Raises:
        CommandError: Nobody serves the name, or whoever does doesn't answer.
    """
    try:
        client = RpcClient(name, timeout=timeout, wait=wait, client_name=client_name())
    except RpcError as error:
        raise unreachable(name, error) from error
    with client:
        yield client


def unreachable(name: str, error: RpcError) -> CommandError:
    """Why a worker can't be asked: it is not there, or it doesn't answer."""
    if any(owner["endpoint"] == name for owner in live_endpoints()):
        return CommandError(f"{name} doesn't answer: {error}")
    return CommandError(str(error), Status.NO_ENDPOINT)


def ask(client: RpcClient, question: str, *arguments: Any) -> Any:
    """A worker's answer about itself.

    Args:
        client: Whom to ask.
        question: What follows `pycrust.` in the question's name.
        *arguments: The question's arguments.

    Raises:
        CommandError: It doesn't answer, or is gone.
    """
    try:
        return client.request(f"pycrust.{question}").call(*arguments)
    except Unavailable as error:
        # Its lock may outlive it by a moment.
        raise CommandError(f"{client.name} has ended: {error}", Status.NO_ENDPOINT) from error
    except RpcError as error:
        raise unreachable(client.name, error) from error


def others(stats: dict[str, Any], own: str) -> list[dict[str, Any]]:
    """The clients of an endpoint that are no command line's question.

    Args:
        stats: The answer to `pycrust.stats`.
        own: What this command calls itself.
    """
    clients: list[dict[str, Any]] = stats["clients"]
    return [client for client in clients if client["name"] != own]
