"""Loading, unloading, rolling back, registering and removing at once, under Rust traffic."""

from __future__ import annotations

import json
import subprocess

from tests.interop.history import read

SERVE = """
import sys, threading
import numpy as np
from pycrust import RpcEndpoint, ModelRefusedError

endpoint = RpcEndpoint("stressed", keep_versions=2)

def load(mark=1):
    if mark % 7 == 0:
        raise OSError("every seventh load fails")
    return np.full(1 << 15, float(mark))

first = endpoint.model("first", load, keep=1, validate=lambda model: model[0] % 5 != 0)
other = endpoint.model("other", load, policy="unload_first")

def define(number):
    def steady(first) -> list[float]:
        return [float(number), float(first[0]), float(first[-1])]
    return steady

endpoint.register("steady", models=["first"])(define(0))
endpoint.register("coming", models=["other"])(lambda other: [0.0, float(other[0]), float(other[-1])])
errors = []

def work(step):
    for number in range(60):
        try:
            step(number)
        except Exception as error:
            errors.append(error)

def reload_first(number):
    reload = first.reload(number + 2).wait()
    assert reload.error is None or isinstance(reload.error, (OSError, ModelRefusedError)), reload.error

def reload_other(number):
    reload = other.reload(number + 2).wait()
    assert reload.error is None or isinstance(reload.error, OSError), reload.error

def roll_back(number):
    try:
        first.rollback()
    except ValueError:
        pass  # nothing is kept at the moment
    endpoint["steady"].history, first.history, endpoint.events.since(0)

def register(number):
    endpoint.register("steady", models=["first"])(define(number))
    try:
        endpoint["steady"].rollback()
    except ValueError:
        pass
    endpoint.register("passing")(lambda: number)
    endpoint["passing"].remove()

def run():
    steps = reload_first, reload_other, roll_back, register
    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    first.reload(3).wait(drained=True)
    other.reload(3).wait(drained=True)
    print("errors", [repr(error) for error in errors], first.version > 1, other.history[-1].state, flush=True)

@endpoint.register
def begin() -> None:
    threading.Thread(target=run).start()

endpoint.serve()
"""


def test_everything_at_once(worker, rust, call, tmp_path):
    serving = worker(SERVE)
    arguments = ["--endpoint", "stressed", "--tasks", 4, "--until-eof", "--json"]
    loads = {
        name: rust("load", "--method", name, *arguments, "--history", tmp_path / name, stdin=subprocess.PIPE)
        for name in ("steady", "coming")
    }
    call("stressed", "begin")
    assert serving.line() == "errors [] True live"
    seen = {}
    for name, load in loads.items():
        seen[name] = json.loads(load.finish())["errors"]
        values = [call.value for call in read(tmp_path / name) if call.value is not None]
        assert values, "some calls were answered"
        assert all(value[1] == value[2] for value in values), "a model is whole"
    assert seen["steady"] == {}, "loading first fails no call"
    assert set(seen["coming"]) <= {"UNAVAILABLE"}, "unloading first says so, and nothing else"
