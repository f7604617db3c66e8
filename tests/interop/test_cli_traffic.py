"""`pycrust traffic`, `record` and `replay`: recorded calls of a live worker, from outside."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import numpy as np
import pytest

from pycrust import RpcClient, Traffic
from tests.conftest import ROOT, Program, wait_until
from tests.interop.command_line import (
    CALCULATOR,
    PYCRUST,
    answer,
    environment,
    hanging_handler,
    held_interpreter,
    kill,
    run,
)


def make_calls() -> None:
    """Calls of several kinds: 5 that end well, 2 that fail."""
    with RpcClient("calculator", client_name="arm") as client:
        for number in range(3):
            client.call("add", a=number, b=1)
        with pytest.raises(RuntimeError):
            client.call("divide", 1, 0)
        client.call("divide", 1, 4)
        assert list(client.stream("ticks", "BUND", 2)) == [100.0, 101.0]
        with pytest.raises(NotImplementedError):
            client.call("multiply")


def recorded(*arguments: object, status: int = 0) -> list[dict]:
    return [
        json.loads(line)
        for line in answer("traffic", "calculator", "--json", *arguments, status=status).splitlines()
    ]


class TestTraffic:
    def test_the_last_calls(self, worker):
        worker(CALCULATOR)
        assert answer("traffic", "calculator") == ""
        make_calls()
        heading, *rows = answer("traffic", "calculator").splitlines()
        assert " ".join(heading.split()) == "call time method version status took client arguments answer"
        assert [row.split()[2] for row in rows] == ["add", "add", "add", "divide", "divide", "ticks", "multiply"]
        found = recorded("-n", "2")
        assert [(call["seq"], call["method"], call["status"]) for call in found] == [
            (6, "ticks", "OK"),
            (7, "multiply", "UNIMPLEMENTED"),
        ]
        assert (found[0]["arguments"], found[0]["result"], found[0]["client"]) == (
            {"symbol": "BUND", "count": 2},
            [100.0, 101.0],
            "arm",
        )

    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("status:error", [4, 7]),
            ("add", [1, 2, 3]),
            ("-add status:ok", [5, 6]),
            ("is:stream", [6]),
            ('"division by zero"', [4]),
            ("client:arm seq:2..5", [2, 3, 4, 5]),
            (">10s", []),
        ],
    )
    def test_filters(self, worker, text, numbers):
        worker(CALCULATOR)
        make_calls()
        assert [call["seq"] for call in recorded("--", text)] == numbers

    def test_a_filter_that_is_none(self, worker):
        worker(CALCULATOR)
        done = run("traffic", "calculator", "add >5")
        assert (done.returncode, done.stdout) == (2, "")
        assert "'5' is no time" in done.stderr

    def test_following(self, worker, start):
        worker(CALCULATOR)
        make_calls()
        follower = start(
            *PYCRUST, "traffic", "calculator", "add", "-n", "1", "-f", "--json", env=environment(), cwd=ROOT
        )
        assert json.loads(follower.line())["seq"] == 3
        with RpcClient("calculator") as client:
            client.call("divide", 1, 2)
            client.call("add", 20, 22)
        told = json.loads(follower.line())
        assert (told["seq"], told["result"]) == (9, 42)
        follower.send(signal.SIGINT)
        assert follower.process.wait() == 130

    def test_what_the_endpoint_hides(self, worker):
        worker(
            CALCULATOR + "endpoint.recording(redact=['symbol'])\n"
            "endpoint.register('login')(lambda user, pin: print(pin) or {'pin': pin, 'user': user})\n"
        )
        with RpcClient("calculator") as client:
            client.call("login", user="ada", pin="hunter2")
        assert "hunter2" in json.dumps(recorded())
        with RpcClient("calculator") as client:
            list(client.stream("ticks", "BUND", 1))
        assert "BUND" not in json.dumps(recorded())

    def test_a_hook_hides_all_payloads_from_outside(self, worker):
        worker(CALCULATOR + "endpoint.recording(redact_hook=lambda method, part, value: value)\n")
        make_calls()
        done = run("traffic", "calculator", "ticks", "--json")
        assert "BUND" not in done.stdout
        assert "a redaction hook decides what is shown" in done.stderr
        assert json.loads(done.stdout)["method"] == "ticks"

    def test_only_what_is_held_is_there(self, worker):
        worker(CALCULATOR + "endpoint.recording(max_calls=2)\n")
        make_calls()
        done = run("traffic", "calculator", "--json")
        assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [6, 7]
        assert done.stderr == ""

    def test_an_endpoint_that_records_nothing(self, worker):
        worker(CALCULATOR + "endpoint.recording.pause()\n")
        make_calls()
        done = run("traffic", "calculator")
        assert (done.returncode, done.stdout) == (1, "")
        assert "calculator records no calls" in done.stderr

    def test_large_calls_come_a_few_at_a_time(self, worker):
        worker(CALCULATOR + "endpoint.register('echo')(lambda text: text)\n")
        with RpcClient("calculator") as client:
            for number in range(8):
                client.call("echo", f"{number}" * 100_000)
        found = recorded()
        assert [call["seq"] for call in found] == list(range(1, 9))
        assert all(call["result"].startswith(str(call["seq"] - 1)) for call in found)


class TestTrafficOfWorkersThatAreNotWell:
    def test_a_handler_that_hangs(self, worker):
        with hanging_handler(worker):
            make_calls()
            assert len(recorded()) == 7

    def test_an_interpreter_that_is_held(self, worker, tmp_path):
        with held_interpreter(worker, tmp_path / "pipe"):
            assert run("traffic", "calculator").returncode == 0

    def test_a_dead_one(self, worker, tmp_path):
        kill(worker(CALCULATOR))
        for command in (["traffic", "calculator"], ["record", "calculator", tmp_path / "calls.jsonl"]):
            done = run(*command)
            assert (done.returncode, 'no worker serves "calculator"' in done.stderr) == (3, True)

    def test_a_worker_that_is_killed_while_it_is_recorded(self, worker, start, tmp_path):
        program = worker(CALCULATOR)
        recorder = start(*PYCRUST, "record", "calculator", tmp_path / "calls.jsonl", env=environment(), cwd=ROOT)
        assert "recording calculator" in recorder.process.stderr.readline()
        kill(program)
        out, said = recorder.process.communicate()
        assert (recorder.process.returncode, out) == (3, ""), said
        assert "pycrust record: calculator has ended: " in said
        assert f"what was recorded until then is in {tmp_path / 'calls.jsonl.part'}" in said
        assert (tmp_path / "calls.jsonl.part").exists(), "what was written is there"


def record(start, file: Path, *options: object) -> Program:
    """A `record` that has begun."""
    recorder = start(*PYCRUST, "record", "calculator", file, *options, env=environment(), cwd=ROOT)
    assert "recording calculator" in recorder.process.stderr.readline()
    return recorder


class TestRecord:
    def test_until_an_interrupt(self, worker, start, tmp_path):
        worker(CALCULATOR)
        with RpcClient("calculator") as client:
            client.call("add", 1, 2)  # before
        file = tmp_path / "calls.jsonl"
        recorder = record(start, file, "--json")
        make_calls()
        recorder.send(signal.SIGINT)
        out, _ = recorder.process.communicate()
        assert recorder.process.returncode == 0
        assert json.loads(out) == {"file": str(file), "written": 7, "lost": 0, "skipped": 0}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        calls = Traffic.load(file)
        assert [call.method for call in calls] == ["add", "add", "add", "divide", "divide", "ticks", "multiply"]
        assert (calls.name, calls[0].arguments, calls[0].result) == ("calculator", {"a": 0, "b": 1}, 1)
        assert not (tmp_path / "calls.jsonl.part").exists()

    def test_so_many_that_match(self, worker, start, tmp_path):
        worker(CALCULATOR)
        recorder = record(start, tmp_path / "calls.jsonl", "status:ok", "--count", 2)
        make_calls()
        assert recorder.finish() == f"{tmp_path / 'calls.jsonl'}: 2 calls\n"
        calls = Traffic.load(tmp_path / "calls.jsonl")
        assert ([call.seq for call in calls], calls.text) == ([1, 2], "status:ok")

    def test_for_a_while_and_what_is_held_already(self, worker, start, tmp_path):
        worker(CALCULATOR)
        make_calls()
        file = tmp_path / "calls.jsonl"
        assert answer("record", "calculator", file, "--for", "0.1", "--held") == f"{file}: 7 calls\n"

    def test_what_is_dropped_is_said(self, worker, start, tmp_path):
        worker(CALCULATOR + "endpoint.recording(calls_per_second=2, max_calls=3)\n")
        file = tmp_path / "calls.jsonl"
        recorder = record(start, file, "--json")
        with RpcClient("calculator") as client:
            for _ in range(500):
                client.call("add", 1, 2)
        recorder.send(signal.SIGINT)
        out, said = recorder.process.communicate()
        told = json.loads(out)
        assert told["written"] + told["lost"] + told["skipped"] == 500
        assert told["skipped"] > 0
        assert f"{told['skipped']} calls were left out by sampling" in said

    def test_where_nothing_can_be_written(self, worker, tmp_path):
        worker(CALCULATOR)
        done = run("record", "calculator", tmp_path / "none" / "calls.jsonl")
        assert (done.returncode, "can't be written: No such file" in done.stderr) == (1, True)


class TestReplay:
    @pytest.fixture
    def file(self, worker, tmp_path) -> Path:
        """The calls of a worker that has ended."""
        program = worker(CALCULATOR)
        make_calls()
        answer("record", "calculator", tmp_path / "calls.jsonl", "--for", "0", "--held")
        program.process.communicate()
        return tmp_path / "calls.jsonl"

    def test_the_same_answers(self, worker, file):
        worker(CALCULATOR)
        lines = answer("replay", file, "calculator").splitlines()
        assert lines[0] == "6 calls, 6 agree, 0 differ; 1 skipped"
        assert [line.split()[:2] for line in lines[2:]] == [
            [method, of] for method in ("add", "divide", "ticks") for of in ("recorded", "now")
        ]
        told = json.loads(answer("replay", file, "calculator", "--json"))
        assert (told["calls"], told["agreed"], told["differing"], told["skipped"]) == (6, 6, 0, 1)
        assert all(
            0 < times["p50"] <= times["max"] for pair in told["latencies_s"].values() for times in pair.values()
        )

    def test_another_answer(self, worker, file):
        worker(CALCULATOR + "endpoint.register('add')(lambda a, b=2: a + b + (a == 1))\n")
        done = run("replay", file, "calculator")
        assert done.returncode == 1
        assert done.stdout.splitlines()[0] == "6 calls, 5 agree, 1 differ; 1 skipped"
        assert "≠ add: call 2 ({'a': 1, 'b': 1}): $: 2 → 3" in done.stdout.splitlines()
        told = json.loads(answer("replay", file, "calculator", "--json", status=1))
        assert told["differences"] == [
            {"call": 2, "method": "add", "differences": ["$: 2 → 3"], "recorded": "2", "now": "3"}
        ]
        assert json.loads(answer("replay", file, "calculator", "--only=-add", "--json"))["calls"] == 3

    def test_an_error_in_place_of_an_answer_and_tolerances(self, worker, file):
        worker(
            CALCULATOR + "endpoint.register('divide')(lambda a, b: a / b * 1.001 if b else 0.0)\n"
            "endpoint.unregister('ticks')\n"
        )
        told = json.loads(answer("replay", file, "calculator", "--json", status=1))
        assert [one["call"] for one in told["differences"]] == [4, 5, 6]
        told = json.loads(answer("replay", file, "calculator", "--rtol", "0.01", "--json", status=1))
        assert [one["call"] for one in told["differences"]] == [4, 6]

    def test_at_the_recorded_times(self, worker, file):
        worker(CALCULATOR)
        told = json.loads(answer("replay", file, "calculator", "--timing", "recorded", "--speed", "2", "--json"))
        assert (told["calls"], told["differing"]) == (6, 0)

    def test_fields_that_are_not_in_the_file(self, worker, tmp_path):
        program = worker(CALCULATOR + "endpoint.recording(redact=['b'])\n")
        make_calls()
        file = tmp_path / "calls.jsonl"
        answer("record", "calculator", file, "--for", "0", "--held")
        program.process.communicate()
        worker(CALCULATOR)
        told = json.loads(answer("replay", file, "calculator", "--json"))
        assert (told["calls"], told["uncompared"]) == (1, 5)
        assert told["not_compared"][0]["differences"] == ["arguments.b: can't be compared, it is redacted"]

    def test_arrays(self, worker, tmp_path):
        program = worker(CALCULATOR + "endpoint.recording(max_arrays=1 << 16)\n")
        with RpcClient("calculator") as client:
            client.call("mean", np.full((60, 80), 6, "u1"))
            client.call("grid", 3)
        file = tmp_path / "calls.jsonl"
        answer("record", "calculator", file, "--for", "0", "--held")
        program.process.communicate()
        worker(CALCULATOR)
        told = json.loads(answer("replay", file, "calculator", "--json"))
        assert (told["calls"], told["agreed"], told["uncompared"]) == (1, 1, 1)
        assert told["not_compared"][0]["differences"] == ["$: can't be compared, its elements were not recorded"]

    def test_uploads(self, worker, tmp_path):
        source = CALCULATOR + (
            "@endpoint.register\ndef total(items: Iterator[int]) -> int:\n    return sum(items)\n"
            "@endpoint.register\ndef each(items: Iterator[int]) -> Iterator[int]:\n    yield from items\n"
        )
        program = worker(source)
        with RpcClient("calculator") as client:
            assert client.request("total").upload([1, 2, 3]) == 6
            assert list(client.request("each").exchange([1, 2])) == [1, 2]
        file = tmp_path / "calls.jsonl"
        answer("record", "calculator", file, "--for", "0", "--held")
        program.process.communicate()
        worker(source)
        told = json.loads(answer("replay", file, "calculator", "--json"))
        assert (told["calls"], told["agreed"]) == (2, 2)

    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            (["{file}", "nobody"], 3, 'no worker serves "nobody"'),
            (["none.jsonl", "calculator"], 1, "none.jsonl can't be read"),
            (["{damaged}", "calculator"], 1, "line 1:"),
            (["{file}", "calculator", "--speed", "2"], 2, "--speed is of --timing recorded"),
            (["{file}", "calculator", "--only", "add >5"], 2, "is no time"),
        ],
    )
    def test_what_does_not_work(self, file, tmp_path, arguments, status, said):
        damaged = tmp_path / "damaged.jsonl"
        damaged.write_text("{}\n")
        done = run("replay", *(one.format(file=file, damaged=damaged) for one in arguments))
        assert (done.returncode, done.stdout, said in done.stderr) == (status, "", True), done.stderr

    def test_a_worker_that_is_killed_meanwhile(self, worker, file, start):
        program = worker(CALCULATOR.replace("return a + b", "free.wait()\n    return a + b"))
        replay = start(*PYCRUST, "replay", file, "calculator", "--json", env=environment(), cwd=ROOT)
        with RpcClient("calculator") as client:
            stats = client.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in stats.call()["methods"]) == 1, "the first call")
        kill(program)
        out, _ = replay.process.communicate()
        assert replay.process.returncode == 1
        assert json.loads(out)["differing"] == 6
