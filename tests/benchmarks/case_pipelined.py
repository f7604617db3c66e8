"""Many callers at once, beside a loop in one process that does the same to the same bytes without a call."""

from __future__ import annotations

import time
from functools import partial

from pycrust import RpcEndpoint
from pycrust._extension import encode
from tests.benchmarks.handler import AddArgs, add
from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import load, worker

CALLERS = (1, 8, 64, 512)
LOOP = "pipelined/loop in one process, no calls"
SOME = 5000
#: Items of one stream.
ITEMS = 10_000


def loop(seconds: float) -> Figures:
    """Decode, validate, run, encode: what a dispatch thread does with the bytes of a call."""
    endpoint = RpcEndpoint("bench-loop")
    endpoint.register("add", request_model=AddArgs)(add)
    handler = endpoint._service.catalog.registered("add").handler
    assert handler is not None
    answer, payload = handler.answer, encode({"a": 1, "b": 2})
    begun, calls = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < seconds:
        for _ in range(SOME):
            answer(payload)
        calls += SOME
    return {"calls": calls, "calls_per_second": calls / took}


def callers(count: int, seconds: float) -> Figures:
    with worker():
        return load("--tasks", str(count), seconds=seconds)


def batched(count: int, seconds: float) -> Figures:
    """The same work, by a handler that takes what has come meanwhile as one list."""
    with worker():
        return load("--tasks", str(count), seconds=seconds, method="add_batched")


def streamed(seconds: float) -> Figures:
    with worker():
        figures = load("--stream", seconds=seconds, method="count", args=f"[{ITEMS}]")
        return {"value": figures["calls_per_second"] * ITEMS}


def goals(results: Results) -> list[Goal]:
    if not results.has("pipelined/64 callers", LOOP):
        return []
    share = results.ratio("pipelined/64 callers", LOOP, "calls_per_second")
    return [Goal("64 callers, rate / loop in one process", share, 0.7, at_least=True)]


CASE = Case(
    [
        Measurement(LOOP, loop),
        *(Measurement(f"pipelined/{count} callers", partial(callers, count)) for count in CALLERS),
        *(Measurement(f"pipelined/{count} callers, batched", partial(batched, count)) for count in (64, 512)),
        Measurement("pipelined/streamed items", streamed, unit="items/s"),
    ],
    goals,
)
