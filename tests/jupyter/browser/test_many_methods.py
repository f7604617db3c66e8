"""The table of more methods than anybody reads: what hurts stands on top, the rest is folded or found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.jupyter.browser import looks
from tests.jupyter.browser.service import SHOW, traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.jupyter.browser.lab import Lab, Notebook

#: 41 methods, of which some will be called; one fails, one sleeps.
SERVE = """\
import time
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("calculator")
for name in ("book_snapshot", "depth_of_ten_levels_on_each_side", "trades_since_last_snapshot", "auction"):
    endpoint.register(f"market_data.{name}")(lambda: 1)
for number in range(35):
    endpoint.register(f"report_{number:02}")(lambda: 1)
@endpoint.register
def settle() -> int:
    raise ValueError("no such account")
@endpoint.register
def price() -> int:
    time.sleep(0.005)
    return 1
endpoint.serve()"""

MANY = """\
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("calculator")
for number in range(2000):
    endpoint.register(f"method_{number:04}")(lambda: 1)
endpoint.serve()"""


def in_order(notebook: Notebook) -> list[str]:
    """The table's lines from above: their methods' names, or what a fold says."""
    lines = notebook.view.locator("tbody th").all_text_contents()
    return [line.replace("…", "… ") if "…" in line else line for line in lines]


def test_what_hurts_stands_on_top_and_the_rest_is_folded_or_found(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.view.locator("tbody tr").first.wait_for()
        called = ["report_07", "settle", "price", "market_data.auction", "market_data.book_snapshot"]
        called.append("market_data.trades_since_last_snapshot")
        loads = [traffic(rust, method=name, arguments=[]) for name in called]
        # So many at once that each waits for the others.
        loads.append(traffic(rust, "--tasks", 50, "--pace", 100, "--until-eof", method="price", arguments=[]))
        notebook.wait(lambda: in_order(notebook)[:2] == ["settle", "price"], "errors, then what is slow")
        notebook.wait(lambda: "35 idle" in in_order(notebook), "the idle to be folded")
        assert in_order(notebook)[2:] == [
            "market_data.… 3 methods",
            *(name for name in in_order(notebook)[3:-1]),
            "35 idle",
        ]
        group = notebook.page.get_by_test_id("fold-market_data.…")
        assert group.locator("button").get_attribute("aria-expanded") == "true", "there is room"
        assert notebook.row("market_data.auction").get_attribute("data-inside") == "true"
        # Sums: no method of it is called by itself as often.
        total = int((group.locator(".pycrust-calls").text_content() or "").replace(",", ""))
        assert total > max(notebook.calls(name) for name in called[3:])
        assert notebook.row("price").locator("polyline").count() == 1

        group.locator("button").click()
        notebook.row("market_data.auction").wait_for(state="detached")
        idle = notebook.page.get_by_test_id("fold-idle").locator("button")
        idle.click()
        notebook.row("report_00").wait_for(state="attached")
        idle.click()

        notebook.page.get_by_test_id("find-method").fill("TEN market")
        notebook.row("market_data.depth_of_ten_levels_on_each_side").wait_for()
        assert notebook.view.locator("tbody tr").count() == 1
        assert "1 of 41" in notebook.view.locator(".pycrust-found").inner_text()
        notebook.page.get_by_test_id("find-method").fill("")

        head = notebook.view.get_by_role("columnheader", name="method")
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        notebook.wait(lambda: in_order(notebook)[0].startswith("market_data."), "the names in order")
        assert in_order(notebook)[1:4] == ["price", "report_07", "settle"]
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert in_order(notebook)[0] == "settle"
        head.locator("button").click()
        assert head.get_attribute("aria-sort") is None
        assert in_order(notebook)[:2] == ["settle", "price"]

        group.locator("button").click()
        looks.fits(notebook, "many-methods")
        assert looks.accessibility_faults(notebook) == []
        for load in loads:
            load.stop()


def test_of_two_thousand_methods_only_those_in_sight_are_there(lab: Lab, rust: Callable) -> None:
    with lab.opened([MANY, SHOW]) as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.row("method_0000").wait_for()
        assert notebook.view.locator("table").get_attribute("aria-rowcount") == "2001"
        assert notebook.view.locator("tbody tr").count() < 40
        notebook.view.locator(".pycrust-scroll").evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
        notebook.row("method_1000").wait_for()
        assert notebook.view.locator("tbody tr").count() < 40
        load = traffic(rust, method="method_1234", arguments=[])
        notebook.view.locator(".pycrust-scroll").evaluate("node => { node.scrollTop = 0; }")
        notebook.wait(lambda: in_order(notebook) == ["method_1234", "1,999 idle"], "the only one that is called")
        load.stop()
