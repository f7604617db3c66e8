"""`pycrust call`: arguments, results, errors."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import numpy as np
import pytest

from pycrust import RpcClient
from tests.conftest import DIVISION, ROOT, wait_until
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


def called(*arguments: object, said: str = "") -> object:
    return json.loads(answer("call", "calculator", *arguments, said=said))


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "result"),
        [
            (["add", '{"a": 1}'], 3),
            (["add", '{"a": 1, "b": 5}'], 6),
            (["add", "[1, 7]"], 8),
            (["divide", "[1, 4]"], 0.25),
            (["release"], None),
            (["release", "null"], None),
            (["grid", "2"], [[1.0, 0.0], [0.0, 1.0]]),
            (["pycrust.health"], "serving"),
        ],
    )
    def test_as_json(self, worker, arguments, result):
        worker(CALCULATOR)
        found = called(*arguments)
        assert (found["status"] if arguments == ["pycrust.health"] else found) == result

    def test_from_a_file_and_from_standard_input(self, worker, tmp_path):
        worker(CALCULATOR)
        file = tmp_path / "arguments.json"
        file.write_text('{"a": 20, "b": 22}')
        assert called("add", f"@{file}") == 42
        assert called("add", "-", said="[4, 5]") == 9

    def test_arrays(self, worker, tmp_path):
        worker(CALCULATOR)
        file = tmp_path / "image.npy"
        np.save(file, np.full((300, 400), 6, "u1"))
        assert called("mean", "--array", f"image=@{file}") == 6.0
        assert called("mean", '{"scale": 0.5}', "--array", f"image=@{file}") == 3.0
        assert called("mean", "--array", f"@{file}") == 6.0

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["add", "{a: 1}"], "this is no JSON"),
            (["add", "@none.json"], "none.json can't be read: No such file"),
            (["add", "[" * 100_000], "this is no JSON"),
            (["add", "[340282366920938463463374607431768211456]"], "can't be sent"),
            (["add", "[1]", "--array", "b=@{array}"], "by position or by name, not both"),
            (["add", "--array", "none.npy"], "write NAME=@FILE.npy"),
            (["add", "--array", "a=@none.npy"], "none.npy can't be read"),
            (["add", "--array", "a=@{text}"], "is no .npy file of numbers"),
            (["add", "--array", "a=@{pickled}"], "is no .npy file of numbers"),
            (["add", "--array", "a=@{several}"], "has several arrays"),
            (["add", "--timeout", "-1"], "--timeout"),
        ],
    )
    def test_wrong_usage(self, worker, tmp_path, arguments, said):
        worker(CALCULATOR)
        files = {name: tmp_path / f"{name}.npy" for name in ("array", "text", "pickled", "several")}
        np.save(files["array"], np.zeros(2))
        files["text"].write_text("text")
        np.save(files["pickled"], np.array([print], dtype=object), allow_pickle=True)
        with files["several"].open("wb") as file:
            np.savez(file, a=np.zeros(2), b=np.zeros(2))
        if arguments[-1].startswith("[["):
            (tmp_path / "deep.json").write_text(arguments[-1])
            arguments = ["add", f"@{tmp_path / 'deep.json'}"]
        for name, path in files.items():
            arguments = [one.replace(f"{{{name}}}", str(path)) for one in arguments]
        done = run("call", "calculator", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr

    def test_numpy_is_imported_for_arrays_alone(self, worker):
        worker(
            "from pycrust import RpcEndpoint\nendpoint = RpcEndpoint('calculator')\n"
            "endpoint.register('add')(lambda a, b: a + b)\nendpoint.serve()\n"
        )
        source = (
            "import sys; from pycrust.cli.main import main; main(['call', 'calculator', 'add', '[1, 2]']); "
            "print('numpy' in sys.modules)"
        )
        done = subprocess.run(
            [*PYCRUST[:1], "-c", source], capture_output=True, text=True, check=True, env=environment()
        )
        assert done.stdout.split() == ["3", "False"]


class TestAnswers:
    def test_timing_and_version_stand_beside_the_result(self, worker):
        worker(CALCULATOR)
        done = run("call", "calculator", "add", "[1, 2]", "--timing", "--version")
        assert (done.returncode, done.stdout) == (0, "3\n")
        version, timing = done.stderr.splitlines()
        assert version == "version 1"
        assert timing.startswith("round trip ")
        assert all(f"{stage} " in timing for stage in ("transit", "queue", "interpreter", "handler", "back"))
        told = json.loads(answer("call", "calculator", "add", "[1, 2]", "--json"))
        assert (told["result"], told["version"]) == (3, 1)
        parts = sum(took for stage, took in told["timing"].items() if stage != "round_trip")
        assert 0 < parts <= told["timing"]["round_trip"]

    def test_the_version_of_a_swap(self, worker):
        worker(CALCULATOR + "endpoint.register('grid')(lambda size: size)\n")
        assert json.loads(answer("call", "calculator", "grid", "5", "--json"))["version"] == 2

    def test_a_stream_is_a_line_for_each_item(self, worker):
        worker(CALCULATOR)
        assert answer("call", "calculator", "ticks", '["BUND", 4]', "--stream") == "100.0\n101.0\n102.0\n103.0\n"
        lines = answer("call", "calculator", "ticks", '["BUND", 1]', "--stream", "--json").splitlines()
        assert [json.loads(line) for line in lines] == [{"item": 100.0}, {"version": 1}]

    def test_what_json_has_no_form_for(self, worker):
        worker(
            "import datetime as dt\nfrom pycrust import RpcEndpoint\nendpoint = RpcEndpoint('calculator')\n"
            "endpoint.register('odd')(lambda: {'nan': float('nan'), 'far': float('-inf'), 'raw': b'abc', "
            "'pairs': {1: 'a', '1': 'b'}, 'at': dt.datetime(2026, 3, 1, tzinfo=dt.UTC), 'large': 1 << 100})\n"
            "endpoint.serve()\n"
        )
        assert called("odd") == {
            "nan": "NaN",
            "far": "-Infinity",
            "raw": "YWJj",
            "pairs": [[1, "a"], ["1", "b"]],
            "at": "2026-03-01T00:00:00+00:00",
            "large": 1 << 100,
        }


class TestErrors:
    def test_of_a_handler(self, worker):
        worker(CALCULATOR)
        done = run("call", "calculator", "divide", "[1, 0]", "--version")
        assert (done.returncode, done.stdout) == (1, "")
        lines = done.stderr.splitlines()
        assert lines[0] == f"UNKNOWN (ZeroDivisionError): {DIVISION}"
        assert "it may have run" in lines
        assert f"ZeroDivisionError: {DIVISION}" in lines
        assert lines[-1] == "version 1"
        done = run("call", "calculator", "divide", "[1, 0]", "--json")
        told = json.loads(done.stdout)
        error = told["error"]
        assert (done.returncode, done.stderr, told["version"]) == (1, "", 1)
        assert (error["code"], error["type"], error["may_have_run"]) == ("UNKNOWN", "ZeroDivisionError", True)
        assert error["traceback"].startswith("Traceback")

    def test_of_arguments(self, worker):
        worker(CALCULATOR)
        done = run("call", "calculator", "add", '{"a": "x", "c": 1}')
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert lines[0].startswith("INVALID_ARGUMENT (pydantic_core.ValidationError): ")
        assert any(line.startswith("  a: Input should be a valid integer") for line in lines)
        assert lines[-1] == "it did not run"
        error = json.loads(answer("call", "calculator", "add", '{"a": "x"}', "--json", status=1))["error"]
        assert [(one["loc"], one["type"]) for one in error["details"]] == [(["a"], "int_parsing")]

    def test_of_a_stream(self, worker):
        worker(CALCULATOR)
        done = run("call", "calculator", "ticks", '["GONE"]', "--stream")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[:2] == [
            "NOT_FOUND (pycrust.errors.NotFound): no GONE",
            "  {'known': ['BUND']}",
        ]

    def test_a_method_that_is_none(self, worker):
        worker(CALCULATOR)
        done = run("call", "calculator", "ad")
        assert (done.returncode, 'did you mean "add"' in done.stderr) == (1, True)

    def test_nobody_serves_the_name(self):
        done = run("call", "nobody", "add")
        assert (done.returncode, done.stdout, 'no worker serves "nobody"' in done.stderr) == (3, "", True)

    def test_a_call_that_waits_for_a_worker(self, worker, start):
        waiting = start(
            *PYCRUST, "call", "calculator", "add", "[1, 2]", "--wait", "60", env=environment(), cwd=ROOT
        )
        worker(CALCULATOR)
        assert waiting.finish() == "3\n"


class TestWorkersThatAreNotWell:
    def test_a_handler_that_hangs(self, worker):
        with hanging_handler(worker):
            assert called("add", "[1, 2]") == 3
            done = run("call", "calculator", "hang", "--timeout", "0.2")
            assert (done.returncode, done.stderr.startswith("DEADLINE_EXCEEDED")) == (1, True)

    def test_an_interpreter_that_is_held(self, worker, tmp_path):
        with held_interpreter(worker, tmp_path / "pipe"):
            done = run("call", "calculator", "add", "[1, 2]", "--timeout", "0.2")
            assert (done.returncode, done.stderr.startswith("DEADLINE_EXCEEDED")) == (1, True)
            assert "wait for the interpreter" in done.stderr

    def test_a_worker_that_is_killed_in_the_call(self, worker, start):
        program = worker(CALCULATOR)
        caller = start(*PYCRUST, "call", "calculator", "hang", env=environment(), cwd=ROOT)
        with RpcClient("calculator") as client:
            stats = client.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in stats.call()["methods"]) == 1, "the call to hang")
        kill(program)
        _, said = caller.process.communicate()
        assert (caller.process.returncode, said.startswith("UNAVAILABLE")) == (1, True)
        assert "it may have run" in said

    def test_an_interrupt_cancels_the_call(self, worker, start):
        worker(CALCULATOR)
        caller = start(*PYCRUST, "call", "calculator", "hang", env=environment(), cwd=ROOT)
        with RpcClient("calculator") as client:
            stats = client.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in stats.call()["methods"]) == 1, "the call to hang")
            caller.send(signal.SIGINT)
            assert caller.process.wait() == 130
            client.call("release")


class TestColor:
    @pytest.mark.parametrize("no_color", [False, True])
    def test_on_a_terminal_unless_it_is_not_wanted(self, worker, no_color):
        worker(CALCULATOR)
        ours, theirs = pty.openpty()
        variables = environment(**({"NO_COLOR": "1"} if no_color else {}))
        command = [*PYCRUST, "call", "calculator", "divide", "[1, 0]"]
        caller = subprocess.Popen(command, stderr=theirs, env=variables, cwd=ROOT)
        os.close(theirs)
        said = b""
        while True:
            try:
                read = os.read(ours, 4096)
            except OSError:  # nobody writes any more
                break
            if not read:
                break
            said += read
        os.close(ours)
        assert caller.wait() == 1
        assert (b"\x1b[31mUNKNOWN" in said, b"UNKNOWN" in said) == (not no_color, True)

    def test_not_into_a_pipe(self, worker):
        worker(CALCULATOR)
        assert "\x1b" not in run("call", "calculator", "divide", "[1, 0]").stderr
