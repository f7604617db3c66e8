"""Replacing a handler under live traffic loses nothing and never goes back."""

import json
from pathlib import Path

from tests.conftest import wait_until
from tests.interop.history import check, read

SWAPS = 200
SECONDS = 10

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


def test_two_hundred_swaps_from_a_kernel_under_eight_tasks(kernel, rust, tmp_path: Path):
    kernel.run(SERVE)
    path = tmp_path / "history.jsonl"
    load = rust(
        "load", "--endpoint", "swapped", "--method", "which", "--args", '{"n": 7}', "--tasks", 8,
        "--seconds", SECONDS, "--history", path, "--json",
    )  # fmt: skip
    wait_until(lambda: "'calls': 0" not in kernel.run("endpoint.stats()['methods'][0]"), "the first call")
    for number in range(2, SWAPS + 2):
        kernel.run(SWAP.format(number=number))
    report = json.loads(load.finish())
    calls = read(path)
    assert report["errors"] == {} or sum(report["errors"].values()) == 0
    assert len(calls) == report["calls"], "every call is in the history, once"
    check(calls)
    assert {call.version for call in calls} >= {1, SWAPS + 1} or max(call.version for call in calls) > 1
    assert all(call.value == [call.version, 7] for call in calls), "each answer is all of one version"
