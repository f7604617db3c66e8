from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import EXAMPLES, Program
from tests.jupyter.lab import CHROMIUM, Notebook, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (make chromium)")

SERVE = """\
import threading, time
from pydantic import BaseModel
from pycrust import RpcEndpoint

class AddArgs(BaseModel):
    a: int
    b: int

endpoint = RpcEndpoint("calculator")

@endpoint.register()
def ping() -> str:
    return "pong"

endpoint.serve()"""
ADD = """\
@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int:
    return a + b"""
SHOW = "endpoint"
SLEEP = "time.sleep(4); 'slept'"
BURN = "end = time.monotonic() + 4\nwhile time.monotonic() < end: pass\n'burnt'"
THREADS = "[thread.name for thread in threading.enumerate() if thread.name == 'pycrust-view']"
STOP = "endpoint.stop()"


def moves(notebook: Notebook, times: int) -> None:
    """Waits until the total of `add` has grown so many times."""
    for _ in range(times):
        before = notebook.calls("add")
        notebook.wait(lambda before=before: notebook.calls("add") > before, "the view to show more calls")


def traffic(rust: Callable[..., Program], seconds: int) -> Program:
    if not (EXAMPLES / "load").exists():
        pytest.skip("needs the client's `load` example (make build)")
    return rust(
        "load", "--endpoint", "calculator", "--method", "add", "--tasks", 2, "--seconds", seconds,
        "--args", json.dumps({"a": 1, "b": 2}),
    )  # fmt: skip


def test_live_view_shows_rust_traffic_while_it_happens(tmp_path: Path, rust: Callable) -> None:
    with opened(tmp_path, [SERVE, ADD, SHOW, SLEEP, BURN, THREADS, STOP]) as notebook:
        notebook.run(0)
        notebook.run(1)
        assert "[]" in notebook.run(5), "a thread runs although nobody looks"
        notebook.run(2)
        notebook.row("add").wait_for()
        notebook.wait(lambda: notebook.condition() == "live", "the view to be live")
        assert notebook.row("add").get_attribute("data-version") == "1"
        assert notebook.calls("add") == 0

        load = traffic(rust, 100)
        moves(notebook, 3)
        notebook.wait(lambda: notebook.tile("calls") > 0, "a rate")
        notebook.wait(lambda: 0 < notebook.tile("p50") <= notebook.tile("p99"), "round trips")
        assert notebook.tile("errors") == 0
        assert notebook.page.get_by_test_id("tile-inflight").is_visible()
        bar = notebook.row("add").locator(".pycrust-bar")
        notebook.wait(lambda: "handler" in (bar.get_attribute("aria-label") or ""), "the stages")

        assert notebook.page.get_by_test_id("swap-mark").count() == 0
        notebook.run(1, ADD.replace("a + b", "b + a"))
        notebook.wait(lambda: notebook.row("add").get_attribute("data-version") == "2", "version 2")
        mark = notebook.page.get_by_test_id("swap-mark")
        mark.wait_for()
        assert mark.text_content() == "add v2"

        for cell in (3, 4):
            notebook.begin(cell)
            notebook.wait(lambda cell=cell: notebook.busy(cell), "the cell to start")
            moves(notebook, 3)
            assert notebook.busy(cell), "the view must move while the cell runs, not after it"
            assert notebook.condition() == "live"
            notebook.wait(lambda cell=cell: not notebook.busy(cell), "the cell to end")

        pictures(notebook)

        # The worker must be there to free what a killed client leaves.
        load.stop()
        clients = notebook.view.locator(".pycrust-facts")
        notebook.wait(lambda: "0 clients" in (clients.text_content() or ""), "the client to be gone")
        assert "pycrust-view" in notebook.run(5)
        notebook.run(6)
        notebook.wait(lambda: notebook.condition() == "stopped", "the view to say that the endpoint stopped")
        assert "[]" in notebook.run(5), "a thread is left behind"


def pictures(notebook: Notebook) -> None:
    """Light and dark, wide and narrow; nothing may stand out of the view."""
    for theme in ("Light", "Dark"):
        notebook.theme(theme)
        notebook.page.locator(f'[data-testid=pycrust-dashboard][data-theme="{theme.lower()}"]').wait_for()
        for width in (1400, 800, 480):
            notebook.page.set_viewport_size({"width": width, "height": 1100})
            notebook.page.wait_for_timeout(600)  # the chart follows its box in the next frames
            assert outside(notebook) == []
            notebook.picture(f"live-view-{theme.lower()}-{width}")
        assert contrast_below(notebook, 4.5) == []
    notebook.page.set_viewport_size({"width": 1400, "height": 1100})


def outside(notebook: Notebook) -> list[str]:
    """What reaches out of the view or is cut off by its own box."""
    return notebook.view.evaluate(
        """root => {
          const box = root.getBoundingClientRect();
          return [...root.querySelectorAll("*")].filter((each) => {
            const own = each.getBoundingClientRect();
            if (own.width === 0 || each.closest(".pycrust-hidden")) return false;
            const cut = each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0
              && getComputedStyle(each).display !== "inline";
            return cut || own.right > box.right + 0.5 || own.left < box.left - 0.5;
          }).map((each) => `${each.tagName}.${each.className}`);
        }"""
    )


def contrast_below(notebook: Notebook, least: float) -> list[str]:
    """Texts whose contrast with what is behind them is below `least` (WCAG 2.2)."""
    return notebook.view.evaluate(
        """(root, least) => {
          const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const parts = (colour) => [...numbers(colour), 1].slice(0, 4);
          const over = ([r, g, b, a], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a));
          const behind = (node) => {
            if (node === null) return [255, 255, 255];
            const own = parts(getComputedStyle(node).backgroundColor);
            return own[3] === 1 ? own.slice(0, 3) : over(own, behind(node.parentElement));
          };
          const light = (rgb) => rgb.map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
          const found = [];
          for (const node of root.querySelectorAll("*")) {
            if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
            const back = behind(node);
            const front = over(parts(getComputedStyle(node).color), back);
            const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
            const ratio = (high + 0.05) / (low + 0.05);
            if (ratio < least) found.push(`${node.className}: ${ratio.toFixed(2)}`);
          }
          return found;
        }""",
        least,
    )


HOSTILE = """\
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("calculator")
endpoint.register("<img src=x onerror=alert(1)>\\"'&")(lambda: None)
for number in range(20):
    endpoint.register(f"method_{number:02}")(lambda: None)
endpoint.serve()"""


def test_view_of_many_methods_with_hostile_names_is_bounded_and_escaped(tmp_path: Path) -> None:
    with opened(tmp_path, [HOSTILE, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("method_19").wait_for(state="attached")
        assert notebook.view.locator("img").count() == 0
        name = notebook.view.locator("tbody th").first.text_content()
        assert name == "<img src=x onerror=alert(1)>\"'&"
        box = notebook.view.bounding_box()
        assert box is not None
        assert box["height"] < 900
        assert notebook.view.locator("tbody tr").count() == 21
        assert notebook.view.locator("thead th[scope=col]").count() == 9
        assert notebook.view.locator("tbody th[scope=row]").count() == 21
        notebook.picture("live-view-many")


def test_view_of_a_killed_kernel_says_so(tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with opened(tmp_path, [SERVE, SHOW, kill]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("ping").wait_for()
        notebook.begin(2)
        notebook.wait(lambda: notebook.condition() == "disconnected", "the view to say that the kernel is gone")
        assert notebook.view.get_by_role("status").text_content() == "disconnected"
        notebook.picture("live-view-disconnected")
        # Jupyter starts the kernel again; the cells, run again, make a new view (and free what the dead one left).
        notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
        notebook.ready()
        notebook.run(0)
        notebook.run(1)
        notebook.wait(lambda: notebook.condition() == "live", "the new view")
