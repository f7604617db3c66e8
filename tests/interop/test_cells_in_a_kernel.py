"""A cell is a transaction, in a real kernel: the traps that notebooks set, each seen by a Rust caller."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import wait_until

FIRST = """
import asyncio, threading
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("cells")

@endpoint.register
def f() -> int:
    return 0
"""

ROUND = "@endpoint.register\ndef f() -> int:\n    return {number}\n"


def test_the_cell_that_imports_and_registers_first_is_a_transaction(kernel, call):
    _, error = kernel.attempt(FIRST + "1 / 0")
    assert "ZeroDivisionError" in error
    assert kernel.run("list(endpoint)") == "[]"
    kernel.run(FIRST + "endpoint.serve();")
    assert call("cells", "f")["last"] == 0


def test_a_script_that_fails_half_way_is_dropped(kernel, call, tmp_path: Path):
    kernel.run(FIRST + "endpoint.serve();")
    script = tmp_path / "half.py"
    script.write_text(
        "from pycrust import RpcEndpoint\nendpoint = RpcEndpoint('cells')\n" + ROUND.format(number=1) + "1 / 0\n"
    )
    for options in ("", "-i", "-n"):
        printed = kernel.run(f"%run {options} {script}")
        assert "pycrust: half.py failed, so it published nothing of cells.f" in printed
        assert call("cells", "f")["last"] == 0
    script.write_text(script.read_text().replace("1 / 0\n", ""))
    kernel.run(f"%run {script}")
    assert call("cells", "f")["last"] == 1


def test_traps(kernel, call, tmp_path: Path):
    kernel.run(FIRST + "endpoint.serve();")
    script = tmp_path / "handlers.py"
    live = 0

    def check(expected: int, what: str) -> None:
        assert call("cells", "f")["last"] == expected, what

    def swap(cell: str, what: str) -> None:
        """The cell succeeds and swaps to the next number; the same cell with a failure at its end does not."""
        nonlocal live
        _, error = kernel.attempt(cell.format(number=live + 1) + "\n1 / 0")
        assert "ZeroDivisionError" in error, what
        check(live, f"{what}, failed")
        live += 1
        kernel.run(cell.format(number=live))
        check(live, what)

    swap(ROUND, "a plain cell")
    swap(f"get_ipython().run_cell({ROUND!r});", "a nested run")
    script.write_text("@endpoint.register\ndef f() -> int:\n    return NUMBER\n")
    swap(f"NUMBER = {{number}}\n%run -i {script}", "%run")
    swap("await asyncio.sleep(0)\n" + ROUND + "\nawait asyncio.sleep(0)", "a cell that awaits")
    swap(
        "async def task():\n    await asyncio.sleep(0)\n    endpoint.register('f')(lambda: {number})\n"
        "await asyncio.create_task(task())",
        "a task that its cell waits for",
    )

    live += 1
    kernel.attempt("%%capture\n" + ROUND.format(number=live) + "1 / 0")
    check(live - 1, "%%capture hides the failure, not its consequence")
    kernel.run("%%capture\n" + ROUND.format(number=live))
    check(live, "%%capture")

    live += 1
    kernel.attempt(
        f"thread = threading.Thread(target=lambda: endpoint.register('f')(lambda: {live}))\n"
        "thread.start(); thread.join()\n1 / 0"
    )
    check(live, "another thread publishes at once")

    live += 1
    kernel.run(
        f"async def later():\n    await gate.wait()\n    endpoint.register('f')(lambda: {live})\n"
        "gate = asyncio.Event()\ntask = asyncio.create_task(later())"
    )
    kernel.attempt("gate.set()\nawait task\n1 / 0")
    check(live, "a task that outlived its cell publishes at once, also beside a cell that fails")

    live += 1
    kernel.run(
        "import ipywidgets\nbutton = ipywidgets.Button()\n"
        f"button.on_click(lambda _: endpoint.register('f')(lambda: {live}))"
    )
    kernel.run("import IPython\nkernel_loop = get_ipython().kernel.io_loop\nkernel_loop.add_callback(button.click)")
    wait_until(lambda: call("cells", "f")["last"] == live, "the click of a button to publish")

    kernel.run(FIRST)
    live = 0
    check(live, "the endpoint's own cell again is the same endpoint")
    assert "serving cells" in kernel.run("print(endpoint.summary())")


def test_restart_and_run_all(kernel, call):
    kernel.run(FIRST + "endpoint.serve();")
    kernel.restart()
    kernel.run(FIRST.replace("return 0", "return 1").replace("def f", "def other"))
    kernel.run("endpoint.serve(expect=['f']);")
    refused = call("cells", "f", calls=2)
    assert refused["errors"] == {"UNAVAILABLE": 2}, "not UNIMPLEMENTED: it is to come"
    kernel.run(ROUND.format(number=2))
    assert call("cells", "f")["last"] == 2


def test_a_profiled_script_that_fails_half_way_is_dropped(kernel, tmp_path):
    script = tmp_path / "half.py"
    script.write_text(
        "from pycrust import RpcEndpoint\n"
        "endpoint = RpcEndpoint('profiled')\n"
        "endpoint.register('g')(lambda: 1)\n"
        "1 / 0\n"
    )
    kernel.run("from pycrust import RpcEndpoint; endpoint = RpcEndpoint('profiled')")
    assert "published nothing of profiled.g" in kernel.run(f"%run -p {script}")
    assert kernel.run("list(endpoint)") == "[]"
