"""`pycrust record`: calls of a live endpoint into a file."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pycrust.cli.asking import connected
from pycrust.cli.command import CommandError, Status, command, json_option, remark, say, say_json
from pycrust.cli.names import endpoint_argument
from pycrust.cli.recorded import chosen_by, losses, reader
from pycrust.text.statistics import counted
from pycrust.traffic.file import Writer

if TYPE_CHECKING:
    from pycrust.traffic.filters import Filter
    from pycrust.traffic.recorded import RecordedCall
    from pycrust.traffic.remote import RemoteTraffic

#: Seconds that are waited for what the client measured of a call, which it tells later.
_SETTLED = 1.0
_EXAMPLE = """\
  pycrust record calculator calls.jsonl                       # until Ctrl-C
  pycrust record calculator calls.jsonl 'add -status:ok' --for 60
  pycrust record calculator calls.jsonl --count 1000"""


@command("record", "write calls to a file, for replay", _EXAMPLE)
@endpoint_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("text", metavar="[FILTER]", default="")
@click.option("--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="end after so long")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="end after so many calls")
@click.option("--held", is_flag=True, help="begin with the calls that the endpoint holds already")
@json_option()
def run(
    name: str,
    file: Path,
    text: str,
    seconds: float | None,
    count: int | None,
    held: bool,
    as_json: bool,
) -> Status:
    """Writes calls as they end to a file of JSON lines, which `pycrust replay` and `Traffic.load` read.

    What the endpoint hides is not in it. The file appears when recording ends, by Ctrl-C or by itself; what could
    not be recorded is said.
    """
    chosen = chosen_by(text)
    with connected(name) as client:
        traffic = reader(client, after=0 if held else None)
        part = file.with_name(file.name + ".part")
        try:
            with Writer(file, name, text, hooked=traffic.hooked) as writer:
                remark(f"recording {name} into {file}; Ctrl-C ends it")
                written = _record(traffic, chosen, writer, seconds, count)
        except CommandError as error:
            raise CommandError(f"{error}; what was recorded until then is in {part}", error.status) from error
        except OSError as error:
            raise CommandError(f"{file} can't be written: {error.strerror or error}") from error
    if as_json:
        say_json({"file": str(file), "written": written, "lost": traffic.lost, "skipped": traffic.skipped})
    else:
        say(f"{file}: {counted(written, 'call')}")
    for line in losses(traffic):
        remark(line)
    return Status.WELL


def _record(
    traffic: RemoteTraffic, chosen: Filter, writer: Writer, seconds: float | None, count: int | None
) -> int:
    """Writes calls until it is time to end; gives how many."""
    until = None if seconds is None else time.monotonic() + seconds
    written = 0

    def write(call: RecordedCall) -> None:
        nonlocal written
        if chosen(call) and (count is None or written < count):
            writer.add(call)
            written += 1

    try:
        for call in traffic.follow(_SETTLED):
            if call is not None:
                write(call)
            if (count is not None and written >= count) or (until is not None and time.monotonic() > until):
                break
    except KeyboardInterrupt:
        pass
    # Those that have ended and whose clients have not told yet.
    with contextlib.suppress(CommandError):
        for call in traffic.held():
            write(call)
    return written
