"""Recursion without end: what is an exception in a cell is one in a handler, wherever handlers run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pycrust import InvalidArgument, RpcClient, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Program

#: Recursions that use the C stack, by name; each is called with nothing.
RECURSIONS = """
import asyncio, copy, functools, json, sys
from collections.abc import Iterator
import numpy as np
from pydantic import BaseModel, field_validator

class Deep(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def deeper(cls, n):
        return Deep(n=n + 1).n

numpys = np.frompyfunc(lambda n: numpys(n), 1, 1)

@functools.lru_cache(maxsize=None)
def counted(n):
    return counted(n - 1) + 1 if n else 0

def cached():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        counted.cache_clear()
        return counted(5_000)
    finally:
        sys.setrecursionlimit(before)

def nested(depth=100_000):
    value = []
    for _ in range(depth):
        value = [value]
    return value

class Equal:
    def __eq__(self, other):
        return [self] == [Equal()]

    __hash__ = object.__hash__

class Key:
    def __lt__(self, other):
        return sorted([Key(), Key()]) == []

class Shown:
    def __repr__(self):
        return f"{[self]!r}"

class Attribute:
    def __getattr__(self, name):
        return getattr(self, name + "x")

DEEP = nested()
RECURSIONS = {
    "pydantic": lambda: Deep(n=0),
    "numpy": lambda: numpys(1),
    "cached": cached,
    "json": lambda: json.dumps(DEEP),
    "json read": lambda: json.loads("[" * 100_000),
    "repr": lambda: repr(DEEP) and None,
    "own repr": lambda: repr(Shown()),
    "deepcopy": lambda: copy.deepcopy(DEEP) and None,
    "equal": lambda: Equal() == Equal(),
    "sorted": lambda: sorted([Key(), Key()]) and None,
    "attribute": lambda: Attribute().x,
}

def outcome(name):
    try:
        return RECURSIONS[name]()
    except Exception as error:
        return type(error).__name__
"""

SERVED = (
    RECURSIONS
    + """
from pycrust import Batch, RpcEndpoint
endpoint = RpcEndpoint("recursion")

@endpoint.register
def sync(name: str):
    return outcome(name)

@endpoint.register
def items(name: str):
    yield outcome(name)

@endpoint.register(batch=Batch())
def batch(names: list):
    return [outcome(name) for name in names]

@endpoint.register
async def coroutine(name: str):
    return outcome(name)

@endpoint.register
async def aitems(name: str):
    yield outcome(name)

@endpoint.register
def upload(names: Iterator[str]) -> list:
    return [outcome(name) for name in names]

@endpoint.register
def nested_result():
    return DEEP

@endpoint.register(request_model=Deep)
def validated(n: int) -> int:
    return n

slot = endpoint.model("slot", lambda name="sync": outcome(name))

@endpoint.register
def reloaded(name: str):
    return slot.reload(name).result(50) and slot.value
endpoint.serve()
"""
)


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    """What each comes to on a main thread."""
    script = RECURSIONS + "\nprint(json.dumps({name: outcome(name) for name in RECURSIONS}))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    outcomes = json.loads(found.stdout)
    assert outcomes["pydantic"] == outcomes["numpy"] == "RecursionError"
    assert outcomes["cached"] == 5000
    return outcomes


@pytest.fixture
def client(worker: Callable[..., Program]) -> Iterator[RpcClient]:
    worker(SERVED)
    with RpcClient("recursion", timeout=50) as client:
        yield client


def test_it_is_what_it_is_on_the_main_thread(client: RpcClient, expected: dict[str, object]):
    for name, outcome in expected.items():
        for method in ("sync", "batch", "coroutine"):
            assert client.call(method, name) == outcome, (method, name)
        for method in ("items", "aitems"):
            assert list(client.stream(method, name)) == [outcome], (method, name)
    assert client.request("upload").upload(expected) == list(expected.values())


def test_validators_and_results_too(client: RpcClient):
    with pytest.raises(RpcError) as raised:
        client.call("validated", n=1)
    assert "RecursionError" in str(raised.value)
    with pytest.raises(RpcError):
        client.call("nested_result")
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises((InvalidArgument, TypeError, ValueError)):
        client.call("sync", deep)
    assert client.call("sync", "pydantic") == "RecursionError"


@pytest.mark.parametrize("limit", ["unlimited", "4096"])
def test_whatever_the_main_thread_s_stack_is(start: Callable[..., Program], expected, limit: str):
    """Without a limit for it, Python's own threads have little; and a small one may be too small."""
    script = f"{SERVED}\nprint('ready', flush=True)\nsys.stdin.read()\n"
    shell = f'ulimit -s {limit} && exec "$0" -c "$1"'
    program = start("bash", "-c", shell, sys.executable, script, stdin=subprocess.PIPE)
    while program.line() != "ready":
        pass
    with RpcClient("recursion", timeout=50) as client:
        for name in ("pydantic", "numpy", "cached"):
            for method in ("sync", "batch", "coroutine"):
                assert client.call(method, name) == expected[name], (method, name)
