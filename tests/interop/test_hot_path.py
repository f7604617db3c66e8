"""What a call costs beside time, counted: system calls, sleeps, wake-ups; and who waits for the interpreter."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pycrust import RpcClient
from tests.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Program

WORKER = """
from pycrust import RpcEndpoint
from pydantic import BaseModel

class AddArgs(BaseModel):
    a: int
    b: int

endpoint = RpcEndpoint("hot-path", spin_us={spin_us})

@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int:
    return a + b

endpoint.serve()
"""
#: Calls in a burst.
CALLS = 200


def dispatch_threads(pid: int) -> list[Path]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [task for task in tasks if re.match(r"pycrust-\d", (task / "comm").read_text())]


def sleeps(tasks: list[Path]) -> int:
    """Times that these threads have gone to sleep."""
    pattern = re.compile(r"^voluntary_ctxt_switches:\s*(\d+)", re.MULTILINE)
    return sum(int(pattern.findall((task / "status").read_text())[0]) for task in tasks)


def reads_and_writes(tasks: list[Path]) -> int:
    """System calls of these threads that read or write, such as ringing a doorbell."""
    counts = re.compile(r"^sysc[rw]: (\d+)", re.MULTILINE)
    return sum(sum(map(int, counts.findall((task / "io").read_text()))) for task in tasks)


def test_a_worker_that_polls_makes_no_system_call_for_a_call(worker, rust: Callable[..., Program]):
    program = worker(WORKER.format(spin_us=1_000_000))
    calls = (
        "load", "--endpoint", "hot-path", "--method", "add", "--args", '{"a": 1, "b": 2}', "--spin", "30", "--json",
    )  # fmt: skip
    rust(*calls, "--calls", 1000).finish()
    tasks = dispatch_threads(program.pid)

    def a_burst_makes_none() -> bool:
        before = sleeps(tasks), reads_and_writes(tasks)
        report = json.loads(rust(*calls, "--calls", CALLS).finish())
        assert report["calls"] == CALLS
        assert not report["errors"]
        # A few are for connecting.
        return sleeps(tasks) - before[0] <= CALLS / 20 and reads_and_writes(tasks) - before[1] <= CALLS / 20

    # On a busy machine the caller loses its core, sleeps and has to be rung for; some short burst is spared.
    wait_until(a_burst_makes_none, "calls without system calls")


def test_an_idle_worker_sleeps(worker, call):
    program = worker(WORKER.format(spin_us=None))
    call("hot-path", "add", {"a": 1, "b": 2}, calls=1000)
    tasks = list(Path(f"/proc/{program.pid}/task").iterdir())
    quiet = threading.Event()

    def woke_at_most_five_times_in_a_second() -> bool:
        before = sleeps(tasks)
        quiet.wait(1)
        return sleeps(tasks) - before <= 5

    wait_until(woke_at_most_five_times_in_a_second, "the worker to sleep")


HELD = """
import ctypes
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("held")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

endpoint.serve()
print("ready", flush=True)
sys.stdin.readline()
# Says so while it has the interpreter's lock, and has it until the next line comes.
ctypes.PyDLL(None).system(b"echo holds; read line")
"""


def test_what_the_worker_answers_itself_does_not_wait_for_a_c_call_that_holds_the_lock(start):
    import subprocess
    import sys

    program = start(sys.executable, "-c", f"import sys\n{HELD}\nsys.stdin.read()", stdin=subprocess.PIPE)
    wait_until(lambda: program.line() == "ready", "the worker")
    order: list[str] = []
    with RpcClient("held") as client, RpcClient("held") as other:
        assert client.call("add", 1, 2) == 3
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        wait_until(lambda: program.line() == "holds", "the lock to be held")

        def add() -> None:
            assert client.call("add", 3, 4) == 7
            order.append("add")

        waits = threading.Thread(target=add)
        waits.start()
        for _ in range(20):
            other.call("pycrust.health")
            order.append("health")
        # Longer than anything else takes, on a busy machine too.
        waits.join(1)
        assert order == ["health"] * 20
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        waits.join()
        assert order == ["health"] * 20 + ["add"]
        (method,) = other.call("pycrust.stats")["methods"]
    longest = {stage: figures["max_ns"] for stage, figures in method["stages"].items()}
    # It waited for the lock, and nowhere else: the wait is shown as its own stage.
    assert max(longest, key=lambda stage: longest[stage]) == "interpreter"
    assert longest["interpreter"] > sum(longest.values()) / 2
