"""`pycrust top`: an endpoint on the whole screen."""

from __future__ import annotations

import importlib.util

from pycrust.cli.asking import ask, client_name, connected
from pycrust.cli.command import CommandError, Status, command, json_option, say_json, seconds_option
from pycrust.cli.names import endpoint_argument

_EXAMPLE = """\
  pycrust top calculator
  pycrust top calculator --json    # one look, for programs"""


@command("top", "watch an endpoint on the whole screen", _EXAMPLE)
@endpoint_argument
@seconds_option("--interval", 1.0, "the time between two looks", 0.1)
@json_option("write the statistics once, and end")
def run(name: str, interval: float, *, as_json: bool) -> Status:
    """Shows rates, errors, percentiles as the clients measured them, stages, versions, clients and swaps.

    Keys: arrows choose a method, Enter opens what is known of it, / filters by name, s sorts by the next column,
    space stands still, q ends. It needs `pip install 'pycrust[top]'`.
    """
    with connected(name) as client:
        if as_json:
            say_json(ask(client, "stats"))
            return Status.WELL
        if importlib.util.find_spec("textual") is None:
            raise CommandError("the view needs textual: pip install 'pycrust[top]' (--json and `watch` do without)")
        from pycrust.cli.top.view import Top  # noqa: PLC0415 - it imports textual

        Top(client, client_name(), interval).run()
    return Status.WELL
