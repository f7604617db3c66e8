"""What the inspector shows of single calls, and what can be done with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.jupyter.browser import looks
from tests.jupyter.browser.lab import OTHER_KERNEL, Lab, Notebook
from tests.jupyter.browser.service import ADD, BURN, SERVE, SHOW, SLEEP, moves, traffic

if TYPE_CHECKING:
    from collections.abc import Callable

FAIL = """\
import numpy as np

@endpoint.register
def divide(a: int, b: int) -> float:
    print("dividing", a, "by", b)
    return a / b

@endpoint.register
def wait(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    return "waited\""""
MEND = """\
@endpoint.register
def divide(a: int, b: int) -> float:
    return a / b if b else float("inf")"""


def choose(notebook: Notebook, text: str) -> None:
    """Clicks the first call in the list that says `text`, and waits for what it was."""
    notebook.page.get_by_test_id("call-row").filter(has_text=text).first.click()
    detail = notebook.page.get_by_test_id("call-detail")
    detail.locator(".pycrust-detail-title").wait_for()


def one(rust: Callable, method: str, arguments: object, *more: object) -> None:
    traffic(rust, "--calls", 1, *more, method=method, arguments=arguments).finish()


def test_a_failing_call_is_found_explained_and_replayed_on_its_mend(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, FAIL, SHOW]) as notebook:
        for cell in range(4):
            notebook.run(cell)
        notebook.page.get_by_test_id("traffic-list").wait_for(state="attached")
        one(rust, "add", {"a": 1, "b": 2})
        one(rust, "divide", {"a": 7, "b": 0})
        one(rust, "add", {"a": "five", "b": 2})
        notebook.wait(lambda: notebook.count("call-row") == 3, "three calls")
        notebook.wait(lambda: "Failing" in notebook.words(), "the view to say so")
        notebook.wait(lambda: "divide v1: UNKNOWN" in notebook.text("event-log"), "the error in the log")

        found = notebook.page.get_by_test_id("traffic-filter")
        found.fill("divide status:error")
        notebook.wait(lambda: notebook.count("call-row") == 1, "the failing call alone")
        choose(notebook, "divide")
        detail = notebook.text("call-detail")
        for expected in ("divide v1", "UNKNOWN", "ZeroDivisionError", "Traceback", "return a / b", "a: 7", "b: 0",
                         "dividing 7 by 0", "handler", "transit", "load (pid"):  # fmt: skip
            assert expected in detail, detail

        found.fill("add >5")
        wrong = notebook.view.locator(".pycrust-wrong")
        notebook.wait(lambda: "is no time" in wrong.inner_text(), "the filter's fault")
        assert wrong.locator("mark").inner_text() == "5"
        found.fill("")
        notebook.wait(lambda: notebook.count("call-row") == 3, "all calls again")
        choose(notebook, "add")
        notebook.wait(lambda: "valid integer" in notebook.text("call-detail"), "why the arguments don't fit")

        choose(notebook, "divide")
        notebook.run(2, MEND)
        notebook.wait(lambda: notebook.row("divide").get_attribute("data-version") == "2", "the mend")
        assert "ZeroDivisionError" in notebook.text("call-detail"), "what is chosen stays"
        notebook.page.get_by_test_id("replay").click()
        diff = notebook.page.get_by_test_id("replay-diff")
        diff.wait_for()
        assert "inf" in diff.inner_text()
        assert "ZeroDivisionError" in diff.inner_text()

        for theme in ("Light", "Dark"):
            notebook.theme(theme)
            for width in (1400, 800, 480):
                notebook.page.set_viewport_size({"width": width, "height": 1700})
                notebook.page.wait_for_timeout(600)  # the chart follows its box in the next frames
                assert looks.outside(notebook) == []
                assert looks.overlapping(notebook) == []
                notebook.picture(f"inspector-{theme.lower()}-{width}")
            assert looks.contrast_below(notebook, 4.5) == []
        assert looks.accessibility_faults(notebook) == []


def test_the_inspector_works_by_keyboard_and_keeps_choice_and_scroll(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.row("add").wait_for()
        load = traffic(rust, "--tasks", 1, "--pace", 20, "--until-eof")
        notebook.wait(lambda: notebook.count("call-row") >= 50, "calls")
        page = notebook.page
        page.get_by_test_id("traffic-filter").focus()
        page.keyboard.type("add")
        page.keyboard.press("ArrowDown")
        page.locator("[data-testid=call-row][aria-selected=true]").wait_for()
        page.keyboard.press("ArrowDown")
        chosen = page.locator("[data-testid=call-row][aria-selected=true]").get_attribute("data-key")
        page.get_by_test_id("traffic-list").evaluate("list => { list.scrollTop = 200; }")
        before = notebook.updates()
        notebook.wait(lambda: notebook.updates() >= before + 15, "updates")
        assert page.locator("[data-testid=call-row][aria-selected=true]").get_attribute("data-key") == chosen
        assert page.get_by_test_id("traffic-list").evaluate("list => list.scrollTop") >= 200
        assert page.evaluate("document.activeElement.dataset.testid") == "traffic-list"
        for _ in range(3):  # past the panel itself, to its first button
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.testid") == "replay":
                break
        page.keyboard.press("Enter")
        page.get_by_test_id("replay-diff").wait_for()

        page.get_by_test_id("traffic-pause").click()
        rows = page.get_by_test_id("call-row").evaluate_all("rows => rows.map(row => row.dataset.key)")
        before = notebook.updates()
        notebook.wait(lambda: notebook.updates() >= before + 10, "updates")
        assert page.get_by_test_id("call-row").evaluate_all("rows => rows.map(row => row.dataset.key)") == rows
        load.stop()


@pytest.mark.parametrize("kernel", ["python3", OTHER_KERNEL])
def test_view_goes_on_and_clicks_are_answered_while_a_cell_is_busy(lab: Lab, rust: Callable, kernel: str) -> None:
    version = "import ipykernel; ipykernel.__version__"
    with lab.opened([SERVE, ADD, SHOW, SLEEP, BURN, version], kernel=kernel) as notebook:
        assert ("7.3." in notebook.run(5)) == (kernel == OTHER_KERNEL)
        for cell in range(3):
            notebook.run(cell)
        notebook.row("add").wait_for()
        one(rust, "add", {"a": 20, "b": 22})
        one(rust, "add", {"a": 30, "b": 12})
        notebook.wait(lambda: notebook.count("call-row") == 2, "two calls")
        notebook.page.get_by_test_id("traffic-pause").click()
        load = traffic(rust)
        moves(notebook, 1)
        for cell, row in ((3, 0), (4, 1)):
            notebook.begin(cell)
            notebook.wait(lambda cell=cell: notebook.busy(cell), "the cell to start")
            before = notebook.updates()
            moves(notebook, 3)
            notebook.wait(lambda before=before: notebook.updates() >= before + 8, "updates at five a second")
            assert notebook.condition() == "live"
            notebook.page.get_by_test_id("call-row").nth(row).click()
            expected = ("a: 30", "a: 20")[row]
            notebook.wait(lambda expected=expected: expected in notebook.text("call-detail"), "the call")
            assert notebook.busy(cell), "updates and clicks must go on while the cell runs, not after it"
            notebook.wait(lambda cell=cell: not notebook.busy(cell), "the cell to end")
        load.stop()


def test_a_running_call_can_be_interrupted(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, FAIL, SHOW]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.row("wait").wait_for()
        load = traffic(
            rust, "--calls", 1, "--timeout-ms", 60_000, "--json", method="wait", arguments={"seconds": 50}
        )
        choose_running = notebook.page.get_by_test_id("call-row").filter(has_text="running")
        choose_running.first.click()
        interrupt = notebook.page.get_by_test_id("interrupt")
        interrupt.wait_for()
        assert interrupt.is_enabled()
        interrupt.click()
        report = json.loads(load.finish())
        assert report["errors"] == {"CANCELLED": 1}


def test_nothing_of_a_call_is_saved(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.row("add").wait_for()
        one(rust, "add", {"a": 12345671, "b": 2})
        notebook.wait(lambda: notebook.count("call-row") == 1, "the call")
        choose(notebook, "add")
        notebook.wait(lambda: "12345671" in notebook.text("call-detail"), "its arguments")
        notebook.save()
        saved = (lab.server.served / notebook.name).read_text(encoding="utf-8")
        assert "12345671" not in saved
        assert "calculator · serving" in saved
        state = json.loads(saved)["metadata"].get("widgets", {})
        outputs = json.loads(saved)["cells"][2]["outputs"]
        assert len(json.dumps([state, outputs]).encode()) <= 4096
