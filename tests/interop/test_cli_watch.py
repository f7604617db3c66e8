"""`pycrust watch` and `pycrust health`: how an endpoint is, for logs and probes."""

from __future__ import annotations

import json
import signal

import pytest

from pycrust import RpcClient
from tests.conftest import ROOT
from tests.interop.command_line import (
    CALCULATOR,
    PYCRUST,
    answer,
    draining_worker,
    environment,
    hanging_handler,
    held_interpreter,
    kill,
    run,
)


class TestWatch:
    def test_lines_for_a_log(self, worker):
        worker(CALCULATOR)
        lines = answer("watch", "calculator", "--count", "2", "--interval", "0.05").splitlines()
        assert len(lines) == 2
        for line in lines:
            assert "  0.0 calls/s  0 errors  p50 -  p99 -  0 in flight  0 clients  add v1 divide v1" in line

    def test_what_a_rust_client_measures(self, worker, start, rust):
        worker(CALCULATOR)
        load = rust(
            "load", "--endpoint", "calculator", "--method", "add", "--args", '{"a": 1}', "--calls", 100_000_000,
            "--tasks", 4, "--json",
        )  # fmt: skip
        watch = start(*PYCRUST, "watch", "calculator", "--interval", "0.2", "--json", env=environment(), cwd=ROOT)
        while True:
            told = json.loads(watch.line())
            if told["calls"] > 0 and told["round_trip"]["count"] > 0:
                break
        assert (told["errors"], told["clients"], told["versions"]["add"]) == (0, 1, 1)
        assert 0 < told["round_trip"]["p50_ns"] <= told["round_trip"]["p99_ns"] <= told["round_trip"]["max_ns"]
        assert told["rate"] > 0
        load.process.kill()
        watch.send(signal.SIGINT)
        assert watch.process.wait() == 130

    def test_errors(self, worker, start):
        worker(CALCULATOR)
        watch = start(*PYCRUST, "watch", "calculator", "--interval", "0.2", "--json", env=environment(), cwd=ROOT)
        watch.line()  # it has looked
        with RpcClient("calculator") as client:
            with pytest.raises(RuntimeError):
                client.call("divide", 1, 0)
            client.call("divide", 1, 2)
        seen = [0, 0]
        while seen != [2, 1]:
            told = json.loads(watch.line())
            seen = [seen[0] + told["calls"], seen[1] + told["errors"]]
        watch.stop()

    def test_it_goes_on_while_there_is_no_worker(self, worker, start):
        program = worker(CALCULATOR)
        watch = start(*PYCRUST, "watch", "calculator", "--interval", "0.1", "--json", env=environment(), cwd=ROOT)
        assert json.loads(watch.line())["pid"] == program.pid
        kill(program)
        while "gone" not in (told := json.loads(watch.line())):
            pass
        assert told["gone"] == "no worker serves it"
        other = worker(CALCULATOR)
        while json.loads(watch.line()).get("pid") != other.pid:
            pass
        watch.stop()

    def test_a_handler_that_hangs(self, worker):
        with hanging_handler(worker):
            assert "  1 in flight  1 client  " in answer("watch", "calculator", "--count", "1")

    def test_an_interpreter_that_is_held(self, worker, tmp_path):
        with held_interpreter(worker, tmp_path / "pipe"):
            assert "in flight" in answer("watch", "calculator", "--count", "1")

    def test_nobody_serves_the_name(self):
        assert run("watch", "nobody").returncode == 3


class TestHealth:
    def test_a_worker_that_serves(self, worker):
        program = worker(CALCULATOR)
        assert answer("health", "calculator").startswith(f"calculator · pid {program.pid} · serving · up for ")
        told = json.loads(answer("health", "calculator", "--json"))
        assert (told["well"], told["reason"], told["status"], told["pid"]) == (True, "", "serving", program.pid)

    def test_a_real_handler(self, worker):
        worker(CALCULATOR)
        assert "serving, and add answers" in answer("health", "calculator", "--ready", "add", '{"a": 1}')
        done = run("health", "calculator", "--ready", "divide", "[1, 0]")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("calculator is not well: divide fails with UNKNOWN: ZeroDivisionError")
        told = json.loads(answer("health", "calculator", "--ready", "nothing", "--json", status=1))
        assert (told["well"], told["reason"].startswith("nothing fails with UNIMPLEMENTED")) == (False, True)

    def test_arguments_without_a_handler(self, worker):
        worker(CALCULATOR)
        assert run("health", "calculator", "[1]").returncode == 2

    def test_a_handler_that_hangs(self, worker):
        with hanging_handler(worker):
            answer("health", "calculator")
            answer("health", "calculator", "--ready", "add", "[1]")
            done = run("health", "calculator", "--ready", "hang", "--timeout", "0.2")
            assert (done.returncode, "hang fails with DEADLINE_EXCEEDED" in done.stderr) == (1, True)

    def test_an_interpreter_that_is_held(self, worker, tmp_path):
        with held_interpreter(worker, tmp_path / "pipe"):
            answer("health", "calculator")
            done = run("health", "calculator", "--ready", "add", "[1]", "--timeout", "0.2")
            assert (done.returncode, "add fails with DEADLINE_EXCEEDED" in done.stderr) == (1, True)

    def test_one_that_drains(self, worker):
        with draining_worker(worker):
            done = run("health", "calculator")
        assert done.returncode == 1
        assert "stopping" in done.stderr

    def test_one_that_is_stopped(self, worker):
        program = worker(CALCULATOR)
        program.send(signal.SIGSTOP)
        try:
            done = run("health", "calculator", "--timeout", "0.2")
        finally:
            program.send(signal.SIGCONT)
        assert (done.returncode, done.stdout) == (1, "")
        assert "calculator is not well: " in done.stderr

    def test_a_dead_one(self, worker):
        kill(worker(CALCULATOR))
        done = run("health", "calculator")
        assert (done.returncode, 'no worker serves "calculator"' in done.stderr) == (3, True)
        told = json.loads(answer("health", "calculator", "--json", status=3))
        assert told["well"] is False
