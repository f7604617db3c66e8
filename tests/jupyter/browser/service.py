"""The service that the browser tests look at."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PROGRAMS, Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.jupyter.browser.lab import Notebook

SERVE = """\
import ctypes, threading, time
from pydantic import BaseModel
from pycrust import RpcEndpoint

class AddArgs(BaseModel):
    a: int
    b: int

endpoint = RpcEndpoint("calculator")

@endpoint.register()
def ping() -> str:
    return "pong"

endpoint.serve()"""
ADD = """\
@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int:
    return a + b"""
SHOW = "endpoint"
SLEEP = "time.sleep(4); 'slept'"
BURN = "end = time.monotonic() + 4\nwhile time.monotonic() < end: pass\n'burnt'"
#: A call into C that keeps the interpreter's lock.
HOLD = "ctypes.PyDLL(None).usleep(5_000_000)"
THREADS = "[thread.name for thread in threading.enumerate() if thread.name == 'pycrust-view']"
MODEL = "import numpy as np; gain = endpoint.model('gain', load=lambda: np.zeros(100))"
STOP = "endpoint.stop()"


def moves(notebook: Notebook, times: int) -> None:
    """Waits until the total of `add` has grown so many times."""
    for _ in range(times):
        before = notebook.calls("add")
        notebook.wait(lambda before=before: notebook.calls("add") > before, "the view to show more calls")


def traffic(rust: Callable[..., Program], *more: object, method: str = "add", arguments: object = None) -> Program:
    """Calls from Rust, 200 a second and more as they come, until stopped."""
    if not (PROGRAMS / "load").exists():
        pytest.fail("needs the program `load` (make build)")
    given = {"a": 1, "b": 2} if arguments is None else arguments
    return rust(
        "load", "--endpoint", "calculator", "--method", method, "--args", json.dumps(given),
        *(more or ("--tasks", 2, "--pace", 100, "--until-eof")), stdin=subprocess.PIPE,
    )  # fmt: skip
