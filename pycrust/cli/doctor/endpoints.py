"""Endpoints that live: whether they answer, and who holds their interpreter."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycrust.cli.doctor.finding import Finding
from pycrust.client import RpcClient
from pycrust.errors import RpcError, Unimplemented
from pycrust.text.statistics import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that a worker has to answer what it answers by itself.
_PATIENCE = 5.0
#: Seconds that the interpreter may be held before somebody is named who does.
_HELD = 1.0
#: Seconds between two questions whether it still is.
_PAUSE = 0.05
#: Seconds that looking for the Python line may take.
_LINE_PATIENCE = 10.0
#: Threads that are shown, and one that is never it.
_THREADS = 8
_OWN_THREAD = "pycrust-log"
#: The share of a bound past which it is nearly reached.
_NEARLY = 0.9


def findings(owner: dict[str, Any], own: dict[str, str]) -> Iterator[Finding]:
    """What is wrong with an endpoint that somebody serves.

    Args:
        owner: Who, as its lock says.
        own: This program's version and protocol.
    """
    name, pid = owner["endpoint"], owner["pid"]
    state = _state(pid)
    if state is None:
        yield Finding(
            "elsewhere", name, f"{name} is served by pid {pid}, which this process does not see",
            "it is in another PID namespace, a container: it works, but nothing about its process can be said here",
            f"docker exec <its container> pycrust doctor {name}", serious=False,
        )  # fmt: skip
    elif state in {"T", "t"}:
        yield Finding(
            "stopped", name, f"{name}: its process (pid {pid}) is stopped, by a signal or a debugger",
            "its calls wait until it goes on", f"kill -CONT {pid}",
        )  # fmt: skip
        return
    else:
        yield from _descriptors(name, pid)
    try:
        with RpcClient(name, timeout=_PATIENCE, client_name="pycrust doctor") as client:
            yield from _of_metrics(name, client, own)
            yield from _interpreter(name, pid, client)
    except RpcError as error:
        yield Finding(
            "unreachable", name, f"{name} (pid {pid}) does not answer: {error}", "its callers get that, too",
            f"if it says nothing more: py-spy dump --pid {pid}; kill {pid}",
        )  # fmt: skip


def _of_metrics(name: str, client: RpcClient, own: dict[str, str]) -> Iterator[Finding]:
    try:
        told = {family["name"]: family["series"] for family in client.call("pycrust.metrics")["families"]}
    except Unimplemented:
        its = {"version": "an older one", "protocol": own["protocol"]}
        told = {}
    else:
        its = dict(told["pycrust_worker"][0]["labels"])
    differs = [key for key in ("version", "protocol") if its.get(key) != own[key]]
    if differs:
        said = ", ".join(f"{key} {its.get(key)} (here {own[key]})" for key in differs)
        yield Finding(
            "versions", name, f"{name} has another version: {said}", "what is new in one the other does not know",
            "pip install --upgrade pycrust on both sides, and restart the worker", serious=False,
        )  # fmt: skip

    def value(metric: str) -> float:
        return sum(series["value"] for series in told.get(metric, []))

    in_flight, bound = value("pycrust_calls_in_flight"), value("pycrust_max_in_flight_calls")
    if bound and in_flight >= _NEARLY * bound:
        yield Finding(
            "full", name, f"{name} has {in_flight:.0f} calls in flight, of {bound:.0f}",
            "more are refused with RESOURCE_EXHAUSTED", f"pycrust top {name}; RpcEndpoint(max_in_flight=…)",
        )  # fmt: skip


def _interpreter(name: str, pid: int, client: RpcClient) -> Iterator[Finding]:
    until = time.monotonic() + 2 * _HELD
    waits_ns = 1
    # The first question begins to ask for it.
    while waits_ns < _HELD * 1e9 and time.monotonic() < until:
        try:
            waits_ns = client.call("pycrust.interpreter")["waits_ns"]
        except Unimplemented:
            return
        time.sleep(_PAUSE)
        if not waits_ns and time.monotonic() > until - 2 * _HELD + 2 * _PAUSE:
            return
    if waits_ns < _HELD * 1e9:
        return
    busy = [
        f"{method['name']} v{method['version']} ({counted(method['in_flight'], 'call')})"
        for method in client.call("pycrust.stats")["methods"]
        if method["in_flight"]
    ]
    calls = f"in flight: {', '.join(busy)}" if busy else "no call is in flight: a cell or a thread of the program's"
    yield Finding(
        "interpreter-held",
        name,
        f"{name}: the interpreter of pid {pid} is held, for {duration(waits_ns)} at least; {calls}{_line(pid)}",
        "every handler waits for it: a C extension that does not let go of the interpreter's lock",
        f"py-spy dump --pid {pid} shows the line; interrupt the cell, or kill {pid}",
    )


def _line(pid: int) -> str:
    """Where its threads are in Python, if py-spy is there and may look."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - a text that may be empty
    program = shutil.which("py-spy", path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - its one argument is a number
            [program, "dump", "--nonblocking", "--pid", str(pid)], capture_output=True, text=True, check=True,
            timeout=_LINE_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    # Which of them holds it, not even py-spy knows while all of them sleep: those that run Python are few.
    lines: list[str] = []
    for thread in done.stdout.split("\nThread ")[1:]:
        title, *frames = thread.splitlines()
        who = title.partition(": ")[2].strip('"') or title.split()[0]
        if frames and who != _OWN_THREAD:
            lines.append(f"\n    {who}: {frames[0].strip()}")
    return "".join(lines[:_THREADS])


def _state(pid: int) -> str | None:
    """The state of a process, as proc(5) has it; `None` if it is not seen here."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[0]


def _descriptors(name: str, pid: int) -> Iterator[Finding]:
    try:
        opened = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough
        allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except OSError:
        return
    if allowed != resource.RLIM_INFINITY and opened >= _NEARLY * allowed:
        yield Finding(
            "descriptors", name, f"{name}: pid {pid} has {opened} files open, of {allowed}",
            "new clients are refused", f"prlimit --pid {pid} --nofile=65536; ulimit -n 65536 before it starts",
        )  # fmt: skip
