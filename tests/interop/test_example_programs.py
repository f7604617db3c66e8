"""The example programs, each with its Python side, through what happens to them in use."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PATIENCE, ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Program
    from tests.kernels import Kernel

EXAMPLES = ROOT / "client-rs" / "examples"
PYTHON_SIDES = {"trading": "strategy.py", "robot": "policy.py", "web": "scoring.py", "engine": "engine.py"}

WIDER = """
@endpoint.register
def decide(event: Event) -> Decision:
    if isinstance(event, Fill):
        return Pull(reason=f"{event.side} {event.size}")
    middle = (event.bid + event.ask) / 2
    return Quote(bid=middle - Decimal("0.02"), ask=middle + Decimal("0.02"), size=5)
"""


def cells(example: str) -> str:
    """The Python side of an example without its last lines, which are for a script."""
    source = (EXAMPLES / example / PYTHON_SIDES[example]).read_text()
    source, script, listen = source.partition('\nif __name__ == "__main__":\n')
    assert (script, listen.strip()) != ("", "endpoint.listen()")
    return f"{source}\nendpoint.serve()\n"


def recorded(kernel: Kernel, calls: str) -> int:
    """How many of the last calls match, at most one."""
    return int(kernel.run(f"len(endpoint.traffic({calls!r}, limit=1))"))


def test_a_trading_process_goes_on_while_its_strategy_is_replaced(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(cells("trading"))
    trading = rust("trading")
    assert trading.line() == "trading"
    wait_until(lambda: recorded(kernel, "version:1 status:ok"), "a decision")
    kernel.run(WIDER)
    wait_until(lambda: recorded(kernel, "version:2 status:ok"), "a decision of the new strategy")
    trading.send(signal.SIGINT)
    report = json.loads(trading.finish())
    assert report["errors"] == {}
    decisions = {version: told["decisions"] for version, told in report["versions"].items()}
    assert sum(decisions.values()) + report["late"] == report["events"], "each event has one end"
    assert report["quotes"] + sum(report["pulled"].values()) == sum(decisions.values())
    widths = {version: told["widths"] for version, told in report["versions"].items()}
    assert set(widths) <= {"1", "2"}
    assert all(
        set(widths[version]) <= {width} for version, width in (("1", "0.02"), ("2", "0.04")) if version in widths
    )


def test_a_robot_drops_what_is_stale_while_its_model_is_reloaded(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(cells("robot"))
    robot = rust("robot", "--hz", 20)
    assert robot.line() == "moving"
    wait_until(lambda: recorded(kernel, "version:1 status:ok"), "an action")
    kernel.run("policy.reload(2.0).result()")
    wait_until(lambda: recorded(kernel, "version:2 status:ok"), "an action of the new model")
    kernel.run("thinks = 0.3")
    wait_until(lambda: recorded(kernel, "status:cancelled"), "a picture that is stale")
    kernel.run("thinks = 0.0; since = endpoint.traffic(limit=1)[0].seq")
    wait_until(lambda: int(kernel.run("len(endpoint.traffic('status:ok', since=since))")), "the loop to go on")
    robot.send(signal.SIGINT)
    report = json.loads(robot.finish())
    assert report["errors"] == {}
    assert report["stale"] >= 1
    assert report["acted"] >= 1
    assert report["acted"] == report["in_place"], "pictures are sent from where they were built"
    assert report["ticks"] - report["acted"] - report["stale"] in {0, 1}, "the last tick may be on its way"
    assert set(report["versions"]) <= {"1", "2"}
    assert len(report["last"]) == 7


class Site:
    """The web service, as a browser sees it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.address = program.line().removeprefix("listening on ")
        self.connections: list[http.client.HTTPConnection] = []

    def open(self, method: str, path: str, body: object = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        self.connections.append(connection)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection.getresponse()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        response = self.open(method, path, body)
        return response.status, response.read().decode()

    def listens(self) -> bool:
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except ConnectionError:
            return False
        return True

    def leave(self) -> None:
        """Closes every connection, in the middle of what it brings."""
        for connection in self.connections:
            connection.close()


@pytest.fixture
def site(rust: Callable[..., Program]) -> Iterator[Site]:
    opened = Site(rust("web", "--listen", "127.0.0.1:0", "--timeout", PATIENCE))
    yield opened
    opened.leave()


def tokens(response: http.client.HTTPResponse) -> Iterator[str]:
    for line in response:
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").decode().strip()


def test_a_web_service_starts_first_outlives_its_worker_and_ends_well(site: Site, worker: Callable[..., Program]):
    status, body = site.ask("GET", "/health")
    assert (status, json.loads(body)["code"]) == (503, "UNAVAILABLE")
    answers: list[tuple[int, str]] = []

    def ask() -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.append(site.ask("POST", "/score", {"text": "Hi!"})))
        thread.start()
        return thread

    waiting = ask()
    serving = worker(cells("web"))
    waiting.join(PATIENCE)
    assert [(status, json.loads(body)["label"]) for status, body in answers] == [(200, "excited")]
    assert site.ask("GET", "/health") == (200, "well\n")
    status, body = site.ask("POST", "/score", {"text": ""})
    assert (status, json.loads(body)["code"]) == (422, "INVALID_ARGUMENT")
    assert list(tokens(site.open("GET", "/tokens?prompt=a+b&count=3"))) == ["a", "b", "a"]

    serving.send(signal.SIGKILL)
    serving.process.wait()
    again = ask()
    worker(cells("web"))
    again.join(PATIENCE)
    assert [status for status, _ in answers] == [200, 200], "the request waited for the next worker"

    endless = tokens(site.open("GET", "/tokens?prompt=a+b&count=1000000"))
    assert [next(endless), next(endless)] == ["a", "b"]
    site.program.send(signal.SIGTERM)
    assert {*endless} <= {"a", "b"}, "an open stream is ended, not cut off"
    assert site.program.finish() == "ended\n"


def test_a_reader_that_leaves_ends_its_generator(site: Site, worker: Callable[..., Program]):
    serving = worker(cells("web"))
    assert next(tokens(site.open("GET", "/tokens?prompt=a+b&count=1000000"))) == "a"
    site.leave()
    assert serving.process.stderr.readline() == "the reader left\n"


SLOW = """
import pathlib

@endpoint.register
def score(text: str) -> Score:
    print("taken", file=sys.stderr, flush=True)
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.01)
    return Score(label="late", confidence=1.0)

endpoint.serve()
"""


def test_a_request_that_is_under_way_ends_before_the_service_does(
    site: Site, worker: Callable[..., Program], tmp_path: Path
):
    go = tmp_path / "go"
    serving = worker(cells("web").removesuffix("endpoint.serve()\n") + SLOW.format(go=str(go)))
    answers: list[tuple[int, str]] = []
    asks = threading.Thread(target=lambda: answers.append(site.ask("POST", "/score", {"text": "Hi!"})))
    asks.start()
    assert serving.process.stderr.readline() == "taken\n"
    site.program.send(signal.SIGTERM)
    wait_until(lambda: not site.listens(), "the service to take no more")
    assert answers == []
    go.touch()
    asks.join(PATIENCE)
    assert [(status, json.loads(body)["label"]) for status, body in answers] == [(200, "late")]
    assert site.program.finish() == "ended\n"


def test_an_engine_s_front_end_has_its_types_from_the_engine(
    worker: Callable[..., Program], rust: Callable[..., Program]
):
    worker(cells("engine"))
    lines = rust("engine", "--prompt", "1,2,3", "--max-tokens", 3).finish().splitlines()
    assert lines == ["[4] at -0.5", "[5] at -0.5", "[6] at -0.5 (length)"]
    stopped = rust("engine", "--prompt", "7,8", "--stop", 17, "--embedded").finish().splitlines()
    assert stopped == ["[16] at -0.5", "[17] at -0.5 (stop)"]


@pytest.mark.parametrize("example", PYTHON_SIDES)
def test_the_python_side_runs_as_a_script(
    start: Callable[..., Program], example: str, rust: Callable[..., Program]
):
    """Its last lines serve until they are interrupted."""
    script = start(sys.executable, EXAMPLES / example / PYTHON_SIDES[example], stdin=subprocess.DEVNULL)
    wait_until(lambda: serves(rust, example), "the script to serve")
    script.send(signal.SIGINT)
    assert script.process.wait(PATIENCE) == 0


def serves(rust: Callable[..., Program], example: str) -> bool:
    name = {"trading": "strategy", "robot": "robot", "web": "scoring", "engine": "engine"}[example]
    asked = rust("call", "--endpoint", name, "--method", "pycrust.health", "--args", "null")
    return "value" in json.loads(asked.finish())
