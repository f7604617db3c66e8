"""Serving, stopping, listening, forking and exiting, with real workers and processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from pycrust import AlreadyServed, RpcEndpoint
from pycrust._extension import live_endpoints
from pycrust.service import lifecycle
from tests.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def served() -> list[str]:
    return sorted(owner["endpoint"] for owner in live_endpoints())


def threads() -> list[str]:
    """This process's native threads that serve; a client's stay for the next one, the log's to the end."""
    names = []
    for task in os.listdir("/proc/self/task"):
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),  # it has just ended
            open(f"/proc/self/task/{task}/comm") as comm,  # noqa: PTH123 - no path object is worth it
        ):
            names.append(comm.read().strip())
    others = {"pycrust-client", "pycrust-connect", "pycrust-work", "pycrust-log"}
    return sorted(name for name in names if name.startswith("pycrust") and name not in others)


class TestServe:
    def test_it_says_so_in_one_line_and_is_safe_to_run_twice(self, endpoint, capsys):
        endpoint.register("f")(lambda: 1)
        first, second = endpoint.serve(), endpoint.serve()
        line = f"serving {endpoint.name} · pid {os.getpid()} · 1 method · 0 clients"
        assert first == second == line
        assert capsys.readouterr().out.splitlines() == [line, line]
        assert endpoint.serving
        assert served() == [endpoint.name]
        assert repr(endpoint) == f"<RpcEndpoint {line.removeprefix('serving ')}>"

    def test_stopping_leaves_nothing_behind(self, endpoint, runtime_dir: Path):
        wait_until(lambda: not threads(), "an earlier test's threads to end")
        endpoint.serve()
        assert threads()
        assert endpoint.stop() is True
        assert endpoint.stop() is True
        assert not endpoint.serving
        # The thread that did the stopping ends a moment after it has said so.
        wait_until(lambda: not threads(), "native threads to end")
        assert served() == []
        assert not [path for path in runtime_dir.rglob("*") if path.suffix == ".sock"]

    def test_it_serves_again_with_its_versions(self, endpoint):
        endpoint.register("f")(lambda: 1)
        with endpoint:
            endpoint.register("f")(lambda: 2)
        with endpoint as again:
            assert again is endpoint
            endpoint.register("f")(lambda: 3)
            (method,) = endpoint.stats()["methods"]
            assert (method["name"], method["version"]) == ("f", 3)
        assert not endpoint.serving
        assert [version.number for version in endpoint["f"].history] == [1, 2, 3]

    def test_expected_names_are_checked(self, endpoint):
        with pytest.raises(ValueError, match="method's name"):
            endpoint.serve(expect=["pycrust.x"])
        assert not endpoint.serving

    def test_a_name_that_another_process_serves(self, worker, endpoint):
        other = worker(
            "from pycrust import RpcEndpoint\n"
            f"RpcEndpoint({endpoint.name!r}).serve()",
            env={**os.environ, "JPY_SESSION_NAME": "/home/me/arm.ipynb"},
        )  # fmt: skip
        with pytest.raises(AlreadyServed, match=rf"/home/me/arm.ipynb \(pid {other.pid}\)") as caught:
            endpoint.serve()
        assert caught.value.details["pid"] == other.pid
        assert not endpoint.serving
        other.process.kill()
        other.process.wait()
        endpoint.serve()
        assert endpoint.serving

    def test_two_endpoints_in_one_process(self, make_endpoint):
        with make_endpoint() as one, make_endpoint() as two:
            assert served() == sorted([one.name, two.name])


class TestListen:
    def listening(self, start, runtime_dir, more: str = "") -> object:
        program = start(
            sys.executable,
            "-uc",
            "from pycrust import RpcEndpoint\n"
            "endpoint = RpcEndpoint('script')\n"
            "@endpoint.register\n"
            "def f() -> int:\n    return 1\n"
            f"{more}\n"
            "endpoint.listen()\n"
            "print('done')\n",
        )
        assert program.line() == f"serving script · pid {program.pid} · 1 method · 0 clients"
        return program

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_end_it_cleanly(self, start, runtime_dir, number):
        program = self.listening(start, runtime_dir)
        assert served() == ["script"]
        program.send(number)
        assert program.finish() == "done\n"
        assert served() == []

    def test_stop_from_elsewhere_ends_it(self, start, runtime_dir):
        more = "import threading\nthreading.Timer(0.2, endpoint.stop).start()"
        assert self.listening(start, runtime_dir, more).finish() == "done\n"

    def test_it_listens_again(self, endpoint):
        for _ in range(2):
            threading.Timer(0.05, endpoint.stop).start()
            endpoint.listen()
            assert not endpoint.serving

    def test_the_signals_handler_is_put_back(self, endpoint):
        def mine(_number, _frame): ...

        before = signal.signal(signal.SIGTERM, mine)
        try:
            threading.Timer(0.05, endpoint.stop).start()
            endpoint.listen()
            assert signal.getsignal(signal.SIGTERM) is mine
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_on_another_thread(self, endpoint):
        thread = threading.Thread(target=endpoint.listen)
        thread.start()
        while not endpoint.serving:
            pass
        endpoint.stop()
        thread.join(60)
        assert not thread.is_alive()


class TestSwitchInterval:
    @pytest.fixture(autouse=True)
    def known(self):
        before = sys.getswitchinterval()
        sys.setswitchinterval(0.004)
        yield
        sys.setswitchinterval(before)

    def now(self) -> int:
        return round(sys.getswitchinterval() * 1e6)

    def test_it_is_lowered_while_anything_serves(self, make_endpoint):
        one, two = make_endpoint(), make_endpoint(switch_interval=0.001)
        with one:
            assert self.now() == 50
            with two:
                assert self.now() == 50
            assert self.now() == 50
        assert self.now() == 4000
        with two:
            assert self.now() == 1000
        assert self.now() == 4000

    def test_it_can_be_left_alone(self, make_endpoint):
        with make_endpoint(switch_interval=None):
            assert self.now() == 4000

    def test_it_is_never_raised(self, make_endpoint):
        with make_endpoint(switch_interval=0.5):
            assert self.now() == 4000

    def test_somebody_elses_change_stands(self, make_endpoint):
        with make_endpoint():
            sys.setswitchinterval(0.002)
        assert self.now() == 2000
        with make_endpoint():
            assert self.now() == 50
        assert self.now() == 2000


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=False)


SERVING = "from pycrust import RpcEndpoint\nendpoint = RpcEndpoint('exiting')\nendpoint.serve()\n"


class TestExit:
    @pytest.mark.parametrize(("last", "status"), [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)])
    def test_a_process_that_serves_ends_by_itself(self, last, status):
        ended = run(SERVING + last)
        assert ended.returncode == status, ended.stderr
        assert served() == []

    @pytest.mark.parametrize(("last", "status"), [("", 0), ("1 / 0", 1)])
    def test_a_forced_exit_runs_the_remaining_handlers_once_and_flushes(self, last, status):
        source = (
            "import atexit, threading, time\n"
            "say = lambda *words: print(*words)\n"
            "atexit.register(say, 'first', 'registered')\n"
            "from pycrust import RpcClient, RpcEndpoint\n"
            "atexit.register(say, 'last', 'registered')\n"
            "atexit.register(lambda: print('the very last'))\n"
            "endpoint = RpcEndpoint('exiting')\n"
            "begun = threading.Event()\n"
            "endpoint.register('stay')(lambda: begun.set() or time.sleep(600))\n"
            "endpoint.serve()\n"
            "client = RpcClient('exiting')\n"
            "threading.Thread(target=client.call, args=['stay'], daemon=True).start()\n"
            "begun.wait()\n"
        )
        ended = run(source + last)
        assert ended.stdout.splitlines()[1:] == ["the very last", "last registered", "first registered"]
        assert ended.returncode == status

    @pytest.mark.parametrize(
        "body",
        [
            "endpoint['f'].shadow(lambda: 1)",
            "shadow = endpoint['f'].shadow(lambda: time.sleep(600)); call(); wait(shadow)",
            "endpoint.model('m', lambda s=0: time.sleep(s) or [1]).reload(600)",
        ],
    )
    def test_candidates_and_loads_do_not_hold_it_up(self, body):
        source = f"""
            import time
            from pycrust import RpcClient, RpcEndpoint
            endpoint = RpcEndpoint("tries")
            endpoint.register("f")(lambda: 1)
            endpoint.serve()
            def call():
                with RpcClient("tries") as client:
                    client.call("f")
            def wait(shadow):
                while shadow._since == 0:
                    time.sleep(0.01)
            {body}
            time.sleep(0.2)
            print("last")
        """
        ended = run(textwrap.dedent(source))
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.splitlines()[-1] == "last"


class TestFork:
    def test_a_child_has_the_handlers_and_serves_nothing(self):
        ended = run(
            SERVING + "import os, sys\n"
            "endpoint.register('f')(lambda: 1)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    assert not endpoint.serving and endpoint._dispatch('f') == 1 and endpoint['f'].version == 1\n"
            "    assert RpcEndpoint('exiting') is endpoint\n"
            "    assert round(sys.getswitchinterval(), 4) == 0.005\n"
            "    sys.exit(7)\n"
            "_, status = os.waitpid(child, 0)\n"
            "assert os.waitstatus_to_exitcode(status) == 7, status\n"
            "assert endpoint.serving\n"
            "endpoint.register('f')(lambda: 2)\n"
        )
        assert ended.returncode == 0, ended.stderr
        assert served() == []

    def test_a_name_that_the_parent_serves_is_refused(self):
        ended = run(
            SERVING + "import os\n"
            "from pycrust import AlreadyServed\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    try:\n        endpoint.serve()\n"
            "    except AlreadyServed as error:\n        assert error.details['pid'] == os.getppid()\n"
            "    else:\n        os._exit(1)\n"
            "    raise SystemExit(7)\n"
            "_, status = os.waitpid(child, 0)\n"
            "assert os.waitstatus_to_exitcode(status) == 7, status\n"
        )
        assert ended.returncode == 0, ended.stderr


def test_importing_starts_nothing_and_imports_no_jupyter():
    ended = run(
        "import sys, threading, pycrust\n"
        "heavy = {'IPython', 'ipykernel', 'ipywidgets', 'anywidget', 'numpy', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy), threading.active_count(), sys.getswitchinterval())\n"
    )
    assert ended.stdout == "[] 1 0.005\n", ended.stderr


def test_the_command_line_lists_what_is_served(endpoint, capfd):
    from pycrust.__main__ import main

    with endpoint:
        capfd.readouterr()
        assert main(["ls"]) == 0
        _, row = capfd.readouterr().out.splitlines()
        assert row.split()[:3] == [endpoint.name, str(os.getpid()), "serving"]


def test_everything_is_stopped_at_exit(make_endpoint):
    one = make_endpoint()
    one.serve()
    lifecycle.stop_all()
    assert not one.serving
    assert isinstance(one, RpcEndpoint)
