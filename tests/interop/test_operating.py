"""The page on operating: commands run, units and manifests hold, containers are played by namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pycrust import RpcClient
from tests.conftest import PATIENCE, ROOT, Program, shared_memory, wait_until
from tests.interop.command_line import environment
from tests.interop.test_metrics import scrape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = (ROOT / "docs/operating.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BIN = Path(sys.executable).parent
#: A directory that every Linux has and nothing uses.
PLACE = "/mnt"


def blocks(language: str) -> list[str]:
    found = [text for kind, text in BLOCKS if kind == language]
    assert found, language
    return found


def manifest(name: str) -> Any:
    (text,) = [text for text in blocks("yaml") if text.startswith(f"# {name}\n")]
    return yaml.safe_load(text)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def variables(folder: Path, **more: str) -> dict[str, str]:
    """The environment of who follows the page, in the folder with its module."""
    return {**environment(**more), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PWD": str(folder)}


def shell(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", command], cwd=folder, env=variables(folder, **more), capture_output=True, text=True,
        check=False, timeout=PATIENCE * 2,
    )  # fmt: skip


@pytest.fixture
def ports() -> dict[str, str]:
    """Ports of the page, by those that are free."""
    return {"9464": str(free_port()), "9465": str(free_port())}


@pytest.fixture
def folder(tmp_path: Path, ports: dict[str, str]) -> Path:
    """The page's module in a folder of its own."""
    (source,) = blocks("python")
    (tmp_path / "calculator.py").write_text(source.replace("9464", ports["9464"]))
    return tmp_path


@pytest.fixture
def calculator(folder: Path, start: Callable[..., Program]) -> Program:
    program = start("python", "calculator.py", cwd=folder, env=variables(folder))
    assert program.line().startswith("serving calculator")
    return program


class TestCommands:
    def test_every_command_does_what_the_page_says(self, calculator, folder, ports):
        with RpcClient("calculator") as client:
            assert client.call("add", 1, 2) == 3
        for block in blocks("sh"):
            for port, free in ports.items():
                block = block.replace(port, free)  # noqa: PLW2901 - the ports of the page may be taken
            done = shell(block, folder)
            assert done.returncode == 0, (block, done.stdout, done.stderr)
            assert done.stdout or "--fix" in block, block

    def test_the_page_names_every_metric_and_no_other(self, calculator, ports):
        with RpcClient("calculator") as client:
            client.call("add", 1, 2)
            found = f"http://127.0.0.1:{ports['9464']}/metrics"
            wait_until(lambda: scrape(found)["pycrust_call_duration_seconds"].samples, "the measurements")
        suffix = re.compile(r"_(bucket|sum|count)$")
        exported = {suffix.sub("", sample.name) for family in scrape(found).values() for sample in family.samples}
        named = {suffix.sub("", name) for name in re.findall(r"\bpycrust_\w+", PAGE)}
        assert named == exported | {"pycrust_endpoint_answered"}

    def test_prometheus(self):
        config, rules = manifest("prometheus.yaml"), manifest("pycrust.rules.yaml")
        assert config["rule_files"] == ["pycrust.rules.yaml"]
        assert config["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9464", "127.0.0.1:9465"]
        alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
        assert len(alerts) == len(set(alerts)) >= 5
        if (promtool := shutil.which("promtool")) is not None:
            text = yaml.safe_dump(rules)
            subprocess.run([promtool, "check", "rules"], input=text, text=True, check=True)


class TestSystemd:
    @pytest.fixture
    def unit(self) -> dict[str, list[str]]:
        (text,) = blocks("ini")
        found: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(key, []).append(value)
        return found

    def test_the_unit_serves_says_that_it_is_ready_and_drains(self, unit, folder, start, runtime_dir):
        (setting,) = unit["Environment"]
        variable, _, place = setting.replace("%t", str(folder)).partition("=")
        assert variable == "PYCRUST_RUNTIME_DIR"
        assert place.removeprefix(f"{folder}/") == unit["RuntimeDirectory"][0]
        Path(place).mkdir(mode=int(unit["RuntimeDirectoryMode"][0], 8))
        local = lambda command: shlex.split(command.replace("/opt/robot/venv/bin", str(BIN)))  # noqa: E731
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(folder / "notify"))
            manager.settimeout(PATIENCE)
            told = {variable: place, "NOTIFY_SOCKET": str(folder / "notify")}
            service = start(*local(unit["ExecStart"][0]), cwd=folder, env=variables(folder, **told))
            said = b""
            while b"READY=1" not in said:
                said += manager.recv(4096)
            done = subprocess.run(
                local(unit["ExecStartPost"][0]), env=variables(folder, **told), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            service.send(signal.SIGTERM)
            while b"STOPPING=1" not in said:
                said += manager.recv(4096)
            assert service.process.wait(PATIENCE) == 0
        assert list(Path(place).iterdir()) == []
        wait_until(lambda: not shared_memory(place), "shared memory to be freed")

    def test_systemd_reads_it(self, tmp_path):
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            pytest.skip("there is no systemd-analyze here")
        (text,) = blocks("ini")
        unit = tmp_path / "calculator.service"
        text = text.replace("/opt/robot/venv/bin", str(BIN)).replace("User=robot", "User=root")
        unit.write_text(text.replace("/opt/robot", str(tmp_path)))
        done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
        about = [line for line in done.stderr.splitlines() if "calculator.service" in line]
        if not about and done.returncode:
            pytest.skip(f"systemd-analyze does not run here: {done.stderr}")
        assert about == []


def played(**said: bool | int | str) -> list[str]:
    """What runs a command as in a container: mounts, processes, System V memory and `/tmp` of its own.

    Args:
        **said: `shm`: shares /dev/shm with others, or the mebibytes of its own; `runtime`: the directory that it
            has at the place of runtime directories; `place`: where that is.
    """
    steps = [f"mount --bind {said['runtime']} {said.get('place', PLACE)}"] if said.get("runtime") else []
    if (shm := said.get("shm", True)) is not True:
        steps.append(f"mount -t tmpfs -o size={shm or 1024}m tmpfs /dev/shm")
    steps.append("mount -t tmpfs -o mode=1777 tmpfs /tmp")
    namespaces = ["--map-root-user", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *namespaces, "sh", "-c", f'{" && ".join(steps)} && exec "$@"', "sh"]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """What two containers share at the place of runtime directories."""
    directory = tmp_path / "volume"
    directory.mkdir(mode=0o777)
    if subprocess.run([*played(runtime=directory), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this sandbox forbids namespaces")
    yield directory
    # By now both are killed, as containers are: what they left goes with the next look.
    subprocess.run([BIN / "pycrust", "ls"], check=True, capture_output=True)
    wait_until(lambda: not shared_memory(f"{PLACE}/own"), "shared memory to be freed")


class TestContainers:
    @pytest.fixture
    def services(self) -> dict[str, Any]:
        services = manifest("compose.yaml")["services"]
        assert services["caller"]["ipc"] == "service:worker"
        assert services["worker"]["ipc"] == "shareable"
        worker, caller = services["worker"], services["caller"]
        for key in ("user", "environment", "volumes"):
            assert worker[key] == caller[key]
        assert worker["environment"] == {"PYCRUST_RUNTIME_DIR": "/run/pycrust/own"}
        assert worker["volumes"] == ["runtime:/run/pycrust"]
        return services

    @pytest.fixture
    def module(self, ports) -> Iterator[Path]:
        """The page's module where both containers see it: `/tmp` is each one's own."""
        directory = ROOT / "target" / f"operating-{os.getpid()}"
        directory.mkdir(parents=True, exist_ok=True)
        (source,) = blocks("python")
        (directory / "calculator.py").write_text(source.replace("9464", ports["9464"]))
        yield directory
        shutil.rmtree(directory)

    def inside(self, module: Path, **more: str) -> dict[str, Any]:
        return {"cwd": module, "env": variables(module, **{"PYCRUST_RUNTIME_DIR": f"{PLACE}/own", **more})}

    def run(
        self, container: list[str], command: str, module: Path, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*container, *shlex.split(command)], capture_output=True, text=True, check=False,
            **self.inside(module, **more),
        )  # fmt: skip

    @pytest.fixture
    def worker_of(self, volume, start, services, module) -> Callable[..., Program]:
        def starter(container: list[str]) -> Program:
            program = start(*container, *shlex.split(services["worker"]["command"]), **self.inside(module))
            assert program.line().startswith("serving calculator")
            return program

        return starter

    def test_two_that_share_what_they_have_to(self, worker_of, volume, services, module):
        worker_of(played(runtime=volume))
        caller = played(runtime=volume)
        done = self.run(caller, services["caller"]["command"], module)
        assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
        kind, *health = services["worker"]["healthcheck"]["test"]
        assert kind == "CMD"
        assert self.run(caller, shlex.join(health), module).returncode == 0
        listed = json.loads(self.run(caller, "pycrust ls --json", module).stdout)
        assert [one["endpoint"] for one in listed] == ["calculator"]
        # What there is of both: a runtime directory that one of them has made, closed to others.
        assert (volume / "own").stat().st_mode & 0o777 == 0o700

    def test_a_side_that_is_killed_is_noticed_across_pid_namespaces(self, volume, start, worker_of, module):
        program = (
            "import sys\nfrom pycrust import RpcClient, RpcError\n"
            "client = RpcClient('calculator')\nprint(client.call('add', 1, 2), flush=True)\nsys.stdin.readline()\n"
            "try:\n    client.call('add', 1, 2, timeout=60)\nexcept RpcError as error:\n"
            "    print(error.code.name)\n"
        )
        # With its first process, all of a namespace is killed.
        container = worker_of(played(runtime=volume))
        caller = start(
            *played(runtime=volume), "python", "-c", program, stdin=subprocess.PIPE, **self.inside(module)
        )
        assert caller.line() == "3"
        container.send(signal.SIGKILL)
        container.process.wait()
        assert caller.process.stdin is not None
        caller.process.stdin.write("\n")
        caller.process.stdin.flush()
        assert caller.line() == "UNAVAILABLE"
        assert caller.process.wait(PATIENCE) == 0

    def said(self, what: str) -> str:
        """What the page's table says of a missing piece."""
        rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
        (text,) = [row[2] for row in rows if what in row[0] and len(row) == 3]
        return re.findall(r"`([^`]+)`", text)[0]

    def test_without_one_shared_memory(self, worker_of, volume, services, module):
        worker_of(played(runtime=volume))
        apart = played(runtime=volume, shm=1024)
        done = self.run(apart, services["caller"]["command"], module)
        assert done.returncode in {1, 3}
        assert self.said("one `/dev/shm`") in done.stderr
        assert "calculator" in self.run(apart, "pycrust ls", module).stdout

    def test_without_one_runtime_directory(self, worker_of, volume, services, module, tmp_path):
        worker_of(played(runtime=volume))
        other = tmp_path / "other"
        other.mkdir()
        done = self.run(played(runtime=other), services["caller"]["command"], module)
        assert done.returncode == 3
        assert self.said("one runtime directory") in done.stderr
        assert self.run(played(runtime=other), "pycrust ls", module).stdout == ""

    def test_with_another_path_of_it(self, worker_of, volume, services, module):
        worker_of(played(runtime=volume))
        other = played(runtime=volume, place="/media")
        done = self.run(other, services["caller"]["command"], module, PYCRUST_RUNTIME_DIR="/media/own")
        assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to another user")
    def test_with_another_user(self, worker_of, volume, services, module):
        worker_of(played(runtime=volume))
        os.chown(volume / "own", 4711, -1)
        try:
            # Without a user namespace, in which everybody else is nobody.
            caller = [one for one in played(runtime=volume) if one != "--map-root-user"]
            done = self.run(caller, services["caller"]["command"], module)
            assert done.returncode in {1, 3}
            assert "of uid 4711" in done.stderr
            told = self.run(caller, "pycrust doctor", module)
            assert self.said("one user") in told.stdout
        finally:
            os.chown(volume / "own", 0, -1)

    def test_with_as_much_shared_memory_as_a_container_is_given(self, worker_of, volume, module):
        told = self.run(played(runtime=volume, shm=64), "pycrust doctor", module)
        assert told.returncode == 1
        assert self.said("room:") in told.stdout


class TestKubernetes:
    def test_probes_and_what_is_shared(self, calculator, folder):
        pod = manifest("calculator.yaml")
        worker, caller = pod["spec"]["containers"]
        assert worker["volumeMounts"] == caller["volumeMounts"]
        assert worker["env"] == caller["env"]
        assert {mount["mountPath"] for mount in worker["volumeMounts"]} == {"/dev/shm", "/run/pycrust"}
        commands = [
            worker[probe]["exec"]["command"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        ]
        for command in commands:
            done = shell(shlex.join(command), folder)
            assert done.returncode == 0, (command, done.stderr)
        assert shell(shlex.join(caller["command"]), folder).stdout == "3\n"
        calculator.send(signal.SIGSTOP)
        with contextlib.ExitStack() as after:
            after.callback(calculator.send, signal.SIGCONT)
            assert shell(shlex.join([*commands[0], "--timeout", "0.5"]), folder).returncode == 1
        calculator.send(signal.SIGTERM)
        calculator.process.wait()
        assert [shell(shlex.join(command), folder).returncode for command in commands] == [3, 3, 3]
