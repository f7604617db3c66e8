"""Every notebook runs from top to bottom in a real kernel, and says what it should."""

import contextlib
import importlib.util
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(path: Path) -> str:
    """Runs a notebook; gives everything that it printed."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "") + "\n"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_saved_with_what_it_printed(path):
    """So that a reader of the repository sees it; `make notebooks` runs and saves them."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run once, in order"
    assert any(cell.outputs for cell in cells)
    for cell in cells:
        assert all(output.output_type != "error" for output in cell.outputs)
    text = path.read_text(encoding="utf-8")
    assert "widget-view+json" not in text, "no reader can draw it"
    assert str(ROOT) not in text
    assert len(text) < 200_000


def test_quickstart():
    text = execute(ROOT / "notebooks" / "01_quickstart.ipynb")
    assert "30" in text
    assert "pong" in text
    assert "serving calculator" in text
    assert "pub struct CalculatorClient" in text


def test_control_loop(monkeypatch):
    monkeypatch.setenv("PYCRUST_DEMO_SECONDS", "8")
    check_demo(execute(ROOT / "notebooks" / "02_control_loop.ipynb"))


def test_demo_command_in_a_terminal(monkeypatch):
    monkeypatch.setenv("PYCRUST_DEMO_SECONDS", "8")
    text, status = in_a_terminal([sys.executable, ROOT / "notebooks" / "demo.py"])
    assert status == 0, text
    check_demo(text)
    # What `pycrust watch` writes meanwhile, before and after the swap.
    seconds = re.findall(r"^\d\d:\d\d:\d\d  [\d,.]+ calls/s  0 errors  .* policy v([12])$", text, re.MULTILINE)
    assert set(seconds) == {"1", "2"}
    assert seconds == sorted(seconds)


def in_a_terminal(command: list[object]) -> tuple[str, int]:
    """Runs a program whose output is a terminal; gives what it wrote, without colours, and its exit status."""
    ours, theirs = pty.openpty()
    plain = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=plain) as program:
        os.close(theirs)
        written = bytearray()
        # Reading a terminal that its last program has left is an error.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                written += part
    os.close(ours)
    return re.sub(r"\x1b\[[\d;]*m", "", written.decode()).replace("\r\n", "\n"), program.returncode


def test_hot_model(monkeypatch):
    for package in ("torch", "safetensors", "sklearn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: make setup TORCH=torch installs PyTorch")
    monkeypatch.setenv("PYCRUST_DEMO_SECONDS", "3")
    text = execute(ROOT / "notebooks" / "03_hot_model.ipynb")
    assert "failed - validate gave False" in text
    assert "model classifier v2 → v3 (rollback to v1)" in text
    rows = re.findall(r"^v(\d+) +v(\d+) +(\d+) +([\d.]+)%$", text, re.MULTILINE)
    assert [(int(version), int(model)) for version, model, *_ in rows] == [(1, 1), (2, 2), (3, 3)]
    assert all(int(calls) > 0 for _, _, calls, _ in rows)
    first, second, back = (float(accuracy) for *_, accuracy in rows)
    assert second > first + 10
    assert abs(back - first) < 10
    assert "errors: {}" in text


def test_tensors(monkeypatch):
    monkeypatch.setenv("PYCRUST_DEMO_SECONDS", "3")
    text = execute(ROOT / "notebooks" / "05_tensors.ipynb")
    assert "180 calls, 0 errors, 180 built in place" in text
    assert "Array should have the shape (224, 224, 3), not (100, 224, 3)" in text
    action = re.search(r"last action: \[([^]]+)\]", text)[1]
    assert len(action.split()) == 7


def test_vector_envs(monkeypatch):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: make setup TORCH=torch installs PyTorch")
    monkeypatch.setenv("PYCRUST_DEMO_UPDATES", "30")
    text = execute(ROOT / "notebooks" / "07_vector_envs.ipynb")
    assert "serving vector_envs" in text
    assert "after 30 updates" in text
    assert re.search(r"\d+ networks, errors: {}", text)
    rows = re.findall(r"^ +(\d+) +\d+ +\d+ +([\d.]+)$", text, re.MULTILINE)
    assert (int(rows[0][0]), int(rows[-1][0])) == (1, 31)
    returns = [float(mean) for _, mean in rows]
    assert max(returns[-3:]) > 2 * returns[0], "what was learned holds the poles up for longer"


def check_demo(text: str) -> None:
    """No call is lost, and the second policy balances longer than the first."""
    calls, errors = re.search(r"(\d+) calls, (\d+) errors", text).groups()
    assert int(calls) > 1_000
    assert int(errors) == 0
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+) +([\d.]+)$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [1, 2]
    balanced = [float(row[3]) for row in rows]
    assert balanced[1] > 2 * balanced[0]
    # Missed ticks, and three percentiles of how late ticks come and of how long answers take, by each clock.
    clocks = re.findall(r"^(tokio|pacer) +\d+(?: +\d+){6}$", text, re.MULTILINE)
    assert clocks == ["tokio", "pacer"]


def test_traffic(monkeypatch):
    monkeypatch.setenv("PYCRUST_TRAFFIC_SECONDS", "12")
    text = execute(ROOT / "notebooks" / "04_traffic.ipynb")
    # The slow call is one of the large ones, and its record has what its handler printed.
    assert re.search(r"call \d+: 6 points, compared 15 pairs of 6 points", text)
    assert re.search(r"call \d+: 300 points, compared 44850 pairs of 300 points", text)
    # No cell shows what handlers printed for other calls: `replay` runs in the cell's own name.
    assert "the same answer" in text
    same, replayed = re.search(r"(\d+) of (\d+) calls have the same answer", text).groups()
    assert same == replayed
    assert int(replayed) > 10
    swapped, failed = re.search(r"(\d+) calls by version 2, (\d+) of them failed", text).groups()
    assert int(swapped) > 10
    assert int(failed) == 0
    before, after = re.search(r"slowest handler: ([\d.]+) ms before, ([\d.]+) ms now", text).groups()
    assert float(after) < float(before)
    assert "def test_closest_call_" in text
    saved = re.search(r"(\d+) calls were in the file", text).group(1)
    assert int(saved) > 100
    calls, errors = re.search(r"(\d+) calls, (\d+) errors", text).groups()
    assert int(calls) > 100
    assert int(errors) == 0
