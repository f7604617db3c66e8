"""What the dashboard shows of real traffic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.jupyter.browser import looks
from tests.jupyter.browser.service import ADD, HOLD, MODEL, SERVE, SHOW, SLEEP, STOP, THREADS, moves, traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jupyter.browser.lab import Lab, Notebook


def test_live_view_shows_rust_traffic_while_it_happens(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW, SLEEP, THREADS, STOP, MODEL]) as notebook:
        notebook.run(0)
        notebook.run(1)
        assert "[]" in notebook.run(4), "a thread runs although nobody looks"
        notebook.run(2)
        notebook.row("add").wait_for()
        notebook.wait(lambda: notebook.condition() == "live", "the view to be live")
        assert notebook.row("add").get_attribute("data-version") == "1"
        assert notebook.calls("add") == 0
        assert "No calls yet" in notebook.words()

        load = traffic(rust)
        moves(notebook, 3)
        notebook.wait(lambda: notebook.tile("calls") > 0, "a rate")
        notebook.wait(lambda: 0 < notebook.tile("p50") <= notebook.tile("p99"), "round trips")
        notebook.wait(lambda: "Healthy" in notebook.words() or "Slow" in notebook.words(), "words about it")
        assert notebook.tile("errors") == 0
        assert notebook.page.get_by_test_id("tile-inflight").is_visible()
        bar = notebook.row("add").locator(".pycrust-bar")
        notebook.wait(lambda: "back" in (bar.get_attribute("aria-label") or ""), "the stages")
        notebook.wait(lambda: "connected" in notebook.text("event-log"), "the client in the log")

        assert notebook.count("swap-mark") == 0
        notebook.run(1, ADD.replace("a + b", "b + a"))
        notebook.wait(lambda: notebook.row("add").get_attribute("data-version") == "2", "version 2")
        assert notebook.row("add").locator(".pycrust-chip").text_content() == "v2"
        mark = notebook.page.get_by_test_id("swap-mark")
        mark.wait_for()
        assert mark.text_content() == "add v2"
        notebook.wait(lambda: "add v1 → v2" in notebook.text("event-log"), "the swap in the log")
        notebook.run(1, ADD.replace("a + b", "a - b") + "\n1 / 0")
        notebook.wait(lambda: "refused" in notebook.text("event-log"), "the refused cell in the log")
        assert notebook.row("add").get_attribute("data-version") == "2"
        notebook.run(6)
        notebook.page.get_by_test_id("model-gain").wait_for()
        assert "800 B" in notebook.text("model-gain")

        looked_at(notebook)

        # The worker must be there to free what a killed client leaves.
        load.stop()
        notebook.wait(lambda: "0 clients" in notebook.facts(), "the client to be gone")
        notebook.wait(lambda: "disconnected" in notebook.text("event-log"), "its end in the log")
        assert "pycrust-view" in notebook.run(4)
        notebook.run(5)
        notebook.wait(lambda: notebook.condition() == "stopped", "the view to say that the endpoint stopped")
        assert "Not serving" in notebook.words()
        assert "[]" in notebook.run(4), "a thread is left behind"


def looked_at(notebook: Notebook) -> None:
    """Light and dark, wide and narrow, while numbers change."""
    looks.fits(notebook, "live-view")
    notebook.page.set_viewport_size({"width": 1400, "height": 1100})
    assert looks.numerals_that_are_not_tabular(notebook) == []
    assert looks.accessibility_faults(notebook) == []
    notebook.page.wait_for_timeout(600)
    assert looks.shifted(notebook, 50) == []


def test_view_says_that_the_interpreter_is_held(lab: Lab) -> None:
    with lab.opened([SERVE, SHOW, HOLD]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("ping").wait_for()
        notebook.wait(lambda: notebook.condition() == "live", "the view to be live")
        notebook.begin(2)
        notebook.wait(lambda: notebook.condition() == "stale", "the view to say that nothing comes")
        assert "interpreter lock" in notebook.words()
        notebook.picture("live-view-held")
        notebook.wait(lambda: notebook.condition() == "live", "the view to go on")
        notebook.wait(lambda: "the interpreter was held for" in notebook.text("event-log"), "the log to say so")


def test_view_agrees_with_what_the_client_measured(lab: Lab, rust: Callable, tmp_path: Path) -> None:
    with lab.opened([SERVE, ADD, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.run(2)
        notebook.row("add").wait_for()
        history = tmp_path / "calls.jsonl"
        # All of them within one window of the histograms, which is 5 s at least.
        traffic(rust, "--tasks", 1, "--calls", 400, "--pace", 200, "--history", history).finish()
        notebook.wait(lambda: notebook.calls("add") == 400, "all calls")
        times = sorted(
            call["received_ns"] - call["sent_ns"] for call in map(json.loads, history.read_text().splitlines())
        )
        assert len(times) == 400
        for tile, quantile in (("p50", 0.5), ("p99", 0.99)):
            shown = notebook.tile(tile)
            # Two significant digits, and a call more or less beside the quantile.
            low, high = (times[min(max(round(400 * quantile) + step, 0), 399)] for step in (-4, 3))
            # The client measures up to the answer's reaching its caller, which writes down the time a little later.
            assert low * 0.99 - 10_000 <= shown <= high * 1.01, f"{tile}: {shown} is not from {low} to {high}"


def test_view_comes_back_with_its_history_when_the_page_is_loaded_again(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.run(2)
        notebook.row("add").wait_for()
        load = traffic(rust)
        moves(notebook, 3)
        notebook.run(1, ADD.replace("a + b", "b + a"))
        notebook.page.get_by_test_id("swap-mark").wait_for()
        notebook.save()
        calls = notebook.calls("add")
        notebook.reload()
        notebook.row("add").wait_for()
        notebook.wait(lambda: notebook.condition() == "live", "the view to be live again")
        assert notebook.calls("add") >= calls
        assert notebook.text("swap-mark") == "add v2"
        assert "add v1 → v2" in notebook.text("event-log")
        points = notebook.view.locator(".pycrust-plots").get_attribute("data-points")
        assert int(points or 0) > 5, "the charts have what was before"
        moves(notebook, 2)
        load.stop()


def test_view_of_a_restarted_kernel_is_stale_and_comes_back(lab: Lab) -> None:
    with lab.opened([SERVE, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("ping").wait_for()
        notebook.page.evaluate("() => { window.jupyterapp.commands.execute('kernelmenu:restart'); }")
        notebook.page.locator(".jp-Dialog .jp-mod-warn, .jp-Dialog .jp-mod-accept").last.click()
        notebook.wait(lambda: notebook.condition() == "disconnected", "the view to say that the kernel is gone")
        assert "Stale" in notebook.words()
        notebook.picture("live-view-restarted")
        notebook.ready()
        notebook.at_home()
        notebook.run(0)
        notebook.run(1)
        notebook.wait(lambda: notebook.condition() == "live", "the new view")


HOSTILE = """\
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("calculator")
endpoint.register("<img src=x onerror=alert(1)>\\"'&")(lambda: None)
for number in range(20):
    endpoint.register(f"method_{number:02}")(lambda: None)
endpoint.serve()"""


def test_view_of_many_methods_with_hostile_names_is_bounded_and_escaped(lab: Lab) -> None:
    with lab.opened([HOSTILE, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.view.locator("tbody tr").nth(10).wait_for(state="attached")
        assert notebook.view.locator("img").count() == 0
        name = notebook.view.locator("tbody th").first.text_content()
        assert name == "<img src=x onerror=alert(1)>\"'&"
        box = notebook.view.bounding_box()
        assert box is not None
        assert box["height"] < 1000
        assert notebook.view.locator("table").get_attribute("aria-rowcount") == "22"
        assert notebook.view.locator("thead th[scope=col]").count() == 9
        assert notebook.row("method_19").count() == 0, "what is out of sight is not there"
        notebook.view.locator(".pycrust-scroll").evaluate("node => { node.scrollTop = node.scrollHeight; }")
        notebook.row("method_19").wait_for()
        notebook.picture("live-view-many")


def test_view_of_a_killed_kernel_says_so(lab: Lab) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with lab.opened([SERVE, SHOW, kill]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("ping").wait_for()
        notebook.begin(2)
        notebook.wait(lambda: notebook.condition() == "disconnected", "the view to say that the kernel is gone")
        assert notebook.view.locator(".pycrust-state").text_content() == "disconnected"
        notebook.picture("live-view-disconnected")
        # Jupyter starts the kernel again; the cells, run again, make a new view (and free what the dead one left).
        notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
        notebook.ready()
        notebook.at_home()
        notebook.run(0)
        notebook.run(1)
        notebook.wait(lambda: notebook.condition() == "live", "the new view")


def test_view_in_notebook_7(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW, SLEEP], app="notebook") as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.run(2)
        notebook.row("add").wait_for()
        load = traffic(rust)
        moves(notebook, 2)
        notebook.run(1, ADD.replace("a + b", "b + a"))
        notebook.page.get_by_test_id("swap-mark").wait_for()
        load.stop()
        notebook.page.get_by_test_id("call-row").first.wait_for()
        notebook.begin(3)
        notebook.wait(lambda: notebook.busy(3), "the cell to start")
        before = notebook.updates()
        notebook.page.get_by_test_id("call-row").first.click()
        notebook.wait(lambda: "a: 1" in notebook.text("call-detail"), "the call")
        notebook.wait(lambda: notebook.updates() >= before + 5, "updates")
        assert notebook.busy(3), "updates and clicks must go on while the cell runs"
        assert looks.outside(notebook) == []
        notebook.picture("live-view-notebook-7")
