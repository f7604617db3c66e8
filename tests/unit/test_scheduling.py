"""What serving threads and the main thread ask of the kernel's scheduler, as the kernel shows it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.conftest import wait_until

SHORT, LONG = 100_000, 30_000_000


def slice_ns(thread: int) -> int | None:
    """The slice that a thread asks for, where the kernel shows it."""
    text = Path(f"/proc/self/task/{thread}/sched")
    found = re.search(r"^se\.slice\s*:\s*(\d+)", text.read_text(), re.MULTILINE) if text.exists() else None
    return int(found[1]) if found else None


def serving_threads() -> list[int]:
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    return [task for task in tasks if re.match(r"pycrust-\d", Path(f"/proc/self/task/{task}/comm").read_text())]


@pytest.fixture
def usual() -> int:
    usual = slice_ns(os.getpid())
    if usual is None:
        pytest.skip("this kernel does not show slices")
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12):
        pytest.skip("this kernel has one slice for all")
    assert usual not in (SHORT, LONG)
    return usual


def test_dispatch_threads_come_before_threads_that_compute(endpoint, usual):
    endpoint.register("f")(lambda: 1)
    with endpoint:
        # Each asks before its first call, and may still be starting.
        wait_until(lambda: SHORT in map(slice_ns, serving_threads()), "a thread that asks for a short slice")
        assert set(map(slice_ns, serving_threads())) <= {SHORT, usual}
        slacks = [Path(f"/proc/{thread}/timerslack_ns") for thread in serving_threads()]
        wait_until(lambda: "1" in [slack.read_text().strip() for slack in slacks], "one that is punctual")


def test_the_main_thread_lets_others_come_first_while_it_serves(endpoint, usual):
    with endpoint:
        assert slice_ns(os.getpid()) == LONG
    assert slice_ns(os.getpid()) == usual


def test_it_can_be_left_alone(make_endpoint, usual):
    with make_endpoint(switch_interval=None):
        assert slice_ns(os.getpid()) == usual


def test_what_a_handler_starts_is_as_usual(endpoint, usual):
    import subprocess
    import sys

    from pycrust import RpcClient

    @endpoint.register
    def started() -> int:
        source = "import re; print(re.search(r'se.slice\\s*:\\s*(\\d+)', open('/proc/self/sched').read())[1])"
        return int(subprocess.run([sys.executable, "-c", source], capture_output=True, check=True).stdout)

    with endpoint, RpcClient(endpoint.name) as client:
        assert client.call("started") == usual
