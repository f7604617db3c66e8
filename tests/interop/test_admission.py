"""What can't be answered in time is refused when it comes, where its handler asks for it; a Rust client is told."""

import collections
import json
import re
import subprocess

import pytest

from pycrust import Code, ResourceExhausted, RpcClient
from tests.conftest import wait_until

SERVE = """
import threading, time
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("punctual")
let_go = threading.Event()
ran = []

@endpoint.register(admission="deadline")
def work(number: int, seconds: float = 0.0) -> int:
    ran.append(number)
    if seconds:
        time.sleep(seconds)
    else:
        let_go.wait()
    return number

@endpoint.register
def running() -> list[int]:
    return ran

@endpoint.register
def release() -> list[int]:
    before = ran.copy()
    let_go.set()
    return before

endpoint.serve()
"""


@pytest.fixture
def client(worker):
    """A client of a worker that knows how long calls take: one has ended after half a second, the next one runs."""
    worker(SERVE)
    with RpcClient("punctual", timeout=60) as client:
        assert client.call("work", -1, 0.5) == -1
        client._client.start("work", [-2], {}, lambda result, error: None)
        wait_until(lambda: -2 in client.call("running"), "the next one to run")
        yield client


def refused(client: RpcClient) -> int:
    method = next(one for one in client.call("pycrust.stats")["methods"] if one["name"] == "work")
    return dict(method["by_code"]).get(Code.RESOURCE_EXHAUSTED, 0)


def test_a_rust_caller_is_told_at_once_and_nothing_ran(client, rust, tmp_path):
    history = tmp_path / "history"
    program = rust(
        "overload", "--endpoint", "punctual", "--method", "work", "--rate", 200, "--clients", 2,
        "--timeout-ms", 10_000, "--history", history, stdin=subprocess.PIPE,
    )  # fmt: skip
    assert program.line() == "calling"
    # Nothing ends until it is let go.
    wait_until(lambda: refused(client) >= 50, "calls to be refused")
    client.call("release")
    report = json.loads(program.finish())
    calls = [json.loads(line) for line in history.read_text().splitlines()]
    assert len(calls) == report["sent"]
    ran = collections.Counter(client.call("running"))
    late = {call["number"] for call in calls if call["code"] == "RESOURCE_EXHAUSTED"}
    assert len(late) == refused(client) >= 50
    assert not any(call["may_have_run"] for call in calls if call["number"] in late)
    assert not late & ran.keys()
    # What was let in had time: it ran, once, and was answered.
    assert {call["code"] for call in calls if call["number"] not in late} == {"OK"}
    assert {ran[call["number"]] for call in calls if call["number"] not in late} == {1}


def test_the_refusal_says_what_was_known_and_what_to_do(client):
    errors = []
    for number in range(400):
        client._client.start("work", [number], {}, lambda result, error: errors.append(error))
    # Each takes half a second and has a minute.
    wait_until(lambda: len(errors) >= 200, "calls to be refused")
    for said in map(str, errors):
        assert "calls of 'work' take" in said.replace('"', "'")
        queued = int(re.search(r"(\d+) are queued before it", said)[1])
        assert 60 < queued < 200, said
        assert "admission" in said
        assert "concurrency" in said
    with pytest.raises(ResourceExhausted, match="none is queued before it but its places are taken") as error:
        client.call("work", 400, timeout=0.5)
    assert error.value.may_have_run is False
    assert client.call("release") == [-1, -2]
