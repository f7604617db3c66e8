"""Replacing a handler under live traffic loses nothing and never goes back."""

import json
import subprocess
from pathlib import Path

from tests.conftest import wait_until
from tests.interop.history import check, read

SWAPS = 200

SERVE = """
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("swapped")

@endpoint.register()
def which(n: int) -> list[int]:
    return [1, n]

endpoint.serve()
"""

SWAP = """
@endpoint.register()
def which(n: int) -> list[int]:
    return [{number}, n]
"""
ANSWERED = "endpoint.traffic('version:{number}', limit=1).__len__()"


def test_two_hundred_swaps_from_a_kernel_under_eight_tasks(kernel, rust, tmp_path: Path):
    kernel.run(SERVE)
    path = tmp_path / "history.jsonl"
    load = rust(
        "load", "--endpoint", "swapped", "--method", "which", "--args", '{"n": 7}', "--tasks", 8,
        "--until-eof", "--history", path, "--json", stdin=subprocess.PIPE,
    )  # fmt: skip
    for number in range(1, SWAPS + 2):
        if number > 1:
            kernel.run(SWAP.format(number=number))
        wait_until(
            lambda number=number: kernel.run(ANSWERED.format(number=number)) == "1", f"an answer by v{number}"
        )
    report = json.loads(load.finish())
    calls = read(path)
    assert report["errors"] == {}
    assert len(calls) == report["calls"], "every call is in the history, once"
    check(calls)
    assert {call.version for call in calls} == set(range(1, SWAPS + 2)), "every swap was seen by a caller"
    assert all(call.value == [call.version, 7] for call in calls), "each answer is all of one version"
