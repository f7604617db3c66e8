"""JupyterLab's debugger stops in handlers: over the protocol that JupyterLab speaks, with a real kernel."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pycrust import RpcClient
from tests.kernels import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernels import Kernel

SERVE = """
import asyncio
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("debugged")

@endpoint.register
def warm() -> str:
    return "warm"

endpoint.serve();
"""

HANDLERS = """
@endpoint.register
def halve(number: int) -> float:
    half = number / 2
    return half

@endpoint.register
def count(below: int):
    for number in range(below):
        doubled = number * 2
        yield doubled

@endpoint.register
async def later(number: int) -> float:
    await asyncio.sleep(0)
    third = number / 3
    return third
"""
LINES = HANDLERS.splitlines()


class Debugger:
    """JupyterLab's side of the debug protocol."""

    def __init__(self, kernel: Kernel) -> None:
        self.client = kernel.client
        self._numbers = itertools.count(1)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """One request and its response."""
        content = {"type": "request", "seq": next(self._numbers), "command": command, "arguments": arguments}
        message = self.client.session.msg("debug_request", content)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                assert reply["content"].get("success", True), reply["content"]
                return reply["content"]

    def attach(self) -> None:
        """As JupyterLab's button does."""
        self.ask("initialize", clientID="test", adapterID="python", pathFormat="path", linesStartAt1=True)
        self.ask("attach")

    def event(self, name: str) -> dict[str, Any]:
        """The next event of this name."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
                return message["content"]["body"]

    def break_at(self, code: str, *lines: int) -> None:
        """Sets the breakpoints of a cell that is about to be executed."""
        path = self.ask("dumpCell", code=code)["body"]["sourcePath"]
        breakpoints = [{"line": line} for line in lines]
        self.ask("setBreakpoints", source={"path": path}, breakpoints=breakpoints, sourceModified=False)
        self.ask("configurationDone")


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(LINES, 1) if text in line)


@pytest.fixture
def started() -> Callable[..., list[Any]]:
    """Runs a call on a thread of its own; what is returned is filled with its result."""

    def starter(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
        thread.start()
        return thread, results

    return starter


@pytest.mark.parametrize("attached", ["before serve()", "after serve()"])
def test_a_breakpoint_of_a_cell_is_hit_in_its_handlers(kernel: Kernel, started, attached: str):
    debugger = Debugger(kernel)
    info = debugger.ask("debugInfo")["body"]
    assert not info["isStarted"]
    if attached == "before serve()":
        debugger.attach()
    kernel.run(SERVE)
    with RpcClient("debugged", timeout=PATIENCE) as client:
        # Its dispatch thread is there, and idle.
        assert client.call("warm") == "warm"
        if attached == "after serve()":
            debugger.attach()
        stops = {"halve": line_of("half = "), "count": line_of("doubled = "), "later": line_of("third = ")}
        debugger.break_at(HANDLERS, *stops.values())
        kernel.run(HANDLERS)
        calls = {
            "halve": (lambda: client.call("halve", 3), 1.5),
            "count": (lambda: list(client.stream("count", 1)), [0]),
            "later": (lambda: client.call("later", 3), 1.0),
        }
        for method, (work, result) in calls.items():
            thread, results = started(work)
            stopped = debugger.event("stopped")
            assert stopped["reason"] == "breakpoint"
            frames = debugger.ask("stackTrace", threadId=stopped["threadId"])["body"]["stackFrames"]
            assert (frames[0]["name"], frames[0]["line"]) == (method, stops[method])
            debugger.ask("continue", threadId=stopped["threadId"])
            thread.join(PATIENCE)
            assert results == [result], method
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)
