"""Two containers of a real engine, Podman: what they have to share, and what is said where they don't."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PATIENCE, ROOT, Program, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PODMAN = shutil.which("podman")
#: Where containers have the runtime directory that they share.
INSIDE = "/run/pycrust-shared"
WORKER = """
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("calculator")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

endpoint.listen()
"""
#: What works in a container of the machine's own files, in a sandbox, too: limits that need no rights, no network.
OPTIONS = (
    "--rm", "--cgroups=no-conmon", "--network=none", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096",
)  # fmt: skip


class Containers:
    """Containers of this machine's files, with a runtime directory that they share or don't."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"pycrust-{os.getpid()}"
        (folder / "calculator.py").write_text(WORKER)
        self.shared = folder / "shared"
        self.shared.mkdir(mode=0o700)

    def command(
        self, *arguments: object, ipc: str, options: tuple[str, ...] = (), shares: bool = True
    ) -> list[str]:
        # The default one does not know machines with control groups of both kinds.
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []
        mounts = [f"{path}:{path}" for path in (ROOT, self.folder)]
        mounts += [f"{self.shared}:{INSIDE}"] if shares else []
        return [
            str(PODMAN), *runtime, "--cgroup-manager=cgroupfs", "run", *OPTIONS, f"--ipc={ipc}", *options,
            *(part for mount in mounts for part in ("-v", mount)), "-e", f"PYCRUST_RUNTIME_DIR={INSIDE}",
            "--rootfs", "/:O", *map(str, arguments),
        ]  # fmt: skip

    def pycrust(self, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
        command = self.command(sys.executable, "-m", "pycrust", *arguments, **how)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE * 2)


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    if PODMAN is None:
        pytest.skip("podman is not installed")
    found = Containers(tmp_path)
    tried = subprocess.run(found.command("/bin/true", ipc="host"), capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"podman runs no container here: {tried.stderr}")
    yield found
    subprocess.run([PODMAN, "rm", "--force", "--ignore", found.name], check=True, capture_output=True)


@pytest.fixture
def serve(containers: Containers, start: Callable[..., Program]) -> Callable[[str], Program]:
    def starter(ipc: str) -> Program:
        served = (sys.executable, containers.folder / "calculator.py")
        program = start(*containers.command(*served, ipc=ipc, options=("--name", containers.name)))
        assert program.line().startswith("serving calculator")
        return program

    return starter


def test_containers_with_one_shared_memory_and_one_runtime_directory_call_each_other(containers, serve):
    serve("shareable")
    beside = f"container:{containers.name}"
    done = containers.pycrust("call", "calculator", "add", "[1, 2]", ipc=beside)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    (listed,) = json.loads(containers.pycrust("ls", "--json", ipc=beside).stdout)
    # The first process of its container: a number that says nothing in another.
    assert (listed["endpoint"], listed["pid"]) == ("calculator", 1)
    # 64 MB of shared memory, as engines give: the doctor says so.
    found = json.loads(containers.pycrust("doctor", "--json", ipc=beside).stdout)["findings"]
    assert {one["kind"] for one in found if one["serious"]} == {"shm-small"}


def test_a_container_that_is_stopped_drains_and_one_that_is_killed_leaves_nothing(containers, serve):
    served = serve("host")
    subprocess.run([PODMAN, "stop", "--time", "30", containers.name], check=True, capture_output=True)
    assert served.process.wait(PATIENCE) == 0
    assert json.loads(containers.pycrust("ls", "--json", "--all", ipc="host").stdout) == []
    serve("host")
    subprocess.run([PODMAN, "kill", "--signal", "KILL", containers.name], check=True, capture_output=True)
    done = lambda: containers.pycrust("ls", "--json", ipc="host").stdout  # noqa: E731
    wait_until(lambda: json.loads(done()) == [], "the dead to be found")
    assert list(containers.shared.iterdir()) == []


def test_what_is_said_where_something_is_not_shared(containers, serve):
    serve("shareable")
    apart = containers.pycrust("call", "calculator", "add", "[1, 2]", ipc="private")
    assert apart.returncode == 1
    assert "the two have different /dev/shm, as containers do" in apart.stderr
    assert "--ipc=container:NAME" in apart.stderr
    beside = f"container:{containers.name}"
    elsewhere = containers.pycrust("call", "calculator", "add", "[1, 2]", ipc=beside, shares=False)
    assert elsewhere.returncode == 3
    assert f"looked in {INSIDE}, where no endpoint is being served" in elsewhere.stderr
