"""`pycrust serve`: a module or a script as a service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pycrust import RpcClient, RpcError
from tests.conftest import Program, wait_until
from tests.interop.command_line import PYCRUST, environment, run

SCRIPT = """
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("arm")

@endpoint.register
def home(speed: int = 1) -> int:
    return {factor} * speed

{more}
"""
WAITS = """
import threading
free = threading.Event()

@endpoint.register
def hang() -> str:
    free.wait()
    return "free"

@endpoint.register
def release() -> None:
    free.set()
"""


def script(factor: int = 2, more: str = "") -> str:
    return SCRIPT.format(factor=factor, more=more)


def write(file: Path, text: str) -> None:
    """Puts a text into the place of a file, as editors do."""
    part = file.with_suffix(".part")
    part.write_text(text)
    part.replace(file)


@pytest.fixture
def serve(start) -> Callable[..., Program]:
    """Starts a `serve` that has said that it serves."""

    def starter(*arguments: object, cwd: Path, **more: str) -> Program:
        program = start(*PYCRUST, "serve", *arguments, cwd=cwd, env=environment(**more))
        assert program.line().startswith("serving arm · pid")
        return program

    return starter


def ended(program: Program, sign: signal.Signals) -> tuple[int, str]:
    program.send(sign)
    _, said = program.process.communicate()
    return program.process.returncode, said


class TestServing:
    @pytest.mark.parametrize(
        ("spec", "more"),
        [
            ("arm.py", ""),
            ("arm.py:endpoint", "other = RpcEndpoint('other')"),
            ("arm:endpoint", ""),
            ("arm", "endpoint.listen()"),
            ("./arm.py", "if __name__ == '__main__':\n    raise SystemExit"),
        ],
    )
    @pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
    def test_a_module_until_a_signal(self, serve, tmp_path, spec, more, sign):
        (tmp_path / "arm.py").write_text(script(more=more))
        program = serve(spec, cwd=tmp_path)
        with RpcClient("arm") as client:
            assert client.call("home", 4) == 8
        status, said = ended(program, sign)
        assert status == 0, said
        assert "arm: stopping" in said

    def test_a_module_of_a_package(self, serve, tmp_path):
        package = tmp_path / "robots"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "speeds.py").write_text("FACTOR = 3\n")
        (package / "arm.py").write_text(
            "from . import speeds\n" + script().replace("2 * speed", "speeds.FACTOR * speed")
        )
        program = serve("robots.arm:endpoint", cwd=tmp_path)
        with RpcClient("arm") as client:
            assert client.call("home", 4) == 12
        assert ended(program, signal.SIGTERM)[0] == 0

    def test_calls_that_run_end_before_it_does(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script(more=WAITS))
        program = serve("arm.py", "--grace", "60", cwd=tmp_path)
        with RpcClient("arm") as client, RpcClient("arm") as other:
            calls = []
            pending = client._client.start("hang", [], {}, lambda result, error: calls.append((result, error)))
            question = other.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in question.call()["methods"]) == 1, "the call to run")
            program.send(signal.SIGTERM)
            wait_until(lambda: other.call("pycrust.health")["status"] == "stopping", "it to drain")
            assert program.process.poll() is None
            # New calls are refused meanwhile, so that the handler is let go from outside.
            with pytest.raises(RpcError):
                other.call("release")
            program.send(signal.SIGKILL)
            program.process.wait()
            wait_until(lambda: calls, "the call to end")
            del pending

    def test_a_call_that_does_not_end_is_given_up(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script(more=WAITS))
        program = serve("arm.py", "--grace", "0.1", cwd=tmp_path)
        with RpcClient("arm") as client:
            client.request("hang").notify()
            question = client.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in question.call()["methods"]) == 1, "the call to run")
            status, said = ended(program, signal.SIGTERM)
        assert status == 1
        assert "calls of arm did not end within 0.1 s, and are given up" in said

    def test_what_the_module_asks_of_serving(self, serve, start, tmp_path):
        (tmp_path / "arm.py").write_text(script(more="endpoint.serve(expect=['later'])"))
        program = serve("arm.py", cwd=tmp_path)
        with RpcClient("arm") as client, pytest.raises(RpcError, match="is expected"):
            client.call("later")
        second = start(*PYCRUST, "serve", "arm.py", cwd=tmp_path, env=environment())
        _, said = second.process.communicate()
        assert (second.process.returncode, "pycrust serve --takeover" in said) == (1, True)
        third = serve("arm.py", "--takeover", cwd=tmp_path)
        program.process.communicate()
        assert program.process.returncode == 0, "it has handed the name over"
        assert ended(third, signal.SIGTERM)[0] == 0


class TestWhatCannotBeServed:
    @pytest.mark.parametrize(
        ("spec", "text", "status", "said"),
        [
            ("none.py", "", 2, "there is no file none.py"),
            ("none:endpoint", "", 2, "there is no module 'none'"),
            ("arm.py:other", script(), 2, "arm has no endpoint 'other': it has endpoint"),
            ("arm.py", "x = 1", 2, "it has none"),
            ("arm.py", script(more="other = RpcEndpoint('other')"), 2, "it has endpoint, other"),
            ("arm.py", "1 / 0", 1, "it raised ZeroDivisionError: division by zero"),
            ("arm.py", "exit(3)", 1, "it raised SystemExit: 3"),
            ("arm.py", "def", 1, "it raised SyntaxError"),
            ("arm.py", script(more="endpoint.register('home')(lambda: 1)"), 1, "two different functions"),
        ],
    )
    def test_why(self, tmp_path, spec, text, status, said):
        (tmp_path / "arm.py").write_text(text)
        done = run("serve", spec, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, "")
        assert said in done.stderr


class TestReload:
    def swapped(self, client: RpcClient, result: int) -> int:
        """The version that gives this result, once there is one."""
        request = client.request("home")
        wait_until(lambda: request.call(1) == result, "the handlers to be swapped")
        return request.send(1).version

    @pytest.mark.parametrize("without", ["", "watchfiles"])
    def test_an_edit_swaps_under_the_clients(self, serve, tmp_path, without):
        """With the kernel's word where `watchfiles` is there, and without it."""
        more = {}
        if without:
            (tmp_path / "without").mkdir()
            (tmp_path / "without" / "sitecustomize.py").write_text(
                "import importlib.util\nfind = importlib.util.find_spec\n"
                "importlib.util.find_spec = lambda name, *more: None if name == 'watchfiles' else find(name)\n"
            )
            more["PYTHONPATH"] = f"{tmp_path / 'without'}:{environment()['PYTHONPATH']}"
        file = tmp_path / "arm.py"
        file.write_text(script(2))
        program = serve("arm.py", "--reload", cwd=tmp_path, **more)
        with RpcClient("arm") as client:
            before = client.call("pycrust.stats")["clients"]
            assert self.swapped(client, 2) == 1
            write(file, script(3, more="endpoint.register('park')(lambda: 'parked')"))
            assert self.swapped(client, 3) == 2
            assert client.call("park") == "parked"
            write(file, script(4))
            assert self.swapped(client, 4) == 3
            with pytest.raises(NotImplementedError):
                client.call("park")
            after = client.call("pycrust.stats")["clients"]
            assert [one["connection"] for one in after] == [one["connection"] for one in before]
        assert ended(program, signal.SIGTERM)[0] == 0

    def test_an_edit_of_what_it_imports(self, serve, tmp_path):
        (tmp_path / "speeds.py").write_text("def scaled(speed):\n    return 2 * speed\n")
        (tmp_path / "arm.py").write_text(
            "from speeds import scaled\n" + script().replace("2 * speed", "scaled(speed)")
        )
        program = serve("arm.py", "--reload", cwd=tmp_path)
        with RpcClient("arm") as client:
            assert self.swapped(client, 2) == 1
            write(tmp_path / "speeds.py", "def scaled(speed):\n    return 5 * speed\n")
            assert self.swapped(client, 5) == 2
        assert ended(program, signal.SIGTERM)[0] == 0

    def test_a_failing_run_changes_nothing(self, serve, tmp_path):
        file = tmp_path / "arm.py"
        helper = tmp_path / "speeds.py"
        helper.write_text("FACTOR = 2\n")
        file.write_text("import speeds\n" + script().replace("2 * speed", "speeds.FACTOR * speed"))
        program = serve("arm.py", "--reload", "--log", "json", cwd=tmp_path)
        with RpcClient("arm") as client:
            assert self.swapped(client, 2) == 1
            write(helper, "FACTOR = 7\n")
            assert self.swapped(client, 7) == 2
            write(file, "import speeds\nspeeds.FACTOR = 9\n" + script(3, more="1 / 0"))
            while (told := json.loads(program.process.stderr.readline()))["level"] != "ERROR":
                pass
            assert "running the module again failed, and what was live before serves on" in told["message"]
            assert "ZeroDivisionError" in told["traceback"]
            assert client.request("home").send(1).version == 2
            assert client.call("home", 1) == 7, (
                "what the failing run has changed elsewhere is not what handlers see"
            )
            write(file, script(4))
            assert self.swapped(client, 4) == 3
            write(file, script(4).replace('"arm"', '"leg"'))
            while (told := json.loads(program.process.stderr.readline()))["level"] != "ERROR":
                pass
            assert "is called 'leg' now" in told["message"]
            assert client.call("home", 1) == 4
        assert ended(program, signal.SIGTERM)[0] == 0

    def test_calls_that_run_end_on_their_version(self, serve, tmp_path):
        file = tmp_path / "arm.py"
        waits = WAITS.replace(
            "free = threading.Event()",
            "import builtins\nif not hasattr(builtins, 'free'):\n"
            "    builtins.free = threading.Event()\nfree = builtins.free",
        )
        file.write_text(script(2, waits))
        program = serve("arm.py", "--reload", cwd=tmp_path)
        with RpcClient("arm") as client:
            ends = []
            client._client.start("hang", [], {}, lambda result, error: ends.append((result, error)))
            question = client.request("pycrust.stats")
            wait_until(lambda: sum(one["in_flight"] for one in question.call()["methods"]) == 1, "the call to run")
            write(file, script(3, waits.replace('"free"', '"freed"')))
            assert self.swapped(client, 3) == 2
            assert ends == []
            client.call("release")
            wait_until(lambda: ends, "the call to end")
            assert ends == [("free", None)]
        assert ended(program, signal.SIGTERM)[0] == 0


class TestSupervisor:
    def test_systemd_is_told(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script())
        address = str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address)
            program = serve("arm.py", "--reload", cwd=tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="200000")

            def told(first: str) -> list[str]:
                while True:
                    lines = listener.recv(4096).decode().split("\n")
                    if lines[0] == first:
                        return lines

            assert told("READY=1") == ["READY=1", f"MAINPID={program.pid}", "STATUS=serving arm"]
            assert told("WATCHDOG=1") == ["WATCHDOG=1"]
            write(tmp_path / "arm.py", script(5))
            assert told("RELOADING=1")[1].startswith("MONOTONIC_USEC=")
            assert told("READY=1")[2] == "STATUS=serving arm, reloaded"
            write(tmp_path / "arm.py", "1 / 0")
            assert "serves on" in told("READY=1")[2]
            program.send(signal.SIGTERM)
            assert told("STOPPING=1") == ["STOPPING=1"]
            program.process.communicate()
            assert program.process.returncode == 0

    def test_in_an_abstract_socket_and_for_another_process(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script())
        name = f"pycrust-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(f"\0{name}")
            program = serve(
                "arm.py", cwd=tmp_path, NOTIFY_SOCKET=f"@{name}", WATCHDOG_USEC="1000", WATCHDOG_PID="1"
            )
            assert listener.recv(4096).startswith(b"READY=1\n")
            program.send(signal.SIGTERM)
            assert listener.recv(4096) == b"STOPPING=1", "and nothing of the watchdog, which is somebody else's"
            program.process.communicate()

    def test_one_that_does_not_listen(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script())
        program = serve("arm.py", cwd=tmp_path, NOTIFY_SOCKET=str(tmp_path / "none"))
        assert ended(program, signal.SIGTERM)[0] == 0


class TestLog:
    def test_lines_of_json(self, serve, tmp_path):
        more = (
            "@endpoint.register\ndef fail() -> None:\n"
            "    logging.getLogger('arm').warning('hot', extra={'joint': 3})\n    1 / 0\n"
        )
        (tmp_path / "arm.py").write_text("import logging\n" + script(more=more))
        program = serve("arm.py", "--json", cwd=tmp_path)
        with RpcClient("arm") as client, pytest.raises(RuntimeError):
            client.call("fail")
        _, said = ended(program, signal.SIGTERM)
        lines = [json.loads(line) for line in said.splitlines()]
        assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
        (failed,) = [line for line in lines if line["level"] == "ERROR"]
        assert (failed["method"], failed["version"], failed["code"]) == ("fail", 1, "UNKNOWN")
        assert "ZeroDivisionError" in failed["traceback"]
        (hot,) = [line for line in lines if line["logger"] == "arm"]
        assert (hot["message"], hot["level"], hot["joint"]) == ("hot", "WARNING", 3)

    def test_only_what_is_asked_for(self, serve, tmp_path):
        (tmp_path / "arm.py").write_text(script())
        program = serve("arm.py", "--level", "warning", cwd=tmp_path)
        assert ended(program, signal.SIGTERM) == (0, "")


def test_a_script_runs_by_itself_as_before(tmp_path, start):
    (tmp_path / "arm.py").write_text(script(more="endpoint.listen()"))
    program = start(sys.executable, "arm.py", cwd=tmp_path, env=environment())
    assert program.line().startswith("serving arm")
    program.send(signal.SIGTERM)
    assert subprocess.Popen.wait(program.process) == 0
