"""A cell is a transaction, in a real IPython shell in this process."""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import threading
from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from traitlets.config import Config

from pycrust import RpcEndpoint
from pycrust.jupyter import transactions

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shell:
    """A shell with an endpoint of its own in its namespace."""

    def __init__(self, endpoint: RpcEndpoint, capsys: pytest.CaptureFixture[str]) -> None:
        self.ip = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
        self.endpoint = endpoint
        self._capsys = capsys
        self.ip.user_ns.update(endpoint=endpoint, RpcEndpoint=RpcEndpoint, threading=threading, asyncio=asyncio)

    def run(self, text: str, **options) -> bool:
        """Runs a cell; whether it succeeded."""
        return bool(self.ip.run_cell(text, **options).success)

    def define(self, name: str, value: object) -> str:
        return f"@endpoint.register\ndef {name}():\n    return {value!r}\n"

    def live(self) -> dict[str, int]:
        """The live methods and their versions, seen from outside of any cell."""
        return {name: self.endpoint[name].version for name in self.endpoint}

    def close(self) -> None:
        atexit.unregister(self.ip.atexit_operations)
        self.ip.atexit_operations()

    def printed(self) -> list[str]:
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def shell(endpoint: RpcEndpoint, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    made = Shell(endpoint, capsys)
    yield made
    assert transactions._open == {}, "every transaction was closed"
    made.close()


def failures(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("pycrust:")]


def test_a_cell_publishes_when_it_succeeds(shell):
    assert shell.run(shell.define("f", 1) + "during = endpoint['f'].version, endpoint._dispatch('f')")
    assert shell.ip.user_ns["during"] == (0, 1)  # staged, and seen by its own cell
    assert shell.live() == {"f": 1}
    assert shell.endpoint._dispatch("f") == 1


def test_a_cell_that_fails_publishes_nothing_and_says_so_once(shell):
    shell.run(shell.define("f", 1))
    assert not shell.run(shell.define("f", 2) + shell.define("g", 2) + "assert endpoint._dispatch('f') == 2\n1 / 0")
    assert shell.live() == {"f": 1}
    assert shell.endpoint._dispatch("f") == 1
    name = shell.endpoint.name
    assert failures(shell.printed()) == [
        f"pycrust: the cell failed, so it published nothing of {name}.f, {name}.g; what was live before serves on"
    ]


def test_the_next_cell_starts_afresh(shell):
    shell.run(shell.define("f", 1) + "1 / 0")
    shell.run(shell.define("g", 1))
    assert shell.live() == {"g": 1}


@pytest.mark.parametrize(
    "ending", ["1 / 0", "raise SystemExit", "raise KeyboardInterrupt", "await asyncio.sleep('x')"]
)
def test_every_kind_of_failure(shell, ending):
    with pytest.warns(UserWarning) if "SystemExit" in ending else pytest.MonkeyPatch.context():
        shell.run(shell.define("f", 1) + ending)
    assert shell.live() == {}


def test_a_cell_that_does_not_compile(shell):
    assert not shell.run(shell.define("f", 1) + "1 +")
    assert shell.live() == {}
    assert failures(shell.printed()) == []


def test_a_register_that_raises_fails_its_cell(shell):
    assert not shell.run(shell.define("f", 1) + "endpoint.register('g', concurrency=0)(lambda: 1)")
    assert shell.live() == {}


def test_a_register_that_raises_and_is_caught(shell):
    shell.run(shell.define("f", 1) + "try:\n    endpoint.register(3)\nexcept TypeError:\n    pass")
    assert shell.live() == {"f": 1}


def test_all_of_a_cell_goes_live_at_once(shell, monkeypatch):
    batches = []
    catalog = shell.endpoint._service.catalog
    publish = catalog._publish_natively
    monkeypatch.setattr(
        catalog, "_publish_natively", lambda changes: batches.append([c[0] for c in changes]) or publish(changes)
    )
    shell.run(shell.define("a", 1) + shell.define("b", 1) + "endpoint.register('c')(lambda: 1)")
    assert batches == [["a", "b", "c"]]


def test_the_same_cell_again_is_unchanged(shell):
    text = "x = 1\n" + shell.define("f", 1)
    shell.run(text, store_history=True)
    shell.run(text, store_history=True)
    shell.run("\n\n" + text, store_history=True)
    assert shell.live() == {"f": 1}
    (version,) = shell.endpoint["f"].history
    assert version.cell == 1
    assert version.source.startswith("@endpoint.register\ndef f():")
    shell.run(text.replace("return 1", "return 2"), store_history=True)
    assert [version.cell for version in shell.endpoint["f"].history] == [1, 4]


def test_models_defined_in_cells(shell):
    shell.run(
        "from __future__ import annotations\nfrom pydantic import BaseModel\n"
        "class Outer(BaseModel):\n    inner: Inner\n"
        "class Inner(BaseModel):\n    x: int\n"
        "@endpoint.register\ndef f(outer: Outer) -> list[Inner]:\n    return [outer.inner]\n"
        "@endpoint.register(request_model=Outer)\ndef g(outer: Outer) -> Inner:\n    return outer.inner\n"
    )
    assert shell.endpoint._dispatch("f", [[[3]]]) == [{"x": 3}]
    assert shell.endpoint._dispatch("g", {"inner": [4]}) == {"x": 4}
    # The class again, in a cell of its own: what the handler makes of it still fits.
    shell.run("class Inner(BaseModel):\n    x: int\n    y: int = 0")
    shell.run("@endpoint.register\ndef h() -> Inner:\n    return Inner(x=1)")
    shell.run("class Inner(BaseModel):\n    x: int\n    y: int = 0")
    assert shell.endpoint._dispatch("h") == {"x": 1, "y": 0}


def test_two_functions_under_one_name_are_an_error(shell):
    assert not shell.run(shell.define("f", 1) + shell.define("f", 2))
    assert shell.live() == {}
    assert shell.run(shell.define("f", 1) * 2)
    assert shell.live() == {"f": 1}
    assert shell.run(shell.define("f", 2))  # in another cell it is the swap
    assert shell.live() == {"f": 2}


def test_removal_belongs_to_the_cell(shell):
    shell.run(shell.define("f", 1))
    shell.run("endpoint.unregister('f')\nassert 'f' not in endpoint\n1 / 0")
    assert shell.live() == {"f": 1}
    shell.run("endpoint.unregister('f')\n" + shell.define("g", 1))
    assert shell.live() == {"g": 1}
    shell.run(shell.define("h", 1) + "endpoint.unregister('h')")
    assert shell.live() == {"g": 1}
    shell.run("RpcEndpoint(endpoint.name, fresh=True)\n" + shell.define("new", 1) + "1 / 0")
    assert shell.live() == {"g": 1}
    shell.run("RpcEndpoint(endpoint.name, fresh=True)\n" + shell.define("new", 1))
    assert shell.live() == {"new": 1}


def test_models_belong_to_the_cell(shell):
    make = "import numpy as np\npolicy = endpoint.model('policy', lambda: np.array([{mark}]))\n"
    use = "@endpoint.register(models=['policy'])\ndef act(policy) -> int:\n    return int(policy[0])\n"
    during = "assert endpoint['act']() == {mark}\n"
    assert shell.run((make + use + during).format(mark=1))
    slot, live, name = shell.ip.user_ns["policy"], shell.endpoint["act"], shell.endpoint.name
    assert not shell.run((make + use + during).format(mark=2) + "ref = policy.version\n1 / 0")
    assert (live(), slot.version, [one.state for one in slot.history]) == (1, 1, ["live", "refused"])
    assert failures(shell.printed()) == [
        f"pycrust: the cell failed, so it published nothing of {name}.model policy, {name}.act; "
        "what was live before serves on"
    ]
    assert shell.run((make + use + during).format(mark=3))
    assert (live(), slot.version, live.version) == (3, 3, 2)
    assert shell.run((make + use).format(mark=3))
    assert slot.version == 3, "the same cell again loads nothing"


def test_a_reload_overtakes_what_its_cell_has_staged(shell):
    assert shell.run(
        "policy = endpoint.model('policy', lambda mark=1: [mark])\npolicy.reload(2).result()\n"
        "endpoint.register('act', models=['policy'])(lambda policy: policy[0])"
    )
    assert shell.endpoint["act"]() == 2
    assert [one.state for one in shell.ip.user_ns["policy"].history] == ["refused", "live"]


class TestCommit:
    def test_what_was_committed_stays(self, shell):
        shell.run(shell.define("f", 1) + "endpoint.commit()\n" + shell.define("g", 1) + "1 / 0")
        assert shell.live() == {"f": 1}
        assert failures(shell.printed()) == [
            f"pycrust: the cell failed, so it published nothing of {shell.endpoint.name}.g; "
            "what was live before serves on"
        ]

    def test_from_an_inner_run(self, shell):
        shell.ip.user_ns["inner"] = shell.define("g", 1) + "endpoint.commit()"
        shell.run(shell.define("f", 1) + "get_ipython().run_cell(inner)\n1 / 0")
        assert shell.live() == {"f": 1, "g": 1}

    def test_outside_of_a_cell_there_is_nothing_to_do(self, shell):
        shell.endpoint.commit()
        assert shell.live() == {}

    def test_a_second_function_after_a_commit_is_the_swap(self, shell):
        assert shell.run(shell.define("f", 1) + "endpoint.commit()\n" + shell.define("f", 2))
        assert shell.live() == {"f": 2}

    def test_serve_commits(self, shell):
        shell.run(shell.define("f", 1) + "line = endpoint.serve()\n1 / 0")
        assert shell.live() == {"f": 1}
        assert shell.ip.user_ns["line"].startswith(f"serving {shell.endpoint.name} · pid ")
        assert shell.ip.user_ns["line"].endswith(" · 1 method · 0 clients")


class TestNested:
    def run_inside(self, shell, inner: str, after: str = "") -> bool:
        shell.ip.user_ns["inner"] = inner
        return shell.run(shell.define("f", 1) + "get_ipython().run_cell(inner)\n" + after)

    def test_an_inner_success_merges_outward(self, shell):
        shell.ip.user_ns["versions"] = []
        look = "versions.append(('g' in endpoint, endpoint['g'].version))\n"
        assert self.run_inside(shell, shell.define("g", 1) + look, look + shell.define("h", 1))
        assert shell.ip.user_ns["versions"] == [(True, 0), (True, 0)]
        assert shell.live() == {"f": 1, "g": 1, "h": 1}

    def test_an_outer_failure_drops_the_inner_success(self, shell):
        assert not self.run_inside(shell, shell.define("g", 1), "1 / 0")
        assert shell.live() == {}

    def test_an_inner_failure_drops_only_its_own(self, shell):
        assert self.run_inside(shell, shell.define("g", 1) + "1 / 0")
        assert shell.live() == {"f": 1}
        assert len(failures(shell.printed())) == 1

    def test_an_inner_swap_of_the_outer_name_is_no_error(self, shell):
        assert self.run_inside(shell, shell.define("f", 2))
        assert shell.live() == {"f": 1}
        assert shell.endpoint._dispatch("f") == 2

    def test_an_inner_run_without_registrations(self, shell):
        assert self.run_inside(shell, "1 / 0", shell.define("g", 1))
        assert shell.live() == {"f": 1, "g": 1}

    def test_an_inner_run_first(self, shell):
        shell.ip.user_ns["inner"] = shell.define("g", 1)
        assert not shell.run("get_ipython().run_cell(inner)\n1 / 0")
        assert shell.live() == {}

    def test_three_deep(self, shell):
        shell.ip.user_ns["innermost"] = shell.define("h", 1)
        assert self.run_inside(shell, shell.define("g", 1) + "get_ipython().run_cell(innermost)\n1 / 0")
        assert shell.live() == {"f": 1}

    def test_an_awaited_inner_run(self, shell):
        shell.ip.user_ns["inner"] = shell.define("g", 1)
        run = "await get_ipython().run_cell_async(inner, transformed_cell=inner)\n"
        assert shell.run(shell.define("f", 1) + run)
        assert shell.live() == {"f": 1, "g": 1}

    def test_capture_hides_the_failure_but_not_its_consequence(self, shell):
        assert shell.run("%%capture\n" + shell.define("g", 1) + "1 / 0")
        assert shell.live() == {}
        assert len(failures(shell.printed())) == 1  # not captured

    def test_capture_of_a_success(self, shell):
        assert shell.run("%%capture\n" + shell.define("g", 1))
        assert shell.live() == {"g": 1}

    def test_time(self, shell):
        assert shell.run("%%time\n" + shell.define("g", 1))
        assert shell.live() == {"g": 1}

    def test_run_belongs_to_its_cell(self, shell, tmp_path):
        script = tmp_path / "handlers.py"
        script.write_text(shell.define("g", 1))
        assert not shell.run(shell.define("f", 1) + f"%run -i {script}\nassert 'g' in endpoint\n1 / 0")
        assert shell.live() == {}
        assert shell.run(f"%run -i {script}")
        assert shell.live() == {"g": 1}

    def test_a_silent_run_publishes_at_once(self, shell):
        assert shell.run(shell.define("f", 1), silent=True)
        assert shell.live() == {"f": 1}


HALF = "endpoint.register('g')(lambda: 1)\n1 / 0\nendpoint.register('h')(lambda: 1)\n"


@pytest.mark.filterwarnings("ignore::UserWarning")  # which is how IPython tells of some failures
class TestScripts:
    """Code whose failure IPython shows, or swallows, while it calls the cell a success."""

    @pytest.fixture
    def script(self, shell, tmp_path, monkeypatch):
        """Writes a script that finds the endpoint by its name; gives its path."""
        monkeypatch.syspath_prepend(str(tmp_path))

        def write(text: str, name: str = "half.py") -> str:
            path = tmp_path / name
            path.write_text(
                f"from pycrust import RpcEndpoint\nendpoint = RpcEndpoint({shell.endpoint.name!r})\n{text}"
            )
            return str(path)

        return write

    @pytest.mark.parametrize("options", ["", "-i", "-n", "-p", "-t -N1", "-e"])
    def test_a_script_that_fails_half_way_is_dropped(self, shell, script, options):
        path = script(HALF)
        assert shell.run(f"%run {options} {path}"), "IPython calls it a success"
        assert shell.live() == {}
        (line,) = [line for line in shell.printed() if "pycrust:" in line]
        assert line.endswith(
            f"pycrust: half.py failed, so it published nothing of {shell.endpoint.name}.g; "
            "what was live before serves on"
        )

    def test_as_a_module_that_fails_half_way(self, shell, script):
        script(HALF, "half_module.py")
        assert shell.run("%run -m half_module")
        assert shell.live() == {}

    def test_only_its_own_registrations_are_dropped(self, shell, script):
        path = script(HALF)
        assert shell.run(shell.define("f", 1) + f"%run {path}\n" + "seen = list(endpoint)\n" + shell.define("k", 1))
        assert shell.ip.user_ns["seen"] == ["f"]
        assert shell.live() == {"f": 1, "k": 1}

    def test_each_script_of_a_cell_is_one_of_its_own(self, shell, script):
        bad, good = script(HALF, "bad.py"), script("endpoint.register('ok')(lambda: 1)", "good.py")
        empty = script("1 / 0", "empty.py")
        assert shell.run(f"%run {bad}\n%run {empty}\n%run {good}\n%run {bad}\n%run {empty}")
        assert shell.live() == {"ok": 1}

    def test_a_script_within_a_script(self, shell, script):
        bad = script(HALF, "bad.py")
        outer = script(
            f"endpoint.register('o')(lambda: 1)\nget_ipython().run_line_magic('run', {bad!r})\n"
            "endpoint.register('p')(lambda: 1)",
            "outer.ipy",
        )
        assert shell.run(f"%run {outer}")
        assert shell.live() == {"o": 1, "p": 1}

    @pytest.mark.parametrize(("code", "live"), [("0", {"g": 1}), ("", {"g": 1}), ("3", {}), ("'no'", {})])
    def test_a_script_that_exits(self, shell, script, code, live):
        path = script(f"import sys\nendpoint.register('g')(lambda: 1)\nsys.exit({code})")
        shell.run(f"%run {path}")
        assert shell.live() == live
        assert shell.run(f"%run -e {path}")
        assert shell.live() == {"g": 1}, "-e asks not to take an exit for a failure"

    @pytest.mark.parametrize("name", ["half.ipy", "half.ipynb"])
    def test_cells_of_a_notebook(self, shell, script, name):
        path = script(HALF, name)
        if name.endswith("nb"):
            from pathlib import Path

            import nbformat

            cells = [nbformat.v4.new_code_cell(cell) for cell in Path(path).read_text().splitlines()]
            nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        assert not shell.run(shell.define("f", 1) + f"%run {path}")
        assert shell.live() == {}
        assert shell.run(shell.define("f", 1) + f"get_ipython().safe_execfile_ipy({path!r})")
        expected = {"f": 1, "g": 1} if name.endswith("nb") else {"f": 1}  # its first cells had succeeded
        assert shell.live() == expected

    def test_a_script_of_the_first_cell_of_all(self, start, tmp_path):
        """Which imports this package, and registers before anything was hooked."""
        import sys

        path = tmp_path / "first.py"
        path.write_text("from pycrust import RpcEndpoint\nendpoint = RpcEndpoint('first')\n" + HALF)
        program = start(
            sys.executable,
            "-c",
            "from IPython.core.interactiveshell import InteractiveShell\n"
            "shell = InteractiveShell.instance()\n"
            f"print(shell.run_cell('%run {path}').success)\n"
            "from pycrust import RpcEndpoint\n"
            "print(list(RpcEndpoint('first')))\n",
        )
        lines = program.finish().splitlines()
        assert lines[-2:] == ["True", "[]"]

    @pytest.mark.parametrize(
        "magic", ["%%time", "%%timeit -n1 -r1", "%%capture", "%%prun -q", "%%time --no-raise-error", "%%debug"]
    )
    def test_magics_around_a_cell_that_fails(self, shell, magic, monkeypatch, request):
        if magic == "%%debug":
            monkeypatch.setattr("sys.stdin", io.StringIO("c\n" * 9))
            # The debugger makes a shell for itself where there is none.
            request.addfinalizer(TerminalInteractiveShell.clear_instance)
        shell.run(f"{magic}\n{HALF}")
        assert shell.live() == {}

    def test_an_exit_under_prun(self, shell):
        assert shell.run("%%prun -q\nendpoint.register('g')(lambda: 1)\nraise SystemExit")
        assert shell.live() == {}

    @pytest.mark.parametrize(
        "run",
        [
            "exec(pathlib.Path({path!r}).read_text())",
            "import runpy\nrunpy.run_path({path!r})",
            "import half",
            "get_ipython().run_cell(pathlib.Path({path!r}).read_text()).raise_error()",
        ],
    )
    def test_code_that_raises_out_of_its_cell(self, shell, script, run):
        path = script(HALF)
        assert not shell.run("import pathlib\n" + shell.define("f", 1) + run.format(path=path))
        assert shell.live() == {}

    def test_a_module_that_fails_to_reload(self, shell, script, tmp_path):
        script("endpoint.register('g')(lambda: 1)", "reloaded.py")
        shell.run("%load_ext autoreload\n%autoreload 2\nimport reloaded")
        assert shell.live() == {"g": 1}
        path = script("endpoint.register('g')(lambda: 2)\n1 / 0", "reloaded.py")
        os.utime(path, (2e9, 2e9))
        assert shell.run(shell.define("f", 1))
        assert shell.live() == {"g": 1, "f": 1}
        assert shell.endpoint._dispatch("g") == 1


class TestBesideTheCell:
    def test_another_thread_publishes_at_once(self, shell):
        shell.run(
            shell.define("f", 1)
            + "def register():\n    endpoint.register('g')(lambda: 1)\n"
            + "thread = threading.Thread(target=register)\nthread.start()\nthread.join()\n1 / 0"
        )
        assert shell.live() == {"g": 1}

    def test_between_cells(self, shell):
        shell.run("x = 1")
        shell.endpoint.register("callback")(lambda: 1)
        assert shell.live() == {"callback": 1}

    def test_a_cell_that_awaits(self, shell):
        assert shell.run(
            "await asyncio.sleep(0)\n" + shell.define("f", 1) + "await asyncio.sleep(0)\nx = list(endpoint)"
        )
        assert shell.live() == {"f": 1}
        assert not shell.run("await asyncio.sleep(0)\n" + shell.define("g", 1) + "await asyncio.sleep(0)\n1 / 0")
        assert shell.live() == {"f": 1}

    TASK = (
        "async def later(name, delay=0):\n    await asyncio.sleep(delay)\n    endpoint.register(name)(lambda: 1)\n"
    )

    def test_a_task_that_its_cell_waits_for_belongs_to_it(self, shell):
        shell.run("x = endpoint\nx.register('first')(lambda: 1)")
        assert not shell.run(
            self.TASK + "await asyncio.gather(later('g'), later('h'))\nassert 'g' in endpoint\n1 / 0"
        )
        assert shell.live() == {"first": 1}
        assert shell.run(self.TASK + "await asyncio.gather(later('g'), later('h'))")
        assert shell.live() == {"first": 1, "g": 1, "h": 1}

    def test_a_task_that_outlives_its_cell_publishes_at_once(self, shell):
        shell.run(shell.define("first", 1))
        wait = "gate = asyncio.Event()\nasync def wait():\n    await gate.wait()\n    await later('g')\n"
        shell.run(self.TASK + wait + "task = asyncio.create_task(wait())\nawait asyncio.sleep(0)")
        assert shell.live() == {"first": 1}
        # It registers while an unrelated cell runs, which then fails.
        assert not shell.run(shell.define("f", 1) + "gate.set()\nawait task\n1 / 0")
        assert shell.live() == {"first": 1, "g": 1}

    def test_two_shells_do_not_mix(self, shell, make_endpoint, capsys):
        other = Shell(make_endpoint(), capsys)
        shell.ip.user_ns["other"] = other
        shell.ip.user_ns["text"] = other.define("g", 1)
        assert not shell.run(shell.define("f", 1) + "assert other.run(text)\n1 / 0")
        assert shell.live() == {}
        other.close()

    def test_a_cell_of_another_thread_has_its_own_transaction(self, shell):
        shell.ip.user_ns["inner"] = shell.define("g", 1)
        assert not shell.run(
            shell.define("f", 1)
            + "thread = threading.Thread(target=lambda: get_ipython().run_cell(inner))\n"
            + "thread.start()\nthread.join()\n1 / 0"
        )
        assert shell.live() == {"g": 1}


def test_an_end_that_is_reported_without_result(shell):
    """ipykernel reports a cell that was cancelled so."""
    shell.ip.user_ns["ended"] = transactions._ended
    shell.run(shell.define("f", 1) + "ended(None)")  # of some other run: this one is on the stack
    assert shell.live() == {"f": 1}


def test_an_end_that_is_not_announced_shows_at_the_next_start(shell):
    text = shell.define("f", 1)
    asyncio.run(shell.ip.run_cell_async(text, transformed_cell=text))
    assert shell.live() == {}
    assert not shell.run("x = list(endpoint)\n1 / 0")
    assert shell.ip.user_ns["x"] == ["f"]
    assert shell.live() == {"f": 1}


def test_a_value_that_cannot_be_shown_fails_its_cell(shell):
    """ipykernel then answers with an error, though the code ran through."""
    shell.ip._last_traceback_during_displayhook = True
    shell.run(shell.define("f", 1))
    assert shell.live() == {}


def test_serving_shows_one_line_for_each_swap(shell):
    shell.run(shell.define("f", 1))
    shell.run("endpoint.serve()")
    shell.printed()
    shell.run(shell.define("f", 2) + shell.define("g", 1))
    name = shell.endpoint.name
    assert shell.printed() == [f"{name}.f v1 → v2", f"{name}.g v1"]
    shell.run(shell.define("f", 2))
    assert shell.printed() == []
    shell.run("endpoint.unregister('g')")
    assert shell.printed() == [f"{name}.g v1 removed"]


def test_the_cell_that_imports_is_a_transaction_as_well(start):
    """In a process of its own, where nothing of this package is imported before."""
    import sys

    program = start(
        sys.executable,
        "-c",
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "import sys\n"
        "text = '''from pycrust import RpcEndpoint\n"
        'endpoint = RpcEndpoint("fresh")\n'
        "@endpoint.register\n"
        "def f(): return 1\n'''\n"
        "assert 'pycrust' not in sys.modules\n"
        "shell.run_cell(text + '1 / 0')\n"
        "print(list(shell.user_ns['endpoint']))\n"
        "shell.run_cell(text)\n"
        "print(list(shell.user_ns['endpoint']))\n",
    )
    lines = program.finish().splitlines()
    assert lines[-2:] == ["[]", "['f']"]
    assert len(failures(lines)) == 1
