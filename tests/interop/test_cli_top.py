"""`pycrust top`: the view over a real worker and a Rust client's load, driven by its keys."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import DataTable, Static

from pycrust import RpcClient
from pycrust.cli.top import rows
from pycrust.cli.top.view import Top
from tests.conftest import IMPORTED, PATIENCE, ROOT
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

if TYPE_CHECKING:
    from textual.pilot import Pilot

TIMES = ["p50", "p90", "p99", "p99.9", "max"]
METHODS = ["add", "divide", "grid", "hang", "mean", "release", "ticks"]


class Screen:
    """What the view shows, as text."""

    def __init__(self, app: Top, pilot: Pilot) -> None:
        self.app = app
        self.pilot = pilot

    def table(self, name: str) -> list[list[str]]:
        table = self.app.query_one(f"#{name}", DataTable)
        return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]

    def headings(self) -> list[str]:
        return [str(column.label) for column in self.app.query_one("#methods", DataTable).ordered_columns]

    def text(self, name: str) -> str:
        return str(self.app.query_one(f"#{name}", Static).content)

    def shown(self, name: str) -> bool:
        return bool(self.app.query_one(f"#{name}").display)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Lets the view go on until a condition holds; a hang becomes a failure."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.pilot.pause(0.02)
        assert condition(), what


def look(test: Callable[[Screen], Coroutine[Any, Any, None]], size: tuple[int, int] = (80, 40)) -> None:
    """Runs the view, and a test beside it."""

    async def whole() -> None:
        with RpcClient("calculator", client_name="pycrust top", timeout=5) as client:
            app = Top(client, "pycrust top", 0.1)
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                await test(Screen(app, pilot))

    asyncio.run(whole())


@pytest.fixture
def load(rust):
    """A Rust client that calls `add` all the time."""

    def begin(tasks: int = 2):
        return rust(
            "load", "--endpoint", "calculator", "--method", "add", "--args", '{"a": 1}', "--calls", 100_000_000,
            "--tasks", tasks, "--json",
        )  # fmt: skip

    return begin


class TestView:
    @pytest.mark.parametrize(
        ("width", "columns"),
        [
            (80, ["method", "ver", "calls/s", "errors", "flight", "p50", "p99", "max"]),
            (
                200,
                ["method", "version", "calls/s", "calls", "errors", "in flight", *TIMES, *rows.STAGES],
            ),
        ],
    )
    def test_what_the_rust_client_measures(self, worker, load, width, columns):
        program = worker(CALCULATOR)
        load()

        async def test(screen: Screen) -> None:
            assert screen.headings() == columns
            await screen.until(
                lambda: (
                    screen.table("methods")[0][columns.index("p99")] != "-" and screen.table("methods")[0][2] != "0"
                ),
                "the client's measurements",
            )
            assert [row[0] for row in screen.table("methods")] == METHODS
            assert all(re.fullmatch(r"[\d.]+ [nµm]?s", cell) for cell in screen.table("methods")[0][-3:])
            headline = screen.text("headline")
            assert headline.startswith(f"calculator · pid {program.pid} · serving · up for ")
            assert "1 client" in headline
            assert re.search(r"[\d,]+ calls/s · 0\.0 errors/s · \d+ in flight · p50 ", headline)
            assert [row[0] for row in screen.table("clients")] == ["load"]
            assert any("load (pid " in row[1] and row[1].endswith("connected") for row in screen.table("events"))
            # Nothing is wider than the terminal.
            methods = screen.app.query_one("#methods", DataTable)
            assert sum(column.get_render_width(methods) for column in methods.ordered_columns) <= width - 2

        look(test, (width, 40))

    def test_it_grows_with_the_terminal(self, worker):
        worker(CALCULATOR)

        async def test(screen: Screen) -> None:
            assert len(screen.headings()) == 8
            await screen.pilot.resize_terminal(200, 40)
            await screen.until(lambda: len(screen.headings()) == 18, "all columns")
            assert len(screen.table("methods")) == 7

        look(test)

    def test_details_of_a_method(self, worker):
        worker(CALCULATOR)
        with RpcClient("calculator") as client:
            client.call("add", 1, 2)
            with pytest.raises(ValueError, match="a: "):
                client.call("add", "x")

        async def test(screen: Screen) -> None:
            assert not screen.shown("details")
            await screen.pilot.press("enter")
            await screen.until(lambda: screen.shown("details"), "the details")
            lines = screen.text("details").splitlines()
            assert lines[0] == "add v1: 2 calls, 1 errors"
            assert [line.split("  ")[0] for line in lines[2:]][:8] == ["round trip", *rows.STAGES]
            assert lines[-2:] == ["errors: INVALID_ARGUMENT 1", "answers: v1 2"]
            await screen.pilot.press("escape")
            await screen.until(lambda: not screen.shown("details"), "the details to be closed")

        look(test)

    def test_a_filter(self, worker):
        worker(CALCULATOR)

        async def test(screen: Screen) -> None:
            await screen.pilot.press("slash", "i", "d")
            await screen.until(lambda: [row[0] for row in screen.table("methods")] == ["divide", "grid"], "both")
            await screen.pilot.press("enter")
            assert not screen.shown("filter")
            await screen.pilot.press("down", "enter")
            await screen.until(lambda: screen.text("details").startswith("grid v1"), "the second one's details")
            await screen.pilot.press("escape")
            await screen.until(lambda: len(screen.table("methods")) == 7, "all of them")

        look(test)

    def test_orders(self, worker):
        worker(CALCULATOR)
        with RpcClient("calculator") as client, pytest.raises(RuntimeError):
            client.call("divide", 1, 0)

        async def test(screen: Screen) -> None:
            assert screen.table("methods")[0][0] == "add"
            await screen.pilot.press("s", "s")
            await screen.until(lambda: screen.table("methods")[0][0] == "divide", "the one with errors")

        look(test)

    def test_swaps_and_clients_are_events(self, worker):
        worker(
            CALCULATOR + "endpoint.register('swap')(lambda: endpoint.register('add')(lambda a, b=2: a - b) and 1)\n"
        )

        async def test(screen: Screen) -> None:
            events = {row[1] for row in screen.table("events")}
            assert not any("v2" in event for event in events)
            with RpcClient("calculator", client_name="\x1b[31m[red]arm") as client:
                await client.acall("swap")
                await screen.until(
                    lambda: "add v1 → v2" in {row[1] for row in screen.table("events")}, "the swap to be shown"
                )
                await screen.until(
                    lambda: [row[0] for row in screen.table("clients")] == ["\\x1b[31m[red]arm"],
                    "the client, without what a terminal would obey",
                )
            await screen.until(
                lambda: any("[red]arm" in row[1] and " went: " in row[1] for row in screen.table("events")),
                "its going",
            )

        look(test)

    def test_standing_still(self, worker):
        worker(CALCULATOR)

        async def test(screen: Screen) -> None:
            await screen.pilot.press("space")
            with RpcClient("calculator") as client:
                await client.acall("add", 1, 2)
            await screen.pilot.press("enter")
            await screen.until(lambda: screen.shown("details"), "the details")
            assert screen.text("details").startswith("add v1: 0 calls")
            await screen.pilot.press("space")
            await screen.until(lambda: screen.text("details").startswith("add v1: 1 calls"), "it to go on")

        look(test)


class TestWorkersThatAreNotWell:
    def test_a_handler_that_hangs(self, worker):
        async def test(screen: Screen) -> None:
            await screen.until(lambda: screen.table("methods")[3][4] == "1", "the call in flight")

        with hanging_handler(worker):
            look(test)

    def test_an_interpreter_that_is_held(self, worker, tmp_path: Path):
        async def test(screen: Screen) -> None:
            assert [row[0] for row in screen.table("methods")] == METHODS

        with held_interpreter(worker, tmp_path / "pipe"):
            look(test)

    def test_one_that_dies_and_another_that_comes(self, worker):
        program = worker(CALCULATOR)

        async def test(screen: Screen) -> None:
            kill(program)
            await screen.until(lambda: "waiting for a worker" in screen.text("headline"), "its end to be said")
            other = await asyncio.to_thread(worker, CALCULATOR)
            await screen.until(lambda: f"pid {other.pid} · serving" in screen.text("headline"), "the other one")

        look(test)


class TestCommand:
    def test_one_look_as_json(self, worker):
        program = worker(CALCULATOR)
        told = json.loads(answer("top", "calculator", "--json"))
        assert (told["pid"], [one["name"] for one in told["methods"]]) == (program.pid, METHODS)

    def test_nobody_serves_the_name(self):
        assert run("top", "nobody").returncode == 3

    def test_on_a_terminal_until_q(self, worker):
        worker(CALCULATOR)
        ours, theirs = pty.openpty()
        top = subprocess.Popen(
            [*PYCRUST, "top", "calculator"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT,
            env=environment(TERM="xterm-256color"), start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while b"divide" not in shown:
                shown += os.read(ours, 65536)
            os.write(ours, b"q")
            while True:
                try:
                    if not os.read(ours, 65536):
                        break
                except OSError:  # it has closed the terminal
                    break
            assert top.wait() == 0
        finally:
            if top.poll() is None:
                top.send_signal(signal.SIGKILL)
                top.wait()
            os.close(ours)

    def test_without_textual_it_says_what_to_install(self, worker, tmp_path: Path):
        worker(CALCULATOR)
        (tmp_path / "sitecustomize.py").write_text(
            "import importlib.util\nfind = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *more: None if name == 'textual' else find(name, *more)\n"
        )
        done = run("top", "calculator", PYTHONPATH=f"{tmp_path}:{IMPORTED}")
        assert (done.returncode, done.stdout) == (1, "")
        assert "the view needs textual: pip install 'pycrust[top]'" in done.stderr
