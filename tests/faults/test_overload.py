"""A worker that is offered many times what it can do: every call ends, none runs twice, others are served."""

import collections
import json
import subprocess

import psutil
import pytest

from pycrust import RpcClient
from tests.conftest import wait_until

#: Calls that the worker holds at once, of each client and of all together: more than 256, so that each client has a
#: share of its own, and fewer than the flood's clients may have together.
PER_CLIENT, TOTAL = 200, 512
FLOODING = 8
#: Calls a second that are offered; one that runs takes half a millisecond of its thread, so that at most 2,000 can
#: be answered, on any machine.
RATE = 20_000

SERVICE = """
import threading, time
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("crowded", max_in_flight=%d, max_in_flight_per_client=%d)
endpoint.recording(max_bytes=1 << 20)
ran = []

@endpoint.register
def work(number: int) -> int:
    ran.append(number)
    until = time.thread_time_ns() + 500_000
    while time.thread_time_ns() < until:
        pass
    return number

@endpoint.register
def other(number: int) -> int:
    return -number

@endpoint.register
def forget() -> list[int]:
    before = ran.copy()
    ran.clear()
    return before

endpoint.serve()
"""
#: Bytes that the worker's memory may grow by under a load that it has not seen before, by what is documented: the
#: frames of the calls that it holds, as they came and as they are answered (4 KiB each), the calls that are
#: recorded, 1 MiB for each client, and what the handlers note themselves.
GROWTH = 2 * TOTAL * 4096 + (1 << 20) + (FLOODING + 4) * (1 << 20) + (4 << 20)


@pytest.fixture
def flood(rust, tmp_path):
    """Offers calls until it is told to stop; then gives each of them by its number, and the program's report."""

    def begin(*options, rate=RATE):
        history = tmp_path / "history"
        program = rust(
            "overload", "--endpoint", "crowded", "--method", "work", "--rate", rate, "--clients", FLOODING,
            "--history", history, *options, stdin=subprocess.PIPE,
        )  # fmt: skip
        assert program.line() == "calling"

        def end():
            report = json.loads(program.finish())
            return {call["number"]: call for call in map(json.loads, history.read_text().splitlines())}, report

        return end

    return begin


def method(client: RpcClient, name: str) -> dict:
    return next(found for found in client.call("pycrust.stats")["methods"] if found["name"] == name)


def settled(client: RpcClient) -> list[int]:
    """What ran, once nothing runs any more."""
    wait_until(lambda: method(client, "work")["in_flight"] == 0, "the worker to be done")
    return client.call("forget")


def check(calls: dict, report: dict, ran: list[int], after: int) -> collections.Counter:
    """Every call ended once, and as it should; how many in which way."""
    assert sorted(calls) == list(range(report["sent"]))
    times = collections.Counter(ran)
    assert set(times) <= {*calls, after}
    assert set(times.values()) == {1}
    answered = {number for number, call in calls.items() if call["code"] == "OK"}
    assert answered <= set(times)
    untouched = {number for number, call in calls.items() if not call["may_have_run"]}
    assert not untouched & set(times)
    refused = {number for number, call in calls.items() if call["code"] == "RESOURCE_EXHAUSTED"}
    assert refused <= untouched
    return collections.Counter(call["code"] for call in calls.values())


def test_what_can_t_be_done_is_refused_and_everything_else_goes_on(worker, flood):
    serving = psutil.Process(worker(SERVICE % (TOTAL, PER_CLIENT)).pid)
    # No call of it waits until its deadline: what is refused is refused for want of room.
    with RpcClient("crowded", timeout=600) as polite, RpcClient("crowded", timeout=600) as asking:
        assert (polite.call("other", 1), asking.call("work", -101)) == (-1, -101)
        before = serving.memory_info().rss
        end = flood("--timeout-ms", 600_000)
        wait_until(lambda: method(asking, "work")["in_flight"] >= TOTAL, "the worker to be full")
        # In the queue of the very method that is flooded, and beside it: each call is answered, and so are
        # questions about the worker itself.
        for number in range(1, 101):
            assert polite.call("work", -number) == -number
            assert polite.call("other", number) == -number
            assert asking.call("pycrust.health")["status"] == "serving"
            assert method(asking, "work")["in_flight"] <= TOTAL + (FLOODING + 3) * (TOTAL // 256)
        grown = serving.memory_info().rss - before
        calls, report = end()
        # The next call of somebody who was not there meets nothing of it.
        with RpcClient("crowded", timeout=600) as newcomer:
            assert newcomer.call("work", -102) == -102
        ran = settled(asking)
    mine = [-number for number in ran if number < 0]
    assert mine == [101, *range(1, 101), 102]
    ended = check(calls, report, [number for number in ran if number >= 0], report["sent"])
    assert set(ended) == {"OK", "RESOURCE_EXHAUSTED"}
    # Ten times what it can do, so most; and each of those that it held was answered.
    assert ended["RESOURCE_EXHAUSTED"] > ended["OK"] >= TOTAL
    assert grown <= GROWTH


def test_what_waits_beyond_its_deadline_is_not_run_and_leaves_no_queue_behind(worker, flood):
    worker(SERVICE % (TOTAL, PER_CLIENT))
    with RpcClient("crowded", timeout=600) as client:
        # A queue of 512 calls of half a millisecond each is longer than this.
        end = flood("--timeout-ms", 20)
        wait_until(lambda: method(client, "work")["errors"] > 10 * TOTAL, "calls to be refused")
        for number in range(1, 101):
            assert client.call("other", number) == -number
        calls, report = end()
        assert client.call("work", -1) == -1
        ran = settled(client)
    ended = check(calls, report, [number for number in ran if number >= 0], report["sent"])
    assert set(ended) <= {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
    assert ended["DEADLINE_EXCEEDED"] > 0


def test_callers_that_wait_for_a_place_are_all_answered(worker, flood):
    """Each client holds back its own calls at its own bound; the worker's, which others meet, is out of reach."""
    worker(SERVICE % (FLOODING * PER_CLIENT, PER_CLIENT))
    with RpcClient("crowded", timeout=600) as client:
        end = flood("--timeout-ms", 600_000, "--wait", rate=RATE // 10)
        wait_until(lambda: method(client, "work")["calls"] > 2_000, "calls to be answered")
        calls, report = end()
        ran = settled(client)
    ended = check(calls, report, ran, report["sent"])
    assert set(ended) == {"OK"}
