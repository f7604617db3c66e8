"""Measures what the live view costs: processor time and bytes sent, with no view and with one.

A real kernel serves `add` to a Rust client that makes 1,000 calls a second. The view's words come from here, as a
browser would say them, its list of calls included; what counts is the time of the view's own thread and of the
thread that sends to browsers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.programs import PROGRAMS
from tests.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

SERVE = """\
import threading
from pydantic import BaseModel
from pycrust import RpcEndpoint
from pycrust.jupyter.widget import LiveView
class AddArgs(BaseModel):
    a: int
    b: int
endpoint = RpcEndpoint("bench")
@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int: return a + b
for number in range(4): endpoint.register(f"other_{number}")(lambda: None)
line = endpoint.serve()
view = LiveView(endpoint)
print(view.model_id)"""
THREADS = "print([t.native_id for t in threading.enumerate() if t.name in ('pycrust-view', 'IOPub')])"


def thread_ns(pid: int, threads: list[int]) -> int:
    """Processor time of threads, in nanoseconds."""
    return sum(int(Path(f"/proc/{pid}/task/{one}/schedstat").read_text().split()[0]) for one in threads)


def say(kernel: Kernel, model: str, **content: object) -> None:
    """Says what a browser would say."""
    session = kernel.client.session
    data = {"method": "custom", "content": {"view": "bench", "to": 1, **content}}
    kernel.client.shell_channel.send(session.msg("comm_msg", {"comm_id": model, "data": data}))


def heard(kernel: Kernel, model: str, seconds: float) -> list[int]:
    """The sizes of the messages to the view within so many seconds."""
    until, sizes = time.monotonic() + seconds, []
    while (left := until - time.monotonic()) > 0:
        try:
            message = kernel.client.get_iopub_msg(timeout=left)
        except Exception:
            break
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == model:
            sizes.append(len(json.dumps(message["content"])))
    return sizes


def measure(kernel: Kernel, model: str, seconds: float, begin: Callable[[], object]) -> dict[str, float]:
    """One case: milliseconds of processor time a second, messages a second, bytes of each."""
    begin()
    heard(kernel, model, 2.0)
    threads = json.loads(kernel.run(THREADS))
    before, began = thread_ns(kernel.pid, threads), time.monotonic()
    sizes = heard(kernel, model, seconds)
    took = time.monotonic() - began
    return {
        "cpu_ms_per_s": (thread_ns(kernel.pid, threads) - before) / 1e6 / took,
        "messages_per_s": len(sizes) / took,
        "bytes_per_message": sum(sizes) / max(len(sizes), 1),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pycrust-bench-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        kernel = Kernel()
        load = None
        try:
            model = kernel.run(SERVE).split()[-1]
            command = [PROGRAMS / "load", "--endpoint", "bench", "--method", "add", "--args", '{"a": 1, "b": 2}']
            load = subprocess.Popen(
                [*command, "--pace", "1000", "--seconds", str(5 * options.seconds + 60)], stdout=subprocess.DEVNULL
            )
            cases: dict[str, Callable[[], object]] = {
                "no view": lambda: None,
                "one view": lambda: say(kernel, model, kind="hello"),
                # Said again, or the view counts as gone before the case has ended.
                "one view, list of calls": lambda: (
                    say(kernel, model, kind="hello"),
                    say(kernel, model, kind="watch", filter=""),
                ),
            }
            print(f"{'case':<26}{'CPU ms/s':>10}{'messages/s':>12}{'bytes each':>12}")
            for name, begin in cases.items():
                figures = measure(kernel, model, options.seconds, begin)
                cpu, rate, size = figures.values()
                print(f"{name:<26}{cpu:>10.2f}{rate:>12.1f}{size:>12,.0f}")
        finally:
            if load is not None:
                load.terminate()
                load.wait()
                time.sleep(0.5)  # the worker frees what the client left
            kernel.stop()


if __name__ == "__main__":
    main()
