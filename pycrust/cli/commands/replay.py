"""`pycrust replay`: recorded calls, made again."""

from __future__ import annotations

from pathlib import Path

import click

from pycrust.cli.asking import connected
from pycrust.cli.command import CommandError, Status, command, json_option, say, say_json, seconds_option
from pycrust.cli.names import endpoint_argument
from pycrust.cli.recorded import chosen_by
from pycrust.traffic.traffic import Traffic
from pycrust.trials.compare import ATOL, RTOL, Tolerance
from pycrust.trials.remote import RemoteReplay

_EXAMPLE = """\
  pycrust replay calls.jsonl calculator                   # as fast as answers come
  pycrust replay calls.jsonl calculator --timing recorded --speed 2
  pycrust replay calls.jsonl calculator --only 'add -status:error'"""


@command("replay", "make recorded calls again and compare the answers", _EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@endpoint_argument
@click.option("--only", metavar="FILTER", default="", help="those of the file's calls that match")
@click.option(
    "--timing",
    type=click.Choice(["fast", "recorded"]),
    default="fast",
    show_default=True,
    help="one after the other, or at the times at which they were recorded",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="with --timing recorded: how many times as fast",
)
@seconds_option("--timeout", 30.0, "the time of each call")
@click.option("--rtol", type=click.FloatRange(min=0), default=RTOL, show_default=True, help="relative tolerance")
@click.option("--atol", type=click.FloatRange(min=0), default=ATOL, show_default=True, help="absolute tolerance")
@json_option()
def run(
    file: Path,
    name: str,
    only: str,
    timing: str,
    speed: float,
    timeout: float,
    rtol: float,
    atol: float,
    as_json: bool,
) -> Status:
    """Makes the calls of a file again, on whatever serves the endpoint now, and compares answers and latencies.

    The handlers run: do it where that does no harm. It ends with 1 if an answer differs. What was hidden as the
    file was written can't be sent or compared; those calls are counted apart.
    """
    if speed != 1.0 and timing != "recorded":
        raise click.UsageError("--speed is of --timing recorded")
    chosen = chosen_by(only)
    try:
        calls = [call for call in Traffic.load(file) if chosen(call)]
    except OSError as error:
        raise CommandError(f"{file} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    with connected(name, timeout=timeout) as client:
        replay = RemoteReplay(client, Tolerance(rtol, atol), timeout)
        if timing == "recorded":
            replay.run_timed(calls, speed)
        else:
            replay.run(calls)
    if as_json:
        say_json(replay.as_json())
    else:
        say(str(replay))
    return Status.DIFFERENT if replay.differing else Status.WELL
