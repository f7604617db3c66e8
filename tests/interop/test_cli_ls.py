"""`pycrust ls`: endpoints and how they are."""

from __future__ import annotations

import json
import signal

import pytest

from pycrust import RpcClient
from tests.interop.command_line import (
    CALCULATOR,
    answer,
    draining_worker,
    hanging_handler,
    held_interpreter,
    kill,
    run,
)

OTHER = "from pycrust import RpcEndpoint\nother = RpcEndpoint('other')\nother.serve()\n"


def listed(*options: str) -> dict[str, dict]:
    return {row["endpoint"]: row for row in json.loads(answer("ls", "--json", *options))}


def test_nobody_lives():
    done = run("ls")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no endpoint lives\n")
    assert listed() == {}


def test_as_text_and_as_json(worker):
    program = worker(CALCULATOR)
    other = worker(OTHER, env=None)
    with RpcClient("calculator", client_name="somebody"):
        first, *rows = answer("ls").splitlines()
        assert first.split() == ["endpoint", "pid", "state", "methods", "clients", "notebook"]
        assert [row.split() for row in rows] == [
            ["calculator", str(program.pid), "serving", "7", "1"],
            ["other", str(other.pid), "serving", "0", "0"],
        ]
        found = listed()
    assert (found["calculator"]["clients"], found["calculator"]["state"]) == (1, "serving")
    assert found["calculator"]["methods"] == ["add", "divide", "grid", "hang", "mean", "release", "ticks"]


def test_the_notebook(worker, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "arm.ipynb")
    worker(OTHER)
    assert answer("ls").splitlines()[1].split()[-1] == "arm.ipynb"


def test_a_handler_that_hangs(worker):
    with hanging_handler(worker):
        assert listed()["calculator"]["state"] == "serving"


def test_an_interpreter_that_is_held(worker, tmp_path):
    with held_interpreter(worker, tmp_path / "pipe"):
        found = listed()["calculator"]
        assert (found["state"], found["waiting_ns"] > 100_000_000) == ("interpreter held", True)
        assert "interpreter held for" in answer("ls")


def test_a_process_that_is_stopped_holds_up_nobody(worker):
    program = worker(CALCULATOR)
    worker(OTHER)
    program.send(signal.SIGSTOP)
    try:
        found = listed()
    finally:
        program.send(signal.SIGCONT)
    assert {name: row["state"] for name, row in found.items()} == {"calculator": "silent", "other": "serving"}
    assert listed()["calculator"]["state"] == "serving"


def test_one_that_drains(worker):
    with draining_worker(worker):
        assert listed()["calculator"]["state"] == "stopping"


@pytest.mark.parametrize("everything", [False, True])
def test_a_dead_one(worker, everything):
    program = worker(CALCULATOR)
    kill(program)
    found = listed(*(["--all"] if everything else []))
    if everything:
        assert (found["calculator"]["state"], found["calculator"]["pid"]) == ("dead", program.pid)
    else:
        assert found == {}
    assert listed("--all") == {}, "what it left is removed as soon as it was listed"
