"""`pycrust serve`: a module or a script as a service."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.command import CommandError, Status, command, seconds_option
from pycrust.cli.serving import json_lines
from pycrust.cli.serving.loading import Hosted, LoadError
from pycrust.cli.serving.notify import Supervisor
from pycrust.cli.serving.watching import Watched
from pycrust.errors import AlreadyServed
from pycrust.service import lifecycle
from pycrust.service.termination import on_sigterm

if TYPE_CHECKING:
    import threading

    from pycrust.endpoint.endpoint import RpcEndpoint

_log = logging.getLogger("pycrust.serve")
#: Seconds between two looks at signals and files.
_SLICE = 0.2
_EXAMPLE = """\
  pycrust serve calculator:endpoint            # from here on: calculator.py, or a package's module
  pycrust serve arm.py --reload                # its one endpoint; an edit swaps its handlers under its clients
  pycrust serve policy:endpoint --log json --grace 30"""


@command("serve", "serve the endpoint of a module", _EXAMPLE)
@click.argument("spec", metavar="MODULE|FILE.py[:ENDPOINT]")
@click.option("--reload", is_flag=True, help="run the module again when one of its files has changed, and swap")
@click.option("--takeover", is_flag=True, help="ask a process that serves the name to hand it over")
@seconds_option("--grace", 10.0, "the time that running calls have to end")
@click.option(
    "--log",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="how the log is written to standard error",
)
@click.option(
    "--level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="what is logged: this level and those above",
)
@click.option("--json", "as_json", is_flag=True, help="the same as --log json")
def run(spec: str, reload: bool, takeover: bool, grace: float, log: str, level: str, as_json: bool) -> Status:
    """Runs a module and serves its endpoint until SIGTERM or Ctrl-C; then drains and ends.

    What the module itself says of `serve` or `listen` counts when it has ended. Under systemd (`Type=notify`) it
    says when it is ready, reloads and stops, and that it lives as often as `WatchdogSec` asks. With --reload,
    clients stay connected while the module runs again: it publishes in one step when it ends well, and a failing
    one changes nothing. It ends with 0 if every call ended within the grace, otherwise with 1.
    """
    json_lines.configure(as_json=as_json or log == "json", level=level.upper())
    if reload:
        sys.dont_write_bytecode = True  # a file that changes twice within a second would be read from there
    hosted, supervisor = Hosted(spec), Supervisor()
    with on_sigterm() as terminated:
        try:
            endpoint = _begin(hosted, takeover=takeover)
        except KeyboardInterrupt:
            return Status.WELL
        supervisor.ready(f"serving {endpoint.name}")
        with contextlib.suppress(KeyboardInterrupt):  # how a person ends it
            _wait(endpoint, terminated, hosted if reload else None, supervisor)
        supervisor.stopping()
        _log.info("%s: stopping", endpoint.name)
        if endpoint.stop(grace):
            return Status.WELL
    lifecycle.exit_status = int(Status.DIFFERENT)
    raise CommandError(f"calls of {endpoint.name} did not end within {grace:g} s, and are given up")


def _begin(hosted: Hosted, *, takeover: bool) -> RpcEndpoint:
    """Runs the module for the first time, and serves."""
    try:
        endpoint, asked, _ = hosted.load()
    except LoadError as error:
        _log.exception("the module can't be served")
        raise CommandError(f"the module can't be served: {error}") from error
    options: dict[str, Any] = {**asked, **({"takeover": True} if takeover else {})}
    try:
        endpoint.serve(**options)
    except AlreadyServed as error:
        raise CommandError(f"{error.message} (pycrust serve --takeover)") from error
    return endpoint


def _wait(
    endpoint: RpcEndpoint, terminated: threading.Event, hosted: Hosted | None, supervisor: Supervisor
) -> None:
    """Waits for the end: a signal, a stop by the module's own code, or another process that takes the name over."""
    watched = Watched(hosted.files()) if hosted is not None else None
    while endpoint.serving and not terminated.wait(_SLICE):
        if hosted is None or watched is None or not (changed := watched.changed()):
            continue
        supervisor.reloading()
        _log.info("%s: %s changed", endpoint.name, ", ".join(file.name for file in changed))
        said = _again(hosted, endpoint)
        watched.watch({*hosted.files(), *changed})
        supervisor.ready(said)
    if watched is not None:
        watched.close()


def _again(hosted: Hosted, endpoint: RpcEndpoint) -> str:
    """Runs the module again; what came of it, in a line."""
    try:
        hosted.load()
    except (LoadError, click.UsageError) as error:
        said = f"{endpoint.name}: running the module again failed, and what was live before serves on: {error}"
        _log.exception(said, exc_info=error.__cause__ or error)
        return said
    return f"serving {endpoint.name}, reloaded"
