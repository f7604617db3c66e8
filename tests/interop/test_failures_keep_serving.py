"""Whatever fails while a handler or a model is replaced, in a real kernel: the old one serves on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import wait_until

SERVE = """
import numpy, sys, time
from pathlib import Path
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("kept")

def load(mark=1):
    return numpy.array([mark])

policy = endpoint.model("policy", load)

@endpoint.register(models=["policy"])
def f(policy) -> list[int]:
    return [1, int(policy[0])]

endpoint.serve();
"""

NEW = """
@endpoint.register(models=["policy"])
def f(policy) -> list[int]:
    return [2, int(policy[0])]
"""

#: Cells that fail.
CELLS = {
    "a syntax error": NEW + "1 +",
    "an exception after the registration": NEW + "1 / 0",
    "a registration that raises": "endpoint.register('g', concurrency=0)(len)" + NEW,
    "an annotation that can't be resolved": "@endpoint.register\ndef f(a: Missing): ...",
    "a warm-up that raises": NEW.replace('"policy"]', '"policy"], warmup=lambda: 1 / 0'),
    "a warm-up call that raises": NEW.replace('"policy"]', '"policy"], warmup=[1, 2, 3]'),
    "out of memory": NEW + "numpy.zeros(1 << 60)",
    "the first load of another model raises": "endpoint.model('policy', lambda: 1 / 0)",
    "another model is refused": "endpoint.model('policy', lambda: numpy.array([2]), validate=lambda model: False)",
    "a model and a handler, then an exception": "endpoint.model('policy', lambda: numpy.array([2]))"
    + NEW
    + "1 / 0",
    "out of memory while loading": "endpoint.model('policy', lambda: numpy.zeros(1 << 60))",
    "a reload whose load raises": "policy.reload('x', 'y', 'z').result()",
    "a reload that runs out of memory": "policy.reload(load=lambda: numpy.zeros(1 << 60)).result()",
    "a reload that exits": "policy.reload(load=lambda: sys.exit()).result()",
}

#: Cells that go on until they are interrupted; `reached` is a file that they make.
INTERRUPTED = {
    "after the registration": NEW + "reached.touch(); time.sleep(600)",
    "in the warm-up": NEW.replace('"policy"]', '"policy"], warmup=lambda: (reached.touch(), time.sleep(600))'),
    "while a model loads": "endpoint.model('policy', lambda: (reached.touch(), time.sleep(600)))",
    "while a model warms up": (
        "endpoint.model('policy', lambda: 1, warmup=lambda m: (reached.touch(), time.sleep(600)))"
    ),
    "while a model is validated": (
        "endpoint.model('policy', lambda: 1, validate=lambda m: (reached.touch(), time.sleep(600)))"
    ),
    "while the cell waits for a reload": (
        "policy.reload(load=lambda: (reached.touch(), time.sleep(2), 1 / 0)).result()"
    ),
}


def test_failing_cells(kernel, call):
    kernel.run(SERVE)
    assert call("kept", "f")["last"] == [1, 1]
    for what, cell in CELLS.items():
        _, error = kernel.attempt(cell)
        assert error, what
        report = call("kept", "f", calls=3)
        assert (report["last"], report["errors"], report["versions"]) == ([1, 1], {}, {"1": 3}), what
    # And what succeeds then goes live.
    kernel.run(NEW)
    kernel.run("policy.reload(5).result()")
    assert call("kept", "f")["last"] == [2, 5]


def test_interrupted_cells(kernel, call, tmp_path: Path):
    kernel.run(SERVE)
    for number, (what, cell) in enumerate(INTERRUPTED.items()):
        reached = tmp_path / str(number)
        kernel.run(f"reached = Path({str(reached)!r})")
        kernel.begin(cell)
        wait_until(reached.exists, what)
        assert call("kept", "f")["last"] == [1, 1], what
        kernel.interrupt()
        wait_until(lambda: not kernel.attempt("1")[1], "the interrupted cell to end")
        report = call("kept", "f", calls=3)
        assert (report["last"], report["errors"], report["versions"]) == ([1, 1], {}, {"1": 3}), what
    kernel.run(NEW)
    assert call("kept", "f")["last"] == [2, 1]


def test_a_reload_shows_its_progress_and_is_not_pinned(kernel, call):
    kernel.run(SERVE)
    kernel.run("import weakref, gc\nfirst = policy.apply(weakref.ref)\nreload = policy.reload(2)\nreload")
    kernel.run("reload.wait(drained=True);")
    assert kernel.run("first() is None, [one.state for one in policy.history]") == "(True, ['retired', 'live'])"
    assert "reload of policy v2: done" in kernel.run("print(reload)")
    # Looked at in a cell, a model is held, and that is said.
    kernel.run("policy.apply(lambda model: model)")
    kernel.run("policy.reload(3).wait(drained=True);")
    said = kernel.run("print(policy.history[1])")
    assert said.startswith("policy v2 held, held by Out["), said
    assert "_" in said
    assert call("kept", "f")["last"] == [1, 3]
    # An error's traceback holds the frames, and they the model.
    kernel.attempt("def evaluate(model):\n    return 1 / 0\npolicy.apply(evaluate)")
    kernel.run("policy.reload(4).wait(drained=True);")
    said = kernel.run("print(policy.history[2])")
    assert said.startswith("policy v3 held, held by the last error's traceback (sys.last_"), said
    assert "in evaluate" in said


def test_progress_is_kept_up_to_date_where_the_reload_was_shown(kernel):
    kernel.run(SERVE)
    kernel.run("import threading; gate = threading.Event()")
    kernel.begin("policy.reload(load=lambda: (gate.wait(), numpy.array([2]))[1])")
    kernel.begin("gate.set()")
    places, shown = set(), []
    while not shown or ": done" not in shown[-1]:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] in {"display_data", "update_display_data"}:
            places.add(message["content"]["transient"]["display_id"])
            shown.append(message["content"]["data"]["text/plain"])
    assert len(places) == 1
    assert shown[0].startswith("<reload of policy: ")
    assert any(": loading" in line for line in shown[:-1])
    assert shown[-1].startswith("<reload of policy v2: done, ")


def test_the_kernel_ends_in_good_order_while_a_model_loads(kernel, call, tmp_path: Path):
    kernel.run(SERVE)
    reached = tmp_path / "reached"
    kernel.run(f"policy.reload(load=lambda: (Path({str(reached)!r}).touch(), time.sleep(600)));")
    wait_until(reached.exists, "the load to begin")
    assert call("kept", "f")["last"] == [1, 1]
    pid = kernel.pid
    kernel.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_globals_that_change_and_modules_that_are_reloaded(kernel, call, tmp_path: Path):
    module = tmp_path / "shared_handlers.py"
    module.write_text("def g() -> int:\n    return 1\n")
    kernel.run(f"import sys, importlib; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True")
    kernel.run(SERVE)
    kernel.run("import shared_handlers\nendpoint.register(shared_handlers.g);\nOFFSET = 1")
    kernel.run("@endpoint.register\ndef h() -> int:\n    return OFFSET")
    assert call("kept", "h")["last"] == 1
    assert kernel.run("OFFSET = 2") == "kept.h v1* reads OFFSET: bound anew since\n"
    assert kernel.run("OFFSET = 3") == ""
    module.write_text("def g() -> int:\n    return 22\n")
    assert kernel.run("importlib.reload(shared_handlers);") == ("kept.g v1 → v2 (shared_handlers reloaded)\n")
    assert (call("kept", "g")["last"], call("kept", "g")["versions"]) == (22, {"2": 1})
    kernel.run("%load_ext autoreload\n%autoreload 2")
    module.write_text("def g() -> int:\n    return 333\n")
    said = "".join(kernel.run("1") for _ in range(2))
    assert "kept.g v2 → v3 (shared_handlers reloaded)" in said
    assert call("kept", "g")["last"] == 333
