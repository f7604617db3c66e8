"""`pycrust traffic`: the recorded calls of a live endpoint."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import click

from pycrust.cli.asking import connected
from pycrust.cli.command import Status, command, json_option, remark, safe, say, say_json_line
from pycrust.cli.names import endpoint_argument
from pycrust.cli.recorded import chosen_by, losses, reader
from pycrust.text.table import Table
from pycrust.traffic.traffic import COLUMNS

if TYPE_CHECKING:
    from pycrust.traffic.recorded import RecordedCall

_EXAMPLE = """\
  pycrust traffic calculator                          # the last 20 calls
  pycrust traffic calculator 'status:error >5ms'      # those that match: pycrust.traffic.filters has the grammar
  pycrust traffic calculator add -f --json            # calls of add as they end, a line each
  pycrust traffic calculator -- -add                  # a filter that begins with -, after --"""
#: Widths of the columns where lines come one by one.
_WIDTHS = (8, 12, 16, 4, 18, 8, 12, 40)


@command("traffic", "show recorded calls", _EXAMPLE)
@endpoint_argument
@click.argument("text", metavar="[FILTER]", default="")
@click.option("-f", "--follow", is_flag=True, help="go on with calls as they end, until Ctrl-C")
@click.option("-n", "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="the last calls")
@json_option("write each call as a line of JSON, arguments and answer included")
def run(name: str, text: str, limit: int, *, follow: bool, as_json: bool) -> Status:
    """Shows the calls that an endpoint has recorded, as far as it shows them.

    The worker answers without its interpreter: calls are seen also while one hangs or a cell is busy.
    """
    chosen = chosen_by(text)
    with connected(name) as client:
        traffic = reader(client, after=0)
        calls = deque((call for call in traffic.held() if chosen(call)), maxlen=limit)
        if as_json:
            for call in calls:
                say_json_line(call.as_dict())
        elif follow:
            say(_line(COLUMNS))
            for call in calls:
                say(_line(_cells(call)))
        elif calls:
            say(str(Table(COLUMNS, [_cells(call) for call in calls], left=range(len(COLUMNS)))))
        for line in losses(traffic):
            remark(line)
        if not follow:
            return Status.WELL
        for call in traffic.follow():
            if call is not None and chosen(call):
                _say(call, as_json=as_json)
    return Status.WELL


def _cells(call: RecordedCall) -> tuple[str, ...]:
    """Its row: a line, whatever a caller has put into it."""
    return tuple(safe(cell).replace("\n", "\\n") for cell in call.cells())


def _say(call: RecordedCall, *, as_json: bool) -> None:
    if as_json:
        say_json_line(call.as_dict())
    else:
        say(_line(_cells(call)))


def _line(cells: tuple[str, ...]) -> str:
    """A row whose columns have widths of their own: those that follow are not known."""
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return "  ".join([*padded, *cells[len(_WIDTHS) :]]).rstrip()
