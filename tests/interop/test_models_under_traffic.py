"""Handlers and models are replaced hundreds of times under Rust traffic, and every answer is of one of each."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

from tests.interop.history import check, read

SWAPS = 500
#: Swaps are spread over this time, so that each meets calls; what comes of them does not depend on it.
SECONDS = 10

SERVE = f"""
import ctypes, gc, json, threading, time, weakref
from collections.abc import AsyncIterator, Iterator
import asyncio
import numpy as np
import psutil
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("modelled")
models = []

def load(mark=1):
    model = np.full(5 * (1 << 20) // 8, mark, dtype=np.float64)
    models.append(weakref.ref(model))
    return model

policy = endpoint.model("policy", load)

def define(number):
    def answer(policy, n: int) -> list[int]:
        return [number, int(policy[0]), int(policy[-1]), n]

    def items(policy, n: int) -> Iterator[list[int]]:
        for _ in range(3):
            yield answer(policy, n)
            time.sleep(0.001)

    async def later(policy, n: int) -> list[int]:
        before = answer(policy, n)
        await asyncio.sleep(0.002)
        assert before == answer(policy, n)
        return before

    return answer, items, later

def swap(number):
    for function in define(number):
        endpoint.register(models=["policy"])(function)

swap(1)
endpoint.serve()
memory = psutil.Process().memory_info

def run():
    begun = time.monotonic()
    sizes = []
    for number in range(2, {SWAPS} + 2):
        swap(number)
        policy.reload(number).result()
        if number in ({SWAPS} // 4, {SWAPS}):
            policy.reload(number).wait(drained=True)
            gc.collect()
            # What free() keeps for later is no leak; how much that is depends on how many models drained at once.
            ctypes.CDLL(None).malloc_trim(0)
            sizes.append(memory().rss)
        wait = begun + {SECONDS} * number / {SWAPS} - time.monotonic()
        time.sleep(max(wait, 0))
    policy.reload({SWAPS} + 1).wait(drained=True)
    versions = {{
        name: {{one.number: [one.models["policy"], one.reason] for one in endpoint[name].history}}
        for name in ("answer", "items", "later")
    }}
    while sum(ref() is not None for ref in models) > 1:
        endpoint["answer"].history
        time.sleep(0.01)
    states = [one.state for one in policy.history]
    print(json.dumps({{"versions": versions, "sizes": sizes, "loaded": len(models), "states": states}}), flush=True)

def begin() -> None:
    threading.Thread(target=run).start()

endpoint.register(begin)
"""


def test_every_answer_is_of_one_handler_and_one_model(worker, rust, call, tmp_path: Path):
    serving = worker(SERVE)
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("answer", "items", "later")}
    loads = {
        name: rust(
            "load", "--endpoint", "modelled", "--method", name, "--args", '{"n": 7}', "--tasks", tasks,
            "--until-eof", "--history", paths[name], "--json", *more, stdin=subprocess.PIPE,
        )
        for name, tasks, more in (("answer", 8, []), ("items", 2, ["--stream"]), ("later", 2, []))
    }  # fmt: skip
    call("modelled", "begin")
    told = json.loads(serving.line())
    reports = {name: json.loads(load.finish()) for name, load in loads.items()}
    assert told["loaded"] >= SWAPS
    assert told["states"].count("live") == 1
    assert set(told["states"]) == {"retired", "live"}, "every old model was let go, none is held"
    assert told["sizes"][1] - told["sizes"][0] < 100 * (1 << 20), "375 models of 5 MiB left nothing behind"
    for name, path in paths.items():
        calls = read(path)
        assert len(calls) == reports[name]["calls"], "every call is in the history, once"
        check(calls)
        assert len({one.version for one in calls}) > 10
        pairs: dict[int, list[int]] = {}
        for one in calls:
            values = one.value if name == "items" else [one.value]
            assert len(values) == (3 if name == "items" else 1)
            assert all(value == values[0] for value in values), "a stream keeps its handler and its model"
            handler, first, last, n = values[0]
            assert (first, n) == (last, 7), "the model is whole"
            assert pairs.setdefault(one.version, [handler, first]) == [handler, first], "one of each for a version"
        versions = sorted(pairs)
        assert all(pairs[old][0] <= pairs[new][0] for old, new in itertools.pairwise(versions))
        assert all(pairs[old][1] <= pairs[new][1] for old, new in itertools.pairwise(versions))
        assert {str(version) for version in versions} <= set(told["versions"][name])
