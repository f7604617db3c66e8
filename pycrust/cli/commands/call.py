"""`pycrust call`: one call, from a shell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.asking import connected
from pycrust.cli.command import Status, command, json_option, remark, say_json, say_json_line
from pycrust.cli.failures import as_object, say_failure, say_timing
from pycrust.cli.names import MethodName, endpoint_argument
from pycrust.cli.values import arguments, jsonable
from pycrust.errors import RpcError

if TYPE_CHECKING:
    from pycrust.client import Request

_EXAMPLE = """\
  pycrust call calculator add '{"a": 1, "b": 2}'
  pycrust call calculator add '[1, 2]' --timing --version
  pycrust call market ticks '["BUND", 3]' --stream
  pycrust call cameras classify --array image=@image.npy
  echo '{"a": 1, "b": 2}' | pycrust call calculator add -"""


@command("call", "call a method", _EXAMPLE)
@endpoint_argument
@click.argument("method", type=MethodName())
@click.argument("args", metavar="[JSON|@FILE|-]", required=False)
@click.option("--array", "arrays", metavar="[NAME=]@FILE.npy", multiple=True, help="an argument from a .npy file")
@click.option("--stream", is_flag=True, help="the handler streams: write each item as a line of JSON")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="the call's time [30; of streams, none]"
)
@click.option(
    "--wait", type=click.FloatRange(min=0), metavar="SECONDS", default=0.0, help="wait for a worker so long"
)
@click.option("--timing", is_flag=True, help="write where the time went, to standard error")
@click.option("--version", is_flag=True, help="write which version answered, to standard error")
@json_option("write an object with result or error, version and timing")
def run(
    name: str,
    method: str,
    args: str | None,
    arrays: tuple[str, ...],
    timeout: float | None,
    wait: float,
    *,
    stream: bool,
    timing: bool,
    version: bool,
    as_json: bool,
) -> Status:
    """Calls a method and writes its result as JSON.

    A map is arguments by name, a list is by position, any other value is the one argument. Of the result, arrays
    become lists, bytes their base64, moments ISO 8601. A failed call ends with 1: code, message, details and
    traceback are on standard error.
    """
    given, named = arguments(args, arrays)
    limit = timeout if timeout is not None else math.inf if stream else 30.0
    with connected(name, timeout=limit, wait=wait) as client:
        request = client.request(method, timeout=limit)
        call = _Call(as_json=as_json, timing=timing, version=version)
        try:
            return call.stream(request, given, named) if stream else call.once(request, given, named)
        except RpcError as error:
            return call.failed(error)
        except (TypeError, ValueError, OverflowError) as error:
            # RpcErrors of some codes are ValueErrors, too, and were caught before.
            raise click.UsageError(f"the arguments can't be sent, or the answer can't be read: {error}") from error


class _Call:
    """How a call's end is told."""

    def __init__(self, *, as_json: bool, timing: bool, version: bool) -> None:
        self.as_json, self.timing, self.version = as_json, timing, version

    def once(self, request: Request, given: list[Any], named: dict[str, Any]) -> Status:
        reply = request.send(*given, **named)
        result = jsonable(reply.value)
        if self.as_json:
            say_json({"result": result, "version": reply.version, "timing": reply.timing})
        else:
            say_json(result)
        self._beside(reply.version, reply.timing)
        return Status.WELL

    def stream(self, request: Request, given: list[Any], named: dict[str, Any]) -> Status:
        with request.stream(*given, **named) as items:
            for item in items:
                say_json_line({"item": jsonable(item)} if self.as_json else jsonable(item))
            self._beside(items.version, {})
            if self.as_json:
                say_json_line({"version": items.version})
        return Status.WELL

    def failed(self, error: RpcError) -> Status:
        if self.as_json:
            say_json({"error": as_object(error), "version": error.version, "timing": error.timing})
        else:
            say_failure(error)
        self._beside(error.version, error.timing)
        return Status.DIFFERENT

    def _beside(self, version: int, timing: dict[str, float]) -> None:
        if self.version:
            remark(f"version {version}" if version else "no version answered")
        if self.timing and timing:
            say_timing(timing)
