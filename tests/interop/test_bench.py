"""`pycrust bench` against real workers: what is counted, and what a stall does to it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from pycrust import RpcClient
from tests.interop.command_line import answer, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Program

SERVED = """
import time
from pycrust import RpcEndpoint, RpcError, Code
endpoint = RpcEndpoint("benched")
calls = 0

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

@endpoint.register
def sometimes(n: int) -> int:
    global calls
    calls += 1
    if calls % 4 == 0:
        raise RpcError(Code.NOT_FOUND, "every fourth")
    return n

@endpoint.register
def stalls() -> int:
    global calls
    calls += 1
    if calls == 20:
        time.sleep(0.5)
    return calls

@endpoint.register
def slow() -> int:
    time.sleep(0.05)
    return 1

endpoint.serve()
"""


@pytest.fixture
def benched(worker: Callable[..., Program]) -> Program:
    return worker(SERVED)


def counted(method: str) -> int:
    with RpcClient("benched") as client:
        return next(one["calls"] for one in client.call("pycrust.stats")["methods"] if one["name"] == method)


def bench(*arguments: object, status: int = 0) -> dict:
    return json.loads(answer("bench", "benched", *arguments, "--json", status=status))


@pytest.mark.usefixtures("benched")
class TestCounts:
    def test_as_fast_as_answers_come(self):
        told = bench("add", "--args", '{"a": 1, "b": 2}', "--for", 0.5, "--concurrency", 4)
        assert told["sent"] == told["ok"] == told["latency"]["count"] == counted("add") > 10
        assert (told["errors"], told["unsent"], told["versions"]) == ({}, 0, {"1": told["ok"]})
        assert sum(count for _, count in told["latency"]["buckets"]) == told["ok"]
        assert told["latency"] == told["service"]
        times = [told["latency"][key] for key in ("min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
        assert times == sorted(times)
        assert set(told["stages"]) >= {"round_trip", "queue", "interpreter", "handler"}
        assert all(spread["count"] == told["ok"] for spread in told["stages"].values())
        assert told["floor"]["count"] > 0
        assert {"kernel", "Python", "pycrust", "cores"} <= told["machine"].keys()

    def test_at_a_rate(self):
        told = bench("add", "--args", "[1, 2]", "--rate", 200, "--for", 1)
        assert told["sent"] + told["unsent"] == 200
        assert told["ok"] == told["sent"] == counted("add")
        assert told["latency"]["count"] == 200
        assert told["took_ns"] >= 199 * 5_000_000 or told["unsent"]

    def test_so_many_calls(self):
        told = bench("add", "--args", "[1, 2]", "--calls", 321, "--concurrency", 7)
        assert told["sent"] == told["ok"] == counted("add") == 321
        assert bench("add", "--args", "[1, 2]", "--calls", 9, "--rate", 1000)["sent"] == 9

    def test_a_warm_up_does_not_count(self):
        told = bench("add", "--args", "[1, 2]", "--calls", 5, "--warmup", 0.1)
        assert told["ok"] == 5
        assert counted("add") > 5

    def test_errors_are_counted_by_their_code(self):
        told = bench("sometimes", "--args", "[7]", "--calls", 100, status=1)
        assert (told["ok"], told["errors"]) == (75, {"NOT_FOUND": 25})
        assert "every fourth" in told["first_error"]
        assert told["latency"]["count"] == 75
        told = bench("nothing", "--calls", 3, status=1)
        assert told["errors"] == {"UNIMPLEMENTED": 3}
        told = bench("add", "--args", '["x"]', "--calls", 3, status=1)
        assert told["errors"] == {"INVALID_ARGUMENT": 3}


@pytest.mark.usefixtures("benched")
class TestCoordinatedOmission:
    def test_calls_that_were_due_during_a_stall_were_slow(self):
        """One call takes half a second: at 200 a second, some 100 others were due meanwhile."""
        told = bench("stalls", "--rate", 200, "--for", 2)
        assert told["latency"]["count"] == 400
        longer = lambda spread, than: sum(count for upper, count in spread["buckets"] if upper >= than)  # noqa: E731
        assert longer(told["service"], 480_000_000) == 1
        # Due so that more than 250 ms were left of it: the first 50 of them.
        assert longer(told["latency"], 250_000_000) >= 49
        assert longer(told["latency"], 480_000_000) >= 4
        assert told["late"] >= 90

    def test_without_a_rate_each_call_waits_for_the_one_before(self):
        told = bench("stalls", "--calls", 60)
        longer = [count for upper, count in told["latency"]["buckets"] if upper >= 480_000_000]
        assert longer == [1]

    def test_a_rate_that_can_t_be_kept(self):
        told = bench("slow", "--rate", 1000, "--for", 0.5)
        assert told["sent"] + told["unsent"] == told["latency"]["count"] == 500
        assert told["unsent"] > 400
        assert told["ok"] == told["sent"] == counted("slow")
        done = run("bench", "benched", "slow", "--rate", 1000, "--for", 0.2)
        assert done.returncode == 0
        assert re.search(r"\d+ calls were due and never sent: 1 can't keep this rate", done.stderr)


@pytest.mark.usefixtures("benched")
class TestText:
    def test_what_is_shown(self):
        shown = answer(
            "bench", "benched", "add", "--args", "[1, 2]", "--rate", 500, "--for", 0.4, "--concurrency", 2
        )
        assert shown.startswith("benched.add: 500 a second, at most 2 at once, for 0.4 s\n")
        for row in ("latency", "from its sending", "  interpreter", "  handler", "pycrust.health"):
            assert re.search(rf"^{row} +[\d.]+ [µmn]?s", shown, re.MULTILINE), row
        assert re.search(r"^ *[\d.]+ [µm]?s +\d+  █", shown, re.MULTILINE)
        assert "Python " in shown.splitlines()[-1]

    def test_wrong_usage(self):
        for arguments, status, said in [
            (["benched", "add", "--args", "{"], 2, "--args is no JSON"),
            (["benched", "add", "--rate", "0"], 2, "--rate"),
            (["benched", "add", "--concurrency", "0"], 2, "--concurrency"),
            (["nobody", "add"], 3, 'no worker serves "nobody"'),
        ]:
            done = run("bench", *arguments)
            assert (done.returncode, done.stdout) == (status, "")
            assert said in done.stderr
