"""Names of endpoints and methods as arguments of commands: checked, and completed in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from pycrust.text.names import check_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a worker has to name its methods while somebody waits with a finger on the tab key.
_PATIENCE = 0.5


class EndpointName(click.ParamType[str]):
    """The name of an endpoint; a shell completes those that live."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the name."""
        try:
            return check_endpoint(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The live endpoints whose names begin so."""
        del ctx, param
        return [one for one in _live() if one.value.startswith(incomplete)]


class MethodName(click.ParamType[str]):
    """The name of a method of the endpoint before it; a shell completes those that there are."""

    name = "method"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The endpoint's methods whose names begin so."""
        del param
        methods = _methods(ctx.params.get("name") or "")
        return [one for one in methods if one.value.startswith(incomplete)]


class Source(click.ParamType[str]):
    """A running endpoint's name or the path of a lock file; a shell completes both."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The live endpoints whose names begin so, and files."""
        del ctx, param
        live = [one for one in _live() if one.value.startswith(incomplete)]
        return live or [CompletionItem(incomplete, type="file")]


def endpoint_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint's name, as `name`."""
    return click.argument("name", type=EndpointName())(function)


def _live() -> list[CompletionItem]:
    from pycrust._extension import live_endpoints  # noqa: PLC0415 - for who completes only

    return [CompletionItem(owner["endpoint"], help=f"pid {owner['pid']}") for owner in live_endpoints()]


def _methods(endpoint: str) -> list[CompletionItem]:
    from pycrust.client import RpcClient  # noqa: PLC0415 - for who completes only
    from pycrust.errors import RpcError  # noqa: PLC0415

    try:
        with RpcClient(endpoint, timeout=_PATIENCE, client_name="pycrust completion") as client:
            return [CompletionItem(one["name"], help=one["doc"]) for one in client.call("pycrust.methods")]
    except (RpcError, ValueError):
        return []  # nobody is there to name any, and a completion says nothing else
