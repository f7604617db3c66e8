"""`pycrust bench`: how long a handler's calls take, from a native loop."""

from __future__ import annotations

import json
import math
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from pycrust.cli.command import CommandError, Status, command, json_option, remark, say, say_json
from pycrust.cli.names import MethodName, endpoint_argument
from pycrust.client import RpcClient
from pycrust.errors import RpcError, Unavailable
from pycrust.text.statistics import duration
from pycrust.text.table import Table

#: What the worker answers without a handler and without the interpreter: what a call costs at least.
_FLOOR = "pycrust.health"
#: The part of the time that the floor is measured for, before and after.
_FLOOR_PART = 10
_LONGEST_FLOOR_S = 1.0
#: Rows of the picture, and characters of its longest bar.
_ROWS, _BAR = 16, 44
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_QUANTILES = (("p50", "p50_ns"), ("p90", "p90_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns"), ("max", "max_ns"))


@command(
    "bench",
    "measure how long a method's calls take",
    '  pycrust bench calculator add --args \'{"a": 1, "b": 2}\' --for 5\n'
    "  pycrust bench calculator add --args '[1, 2]' --rate 1000 --concurrency 8\n"
    "  pycrust bench calculator ping --calls 10000 --json",
)
@endpoint_argument
@click.argument("method", type=MethodName())
@click.option("--args", "arguments", metavar="JSON", default="null", help="the arguments: an object or an array")
@click.option("--rate", metavar="HZ", type=click.FloatRange(0, 1e7, min_open=True), help="calls a second in all")
@click.option(
    "--concurrency", metavar="N", type=click.IntRange(1, 16_384), default=1, help="calls at once, at most"
)
@click.option("--for", "seconds", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="how long; 5 s")
@click.option("--calls", metavar="N", type=click.IntRange(1), help="calls in all, at most")
@click.option(
    "--warmup", metavar="SECONDS", type=click.FloatRange(0), default=0.0, help="calls before that don't count"
)
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(0, min_open=True), default=30.0, help="of a call"
)
@json_option("write what was measured as a JSON object, times in nanoseconds")
def run(
    *,
    name: str,
    method: str,
    arguments: str,
    rate: float | None,
    concurrency: int,
    seconds: float | None,
    calls: int | None,
    warmup: float,
    timeout: float,
    as_json: bool,
) -> Status:
    """Calls METHOD of the endpoint NAME over and over, from a Rust client and without Python, and measures.

    Without --rate, each of --concurrency callers calls as soon as it has its answer. With it, calls are due at that
    rate, and each one's latency is counted from when it was due: what waits behind a slow answer was slow, too. The
    handler really runs. The exit status is 1 if a call fails.
    """
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise click.UsageError(f"--args is no JSON: {error}") from error
    seconds = seconds if seconds is not None else (math.inf if calls is not None and rate is None else 5.0)
    load: dict[str, Any] = {"rate": rate, "concurrency": concurrency, "calls": calls}
    try:
        with RpcClient(name, timeout=timeout, client_name="pycrust bench") as client:
            if warmup:
                client.load(method, given, seconds=warmup, rate=rate, concurrency=concurrency)
            spread = min(_LONGEST_FLOOR_S, seconds / _FLOOR_PART)
            floors = [client.load(_FLOOR, None, seconds=spread, concurrency=concurrency)]
            measured = client.load(method, given, seconds=seconds, **load)
            floors.append(client.load(_FLOOR, None, seconds=spread, concurrency=concurrency))
    except Unavailable as error:
        raise CommandError(str(error), Status.NO_ENDPOINT) from error
    except RpcError as error:
        raise CommandError(str(error)) from error
    # The better of two: what else the machine did is no part of a floor.
    floor = min((one["service"] for one in floors), key=lambda service: service["p50_ns"] or math.inf)
    failed = bool(measured["errors"]) or not measured["ok"]
    told = {
        "endpoint": name,
        "method": method,
        "args": given,
        **load,
        "seconds": None if math.isinf(seconds) else seconds,
        **measured,
        "stages": dict(measured["stages"]),
        "floor": floor,
        "machine": _machine(),
    }
    if as_json:
        say_json(told)
    else:
        _show(told)
    return Status.DIFFERENT if failed else Status.WELL


def _show(told: dict[str, Any]) -> None:
    took, latency = told["took_ns"] / 1e9, told["latency"]
    pace = f"{told['rate']:g} a second" if told["rate"] else "as fast as answers come"
    say(f"{told['endpoint']}.{told['method']}: {pace}, at most {told['concurrency']} at once, for {took:.1f} s")
    say(f"{told['ok']:,} answered, {sum(told['errors'].values()):,} failed, {told['ok'] / took:,.0f} a second")
    for code, count in told["errors"].items():
        say(f"  {code}: {count:,}")
    if told["first_error"]:
        say(f"  the first one: {told['first_error'].splitlines()[0]}")
    if told["unsent"]:
        remark(
            f"{told['unsent']:,} calls were due and never sent: {told['concurrency']} can't keep this rate; "
            "they count as taking until the end"
        )
    if told["late"]:
        remark(f"{told['late']:,} calls were sent more than a millisecond after they were due")
    if not latency["count"]:
        return
    rows = [("latency" if told["rate"] else "round trip", *_times(latency))]
    if told["rate"]:
        rows.append(("from its sending", *_times(told["service"])))
    stages = {stage: spread for stage, spread in told["stages"].items() if stage != "round_trip"}
    rows += [(f"  {stage}", *_times(spread)) for stage, spread in stages.items() if spread["count"]]
    if told["floor"]["count"]:
        rows.append((_FLOOR, *_times(told["floor"])))
    say("")
    say(str(Table(("", *(quantile for quantile, _ in _QUANTILES)), rows, left={0})))
    say("")
    say("\n".join(_picture(latency["buckets"])))
    say("")
    say(" · ".join(f"{key} {value}" for key, value in told["machine"].items() if value))


def _times(spread: dict[str, Any]) -> list[str]:
    return [duration(spread[key]) for _, key in _QUANTILES]


def _picture(buckets: list[list[int]]) -> list[str]:
    """How many calls took how long: a bar for each part of the range, the parts growing by a factor.

    Examples:
        >>> _picture([[1_000, 1], [10_000, 2]])[-1].split()
        ['10.0', 'µs', '2', '████████████████████████████████████████████']
    """
    least, most = max(buckets[0][0], 1), buckets[-1][0]
    rows = max(1, min(_ROWS, round(math.log(most / least, 1.1)) + 1))
    factor = (most / least) ** (1 / rows)
    counts = [0] * rows
    for upper, count in buckets:
        at = 0 if factor <= 1 else int(math.log(max(upper, least) / least, factor))
        counts[min(at, rows - 1)] += count
    widest = max(counts)
    wide = max(len(f"{count:,}") for count in counts)
    lines: list[str] = []
    for row, count in enumerate(counts):
        eighths = math.ceil(count / widest * _BAR * 8)
        bar = _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        lines.append(f"{duration(least * factor ** (row + 1)):>8}  {count:>{wide},}  {bar}".rstrip())
    return lines


def _machine() -> dict[str, str]:
    """What figures depend on."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _first("/proc/cpuinfo", "model name"),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "pycrust": metadata.version("pycrust"),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _first(path: str, key: str) -> str:
    lines = (line.partition(":") for line in _text(path).splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
