"""Programs that are ported from other transports, both sides, while what serves them is replaced."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Program
    from tests.kernels import Kernel

EXAMPLES = ROOT / "client-rs" / "examples"
#: The Python side of each, and the methods that its Rust side calls.
METHODS = {"openpi": "infer", "lerobot": "predict", "vector_envs": "act"}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: make setup TORCH=torch installs it",
)


def cells(example: str) -> str:
    """The Python side of an example, without what is for a script, as a cell beside it."""
    folder = EXAMPLES / example
    source, script, _ = (folder / "policy.py").read_text().partition('\nif __name__ == "__main__":\n')
    assert script
    return f"import sys\nsys.path.insert(0, {str(folder)!r})\n{source}\nendpoint.serve()\n"


def served(kernel: Kernel, version: int) -> bool:
    """Whether a call has been answered by that version."""
    return int(kernel.run(f"len(endpoint.traffic('version:{version} status:ok', limit=1))")) > 0


@pytest.mark.parametrize(("example", "joints", "moved"), [("openpi", 14, "joints"), ("lerobot", 6, "state")])
def test_an_arm_goes_on_while_its_policy_is_replaced(
    kernel: Kernel, rust: Callable[..., Program], example: str, joints: int, moved: str
):
    kernel.run(cells(example))
    arm = rust(example, "--hz", 100)
    assert arm.line() == "moving"
    wait_until(lambda: served(kernel, 1), "a chunk")
    kernel.run("policy.reload(Network, 1).result()")
    wait_until(lambda: served(kernel, 2), "a chunk of the other network")
    # The handler, too, as a cell that is run again.
    again = cells(example).replace('"""The next actions."""', '"""The next actions, after an edit."""')
    kernel.run(again[again.index("@endpoint.register") :])
    wait_until(lambda: served(kernel, 3), "a chunk of the edited handler")
    arm.send(signal.SIGINT)
    report = json.loads(arm.finish())
    assert report["errors"] == {}
    assert {"1", "2", "3"} == set(report["versions"])
    assert len(report[moved]) == joints
    if example == "openpi":
        assert report["in_place"] == sum(report["versions"].values()), "images are sent from where they were built"


@pytest.mark.parametrize(("example", "moved"), [("openpi", "joints"), ("lerobot", "state")])
def test_an_arm_does_what_the_policy_says(kernel: Kernel, rust: Callable[..., Program], example: str, moved: str):
    """A policy that holds the arm gives the joints back: they are where they were after every step."""
    kernel.run(cells(example) + "\npolicy.reload(Hold).result()")
    arm = rust(example, "--hz", 100)
    assert arm.line() == "moving"
    wait_until(lambda: served(kernel, 2), "a chunk")
    arm.send(signal.SIGINT)
    report = json.loads(arm.finish())
    assert report[moved] == pytest.approx([0.1] * len(report[moved]))


def test_an_arm_sees_the_newest_of_what_it_has_sent(kernel: Kernel, rust: Callable[..., Program]):
    """Of observations that wait for a slow policy, the last one takes the others' places."""
    kernel.run(cells("lerobot") + "\npolicy.reload(Network, 0, 0.2).result()")
    arm = rust("lerobot", "--hz", 100)
    assert arm.line() == "moving"
    wait_until(
        lambda: int(kernel.run("len(endpoint.traffic('status:aborted', limit=1))")) > 0,
        "an observation whose place a newer one took",
    )
    arm.send(signal.SIGINT)
    report = json.loads(arm.finish())
    assert report["errors"] == {}
    assert report["superseded"] >= 1
    assert report["superseded"] + sum(report["versions"].values()) <= report["observations"]


@needs_torch
def test_a_policy_learns_from_environments_that_run_on(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(cells("vector_envs"))
    environments = rust("vector_envs", "--envs", 32)
    assert environments.line() == "stepping"
    text = kernel.run("train(25)")
    assert text.count("update ") == 25
    wait_until(lambda: served(kernel, 26), "a step of the last network")
    environments.send(signal.SIGINT)
    report = json.loads(environments.finish())
    assert report["errors"] == {}
    versions = {told["version"]: told for told in report["versions"]}
    assert set(versions) <= set(range(1, 27))
    assert {1, 26} <= set(versions)

    def mean_return(numbers: range) -> float:
        ended = [told for number, told in versions.items() if number in numbers]
        return sum(told["mean_return"] * told["episodes"] for told in ended) / sum(
            told["episodes"] for told in ended
        )

    assert mean_return(range(20, 27)) > 2 * mean_return(range(1, 4))


@pytest.mark.parametrize("example", [name for name in METHODS if name != "vector_envs"])
def test_the_python_side_runs_as_a_script(
    start: Callable[..., Program], rust: Callable[..., Program], example: str
):
    """Its last lines serve until they are interrupted."""
    script = start(sys.executable, EXAMPLES / example / "policy.py", stdin=subprocess.DEVNULL)
    arm = rust(example, "--measure", "copied", stdin=subprocess.PIPE)
    assert arm.line() == "ready"
    arm.process.stdin.write("0.1\n")
    arm.process.stdin.flush()
    report = json.loads(arm.line())
    assert report["errors"] == 0
    assert report["round_trip_ns"]
    arm.finish()
    script.send(signal.SIGINT)
    script.finish()
