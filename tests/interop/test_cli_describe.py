"""`pycrust describe`: what can be called."""

from __future__ import annotations

import json

from tests.interop.command_line import CALCULATOR, answer, hanging_handler, held_interpreter, kill, run

SIGNATURES = [
    "add(a: int, b: int = 2) -> int",
    "divide(a: float, b: float) -> float",
    "grid(size: int) -> npt.NDArray[Any]",
    "hang() -> str",
    "mean(image: npt.NDArray[Any], scale: float = 1.0) -> float",
    "release() -> None",
    "ticks(symbol: str, count: int = 3) -> Iterator[float]",
]


def test_as_text_and_as_json(worker):
    program = worker(CALCULATOR)
    lines = answer("describe", "calculator").splitlines()
    assert lines[0] == f"calculator · pid {program.pid} · serving · 7 methods · 0 clients · records its calls"
    assert [line for line in lines[1:] if line and not line.startswith(" ")] == SIGNATURES
    assert "    Adds two numbers." in lines
    assert any(line.endswith("4 calls at once") for line in lines)
    told = json.loads(answer("describe", "calculator", "--json"))
    assert [method["signature"] for method in told["methods"]] == SIGNATURES
    add = told["methods"][0]
    assert (add["name"], add["version"], add["kind"], add["concurrency"]) == ("add", 1, "call", 1)
    assert add["request"]["properties"]["a"]["type"] == "integer"
    assert (told["status"], told["clients"], told["recorder"]["on"]) == ("serving", [], True)


def test_without_methods(worker):
    worker("from pycrust import RpcEndpoint\nendpoint = RpcEndpoint('empty')\nendpoint.serve()\n")
    assert " · 0 methods · " in answer("describe", "empty")


def test_while_a_handler_hangs(worker):
    with hanging_handler(worker):
        assert "hang() -> str" in answer("describe", "calculator")


def test_while_the_interpreter_is_held(worker, tmp_path):
    with held_interpreter(worker, tmp_path / "pipe"):
        assert "hang() -> str" in answer("describe", "calculator")


def test_a_dead_one(worker):
    kill(worker(CALCULATOR))
    done = run("describe", "calculator")
    assert (done.returncode, done.stdout) == (3, "")
    assert 'no worker serves "calculator"' in done.stderr
