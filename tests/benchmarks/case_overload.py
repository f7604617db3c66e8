"""A worker that is offered once, twice, 10 and 100 times what it can do: what that costs it, and what callers see.

And twice that, of which half of each client's calls have a tenth of the others' time: how many are answered in time
by a queue in order of deadlines, with and without `admission="deadline"`, and by one in order of arrival.
Such a call takes as long to run as the others, or a tenth.

Times are those of calls that got no answer: refused by their own side, since it has as many in flight as its worker
allows it; refused by the worker, which holds as many of all clients as it may; or left when their deadline passed.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

from tests.benchmarks.case_idle import ticks
from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import PROGRAMS, worker

#: Calls a second that one thread can answer if each takes a millisecond of it.
CAPACITY = 1000
TIMES = (1, 2, 10, 100)
#: Who refuses: the worker's options, and the callers'.
WAYS = {
    "the client's bound": (("--max-in-flight-per-client", "64"), ("--clients", "1")),
    "the worker's bound": (("--max-in-flight", "512", "--max-in-flight-per-client", "128"), ("--clients", "8")),
    "deadlines of 50 ms": ((), ("--clients", "1", "--timeout-ms", "50")),
}
#: A call's time in milliseconds, and that of the short half.
LONG_MS, SHORT_MS = 500, 50
#: What short calls take in microseconds, where the others take 1000; and twice the calls a second that can be done.
MIXES = {"as long to run": (1000, 2 * CAPACITY), "a tenth to run": (100, 2 * CAPACITY * 1000 // 550)}
#: What is aimed at, in calls answered in time to those that first come answers. Where all take as long to run, no
#: order answers more than can be run, and first come nearly does: by leaving the short ones.
AIMS = {"as long to run": 0.9, "a tenth to run": 1.5}
#: In which order calls run: the worker's options, and the callers'.
ORDERS = {
    "first come": ((), ("--first-come",)),
    "by deadline": ((), ()),
    "by deadline, refused when late": (("--admission", "deadline"), ()),
}
QUANTILES = ("p50", "p90", "p99", "p999")


def memory(pid: int) -> float:
    """The most memory that the process has had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def offered(times: int, way: str, seconds: float) -> Figures:
    worker_options, caller_options = WAYS[way]
    with worker(*worker_options) as running:
        # Its pools and threads are there, and what it then needs more is what the load costs.
        flood(CAPACITY, caller_options, seconds=0.5)
        before, small = ticks(running.pid), memory(running.pid)
        report, health = flood(times * CAPACITY, caller_options, seconds=seconds)
        spent, large = ticks(running.pid) - before, memory(running.pid)
    codes = report["codes"]
    answered = codes.pop("OK", {"calls": 0})["calls"]
    # The kind of refusal that most got.
    most = max(codes.values(), key=lambda times: times["calls"], default={})
    return {
        **{quantile: most.get(quantile, 0.0) for quantile in QUANTILES},
        "calls_per_second": answered / report["seconds"],
        "offered_per_second": report["sent"] / report["seconds"],
        "processor_us_per_answer": 1e6 * spent / os.sysconf("SC_CLK_TCK") / max(answered, 1),
        "grown_mib": large - small,
        "health_p50": health["p50"],
        "health_p99": health["p99"],
        "after_us": report["after_us"],
    }


def mixed(mix: str, order: str, seconds: float) -> Figures:
    """How many of the calls were answered in time."""
    worker_options, caller_options = ORDERS[order]
    work_us, rate = MIXES[mix]
    times = ("--timeout-ms", str(LONG_MS), "--short-ms", str(SHORT_MS), "--short-work-us", str(work_us))
    with worker(*worker_options):
        report, health = flood(rate, ("--clients", "2", *times, *caller_options), seconds=seconds)
    short, long = (report["in_time"][kind] / report["seconds"] for kind in ("short", "long"))
    return {
        "calls_per_second": short + long,
        "short_per_second": short,
        "long_per_second": long,
        "offered_per_second": report["sent"] / report["seconds"],
        "health_p50": health["p50"],
        "health_p99": health["p99"],
    }


def flood(rate: int, options: tuple[str, ...], *, seconds: float) -> tuple[dict, dict]:
    """What came of the calls, and the round trips of somebody who asks for the worker's health meanwhile."""
    asked = ("--endpoint", "bench", "--seconds", str(seconds))
    command = [PROGRAMS / "overload", *asked, "--method", "work", "--rate", str(rate), *options]
    calls = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    asking = [PROGRAMS / "load", *asked, "--method", "pycrust.health", "--pace", "100", "--json"]
    health = subprocess.run(asking, stdout=subprocess.PIPE, text=True, check=True)
    said, _ = calls.communicate()
    if calls.returncode:
        raise RuntimeError(f"{command} ended with {calls.returncode}")
    report = json.loads(health.stdout)
    if report["errors"]:
        raise RuntimeError(f"questions for the worker's health failed: {report['errors']}")
    return json.loads(said.splitlines()[-1]), report["round_trip_us"]


def name(times: int, way: str) -> str:
    return f"overload/{times} x, {way}"


def mixed_name(mix: str, order: str) -> str:
    return f"overload/2 x, short calls {mix}, {order}"


def goals(results: Results) -> list[Goal]:
    found = []
    for way in WAYS:
        one, hundred = name(TIMES[0], way), name(TIMES[-1], way)
        if not results.has(one, hundred):
            continue
        figures = results.medians(hundred)
        kept = results.ratio(hundred, one, "calls_per_second")
        found += [
            Goal(f"100 x, {way}: answers / at capacity", kept, 0.9, at_least=True),
            Goal(f"100 x, {way}: health's p99 in µs", figures["health_p99"], 1000),
            Goal(f"100 x, {way}: MiB more", figures["grown_mib"], 64),
            Goal(f"100 x, {way}: ms to an answer after it", figures["after_us"] / 1e3, 100),
        ]
        if kept:
            cost = results.ratio(hundred, one, "processor_us_per_answer")
            found.append(Goal(f"100 x, {way}: processor time of an answer / at capacity", cost, 1.1))
        if "bound" in way:
            found.append(Goal(f"100 x, {way}: a refusal's p99 in µs", figures["p99"], 1000))
    for mix in MIXES:
        first_come, *others = (mixed_name(mix, order) for order in ORDERS)
        for other in others:
            if results.has(first_come, other):
                gained = results.ratio(other, first_come, "calls_per_second")
                found.append(Goal(f"{other}: in time / first come", gained, AIMS[mix], at_least=True))
    return found


CASE = Case(
    [
        *(Measurement(name(times, way), partial(offered, times, way)) for way in WAYS for times in TIMES),
        *(Measurement(mixed_name(mix, order), partial(mixed, mix, order)) for mix in MIXES for order in ORDERS),
    ],
    goals,
)
