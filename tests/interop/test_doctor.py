"""`pycrust doctor` and faults that are real: files, modes, limits, mounts, dead, stopped and stuck workers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pycrust import RpcClient
from tests.conftest import IMPORTED, ROOT, shared_memory, wait_until
from tests.interop.command_line import PYCRUST, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Program

SERVED = """
import ctypes, os, sys
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("ailing", max_in_flight=4)

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

@endpoint.register(concurrency=8)
def wait(fd: int) -> int:
    return len(os.read(fd, 1))

@endpoint.register
def hold(fd: int) -> int:
    return ctypes.PyDLL(None).read(fd, ctypes.create_string_buffer(1), 1)

endpoint.serve()
"""
#: A living worker and a killed one, seen before and after the doctor has looked, and has mended.
SCENE = """
import json, os, subprocess, sys
from pathlib import Path
from pycrust import RpcClient

here = Path(sys.argv[1])

def started(name):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    program = subprocess.Popen([sys.executable, here / name], **pipes)
    while program.stdout.readline() != "ready\\n":
        pass
    return program

def files():
    roots = [Path("/dev/shm"), Path(os.environ["PYCRUST_RUNTIME_DIR"])]
    return {str(path): path.lstat().st_ino for root in roots for path in root.rglob("*")}

def doctor(*more):
    done = subprocess.run([sys.executable, "-m", "pycrust", "doctor", "--json", *more], stdout=subprocess.PIPE)
    return {**json.loads(done.stdout), "status": done.returncode}

living, dead = started("living.py"), started("killed.py")
client, other = RpcClient("ailing"), RpcClient("killed")
answers = [client.call("add", 1, 2), other.call("add", 1, 2)]
other.close()
dead.kill()
dead.wait()
before = files()
first = doctor("ailing")
looked = files()
second = doctor("ailing", "--fix")
mended = files()
answers.append(client.call("add", 3, 4))
client.close()
living.stdin.close()
living.wait()
print(json.dumps({"pid": dead.pid, "first": first, "second": second, "before": before, "looked": looked,
                  "mended": mended, "answers": answers}))
"""
ISOLATED = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def isolated(set_up: str) -> list[str]:
    """What runs a command after `set_up`, in a mount namespace of its own."""
    if subprocess.run([*ISOLATED, set_up], check=False, capture_output=True).returncode:
        pytest.skip("this sandbox forbids mount namespaces")
    return [*ISOLATED, f'{set_up} && exec "$@"', "sh"]


class Told:
    """What the doctor has found."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        self.status = done.returncode
        self.facts, self.findings, self.removed = told["facts"], told["findings"], told["removed"]

    def kinds(self, subject: object = None) -> set[str]:
        return {one["kind"] for one in self.findings if subject is None or one["subject"] == str(subject)}

    def of(self, kind: str) -> dict:
        (found,) = [one for one in self.findings if one["kind"] == kind]
        assert all(found[key] for key in ("subject", "what", "why", "mend"))
        if found["serious"]:
            assert self.status
        return found


def doctor(*arguments: object, inside: list[str] | tuple[str, ...] = (), **more: str) -> Told:
    command = [*inside, *PYCRUST, "doctor", *(str(one) for one in arguments), "--json"]
    return Told(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment(**more))
    )


def mend(found: dict) -> None:
    """Does what it says."""
    subprocess.run(["sh", "-c", found["mend"].partition(";")[0]], check=True)


@pytest.fixture
def ailing(worker: Callable[..., Program]) -> Program:
    return worker(SERVED)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


class TestNothing:
    def test_a_living_endpoint_is_well(self, ailing, runtime_dir):
        told = doctor()
        assert told.kinds("ailing") == set()
        assert told.kinds(runtime_dir) == set()
        assert not any(str(runtime_dir) in one["subject"] for one in told.findings)
        assert not {f"/dev/shm/{name}" for name in shared_memory(runtime_dir)} & {
            one["subject"] for one in told.findings
        }
        assert told.facts["endpoints"] == "ailing"
        assert told.facts["runtime directory"] == str(runtime_dir)
        assert {"pycrust", "protocol", "python", "kernel", "/dev/shm"} <= told.facts.keys()
        assert told.status == any(one["serious"] for one in told.findings)

    def test_as_text(self, ailing, runtime_dir):
        (runtime_dir / "notes.txt").write_text("mine")
        done = subprocess.run([*PYCRUST, "doctor"], capture_output=True, text=True, check=False, env=environment())
        assert f"· {runtime_dir} has files that are not PyCrust's: notes.txt\n" in done.stdout
        assert f"\n  → move them elsewhere: ls -la {runtime_dir}\n" in done.stdout

    def test_a_name_that_nobody_serves(self, ailing):
        told = doctor("ailin")
        assert told.status == 3
        assert "served are: ailing" in told.of("not-served")["what"]


class TestRuntimeDirectory:
    def test_open_to_others(self, runtime_dir):
        runtime_dir.chmod(0o755)
        found = doctor().of("runtime-dir-mode")
        assert found["what"] == f"{runtime_dir} has mode 755, not 700"
        mend(found)
        assert doctor().kinds(runtime_dir) == set()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
    def test_another_user_s(self, runtime_dir):
        os.chown(runtime_dir, 4711, -1)
        found = doctor().of("runtime-dir-owner")
        assert found["what"] == f"{runtime_dir} belongs to uid 4711"
        os.chown(runtime_dir, 0, -1)
        assert doctor().kinds(runtime_dir) == set()

    @pytest.mark.parametrize("kind", ["file", "link", "dangling"])
    def test_no_directory(self, tmp_path, kind):
        wrong = tmp_path / "wrong"
        if kind == "file":
            wrong.write_text("")
        else:
            target = tmp_path / "target"
            if kind == "link":
                target.mkdir(mode=0o700)
            wrong.symlink_to(target)
        found = doctor(PYCRUST_RUNTIME_DIR=str(wrong)).of("runtime-dir-kind")
        mend(found)
        assert doctor(PYCRUST_RUNTIME_DIR=str(wrong)).kinds(wrong) == set()

    def test_a_path_that_is_too_long(self, tmp_path):
        long = tmp_path / ("x" * 90)
        found = doctor(PYCRUST_RUNTIME_DIR=str(long)).of("runtime-dir-long")
        assert f"{len(str(long))} bytes" in found["what"]

    def test_one_that_can_t_be_made(self, tmp_path):
        (tmp_path / "file").write_text("")
        told = doctor(PYCRUST_RUNTIME_DIR=str(tmp_path / "file" / "below"))
        assert told.status == 1
        assert {"runtime-dir", "runtime-dir-closed"} & told.kinds(tmp_path / "file" / "below")

    def test_one_without_room(self, runtime_dir):
        full = (
            f"mount -t tmpfs -o nr_inodes=4,mode=700 tmpfs {runtime_dir}"
            f" && touch {runtime_dir}/1.lock {runtime_dir}/2.lock {runtime_dir}/3.lock"
        )
        found = doctor(inside=isolated(full)).of("runtime-dir-full")
        assert found["subject"] == str(runtime_dir)


class TestSharedMemory:
    @pytest.mark.parametrize(
        ("set_up", "kind"),
        [
            ("mount -t tmpfs -o size=64m tmpfs /dev/shm", "shm-small"),
            ("mount -t tmpfs -o size=1g,nr_inodes=100 tmpfs /dev/shm", "shm-files"),
            ("mount -t tmpfs -o size=1g tmpfs /dev/shm && fallocate -l 1010m /dev/shm/hog", "shm-full"),
            ("mount -t tmpfs -o size=1g,ro tmpfs /dev/shm", "shm-read-only"),
        ],
    )
    def test_it_is_not_as_it_should_be(self, set_up, kind):
        told = doctor(inside=isolated(set_up))
        assert told.of(kind)["subject"] == "/dev/shm"
        assert told.status == 1

    def test_it_is_a_disk(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir(mode=0o1777)
        kind = subprocess.run(["stat", "-f", "-c", "%T", disk], capture_output=True, text=True, check=True).stdout
        if "tmpfs" in kind:
            pytest.skip("temporary files are in memory here")
        told = doctor(inside=isolated(f"mount --bind {disk} /dev/shm"))
        assert "is no memory but" in told.of("shm-no-memory")["what"]

    def test_a_worker_that_has_another_one(self, start, runtime_dir):
        started = start(
            *isolated("mount -t tmpfs -o size=1g tmpfs /dev/shm"),
            sys.executable, "-c", f"{SERVED}\nsys.stdin.read()", stdin=subprocess.PIPE, env=environment(),
        )  # fmt: skip
        started.line()
        found = doctor().of("unreachable")
        assert found["subject"] == "ailing"
        assert "different /dev/shm" in found["what"]


class TestLimits:
    @pytest.mark.parametrize(
        ("limit", "kind", "said"),
        [
            ("--nofile=200:", "limit-nofile", "200 files"),
            ("--fsize=1000000:", "limit-fsize", "1000000 bytes"),
            ("--as=2147483648:", "limit-as", "2048 MiB"),
        ],
    )
    def test_a_limit_that_is_too_low(self, limit, kind, said):
        told = doctor(inside=["prlimit", limit])
        assert said in told.of(kind)["what"]
        assert told.status == 1

    def test_what_real_time_lacks_is_a_note(self):
        inside = ["prlimit", "--rtprio=0:0", "--memlock=65536:65536", "--"]
        if os.getuid() == 0:
            lacks = ["setpriv", "--bounding-set=-sys_nice,-ipc_lock,-sys_resource", "--inh-caps=-all"]
            if subprocess.run([*lacks, "true"], check=False, capture_output=True).returncode:
                pytest.skip("this sandbox forbids to drop capabilities")
            inside = [*inside, *lacks]
        told = doctor(inside=inside)
        for kind in ("limit-rtprio", "limit-memlock"):
            assert not told.of(kind)["serious"]

    def test_a_quota_of_cores(self):
        number = f"pycrust-test-{os.getpid()}"
        root = Path("/sys/fs/cgroup")
        v2 = (root / "cgroup.controllers").exists()
        group = (root if v2 else root / "cpu") / number
        with contextlib.ExitStack() as made:
            try:
                group.mkdir()
                made.callback(group.rmdir)
                if v2:
                    (group / "cpu.max").write_text("50000 100000")
                else:
                    (group / "cpu.cfs_quota_us").write_text("50000")
            except OSError:
                pytest.skip("this sandbox has no control groups of its own")
            inside = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
            told = doctor(inside=inside)
        assert "0.50 cores" in told.of("cpu-quota")["what"]
        assert told.status == 1


class TestWorkers:
    def test_a_stopped_one(self, ailing):
        ailing.send(signal.SIGSTOP)
        wait_until(lambda: ") T " in Path(f"/proc/{ailing.pid}/stat").read_text(), "the worker to stop")
        try:
            found = doctor("ailing").of("stopped")
            assert str(ailing.pid) in found["what"]
            mend(found)
            wait_until(lambda: ") T " not in Path(f"/proc/{ailing.pid}/stat").read_text(), "it to go on")
        finally:
            ailing.send(signal.SIGCONT)
        assert doctor("ailing").kinds("ailing") == set()

    def test_one_whose_interpreter_is_held(self, worker, pipe):
        read, write = pipe
        held = worker(SERVED, pass_fds=[read])
        with RpcClient("ailing") as client:
            calling = threading.Thread(target=client.call, args=("hold", read))
            calling.start()
            wait_until(
                lambda: any(one["in_flight"] for one in client.call("pycrust.stats")["methods"]), "the call to run"
            )
            told = doctor()
            assert calling.is_alive()
            os.write(write, b"x")
            calling.join(60)
        found = told.of("interpreter-held")
        assert found["subject"] == "ailing"
        assert f"pid {held.pid}" in found["what"]
        assert "in flight: hold v1 (1 call)" in found["what"]
        if shutil.which("py-spy", path=Path(sys.executable).parent) and os.getuid() == 0:
            assert "hold" in found["what"].partition("\n")[2]
        assert doctor("ailing").kinds("ailing") == set()

    def test_one_whose_interpreter_is_held_by_a_cell(self, start, pipe):
        """No call waits, and nobody has asked before."""
        read, write = pipe
        held = start(
            sys.executable,
            "-c",
            f"{SERVED}\nprint('holds', flush=True)\n"
            f"ctypes.PyDLL(None).read({read}, ctypes.create_string_buffer(1), 1)\nsys.stdin.read()",
            stdin=subprocess.PIPE,
            pass_fds=[read],
        )
        while held.line() != "holds":
            pass
        found = doctor().of("interpreter-held")
        assert "no call is in flight: a cell" in found["what"]
        os.write(write, b"x")
        assert doctor("ailing").kinds("ailing") == set()

    def test_one_that_is_full(self, worker, pipe):
        read, write = pipe
        worker(SERVED, pass_fds=[read])
        with RpcClient("ailing") as client:
            calling = [threading.Thread(target=client.call, args=("wait", read)) for _ in range(4)]
            for one in calling:
                one.start()
            in_flight = lambda: sum(one["in_flight"] for one in client.call("pycrust.stats")["methods"])  # noqa: E731
            wait_until(lambda: in_flight() == 4, "the calls to run")
            told = doctor("ailing")
            os.write(write, b"xxxx")
            for one in calling:
                one.join(60)
        assert "4 calls in flight, of 4" in told.of("full")["what"]

    def test_one_that_has_nearly_no_descriptors_left(self, worker):
        spent = (
            "import resource\n"
            "endpoint._opened = [open('/dev/null') for _ in range(300)]\n"
            "most = len(os.listdir('/proc/self/fd')) + 10\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))"
        )
        worker(f"{SERVED}\n{spent}")
        assert doctor("ailing").of("descriptors")["what"].startswith("ailing: pid ")

    def test_one_in_another_pid_namespace(self, start):
        inside = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
        if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
            pytest.skip("this sandbox forbids PID namespaces")
        started = start(
            *inside, sys.executable, "-c", f"{SERVED}\nsys.stdin.read()", stdin=subprocess.PIPE, env=environment()
        )
        started.line()
        told = doctor("ailing")
        # Its number means another process here, or none.
        assert {one["kind"] for one in told.findings if one["serious"] and one["subject"] == "ailing"} == set()
        assert "unreachable" not in told.kinds()


class TestLeftovers:
    def test_what_a_killed_worker_left_is_found_and_removed_and_nothing_else(self, start, runtime_dir, tmp_path):
        """With a /dev/shm of its own: whoever else of this user looks removes what is left, too."""
        (tmp_path / "living.py").write_text(f"{SERVED}\nprint('ready', flush=True)\nsys.stdin.read()")
        killed = SERVED.replace("ailing", "killed")
        (tmp_path / "killed.py").write_text(f"{killed}\nprint('ready', flush=True)\nsys.stdin.read()")
        (tmp_path / "scene.py").write_text(SCENE)
        inside = isolated("mount -t tmpfs -o size=1g tmpfs /dev/shm")
        told = json.loads(
            start(*inside, sys.executable, tmp_path / "scene.py", tmp_path, env=environment()).finish()
        )
        assert (told["first"]["status"], told["answers"]) == (1, [3, 3, 7])
        stale = {one["subject"]: one for one in told["first"]["findings"] if one["removable"]}
        lock = str(runtime_dir / "killed.lock")
        assert f"by pid {told['pid']}, which is gone" in stale[lock]["what"]
        (memory,) = [one for one in stale.values() if one["kind"] == "stale-memory"]
        assert f"of killed, served by pid {told['pid']}" in memory["what"]
        # Looking has removed nothing, and mending only that.
        before, looked, mended = (told[key] for key in ("before", "looked", "mended"))
        assert before == looked
        gone = {path for path in before if path in stale or path.startswith(f"{memory['subject']}/")}
        assert set(before) - set(mended) == gone
        assert {one["subject"] for one in told["second"]["removed"]} == set(stale)
        assert not any(one["removable"] for one in told["second"]["findings"])
        for path, inode in mended.items():
            assert before[path] == inode
        assert any(path.endswith("/ailing.lock") for path in mended)
        assert any(path.startswith("/dev/shm/") for path in mended)

    def test_sockets_at_which_nobody_listens(self, ailing, runtime_dir):
        dead, living = runtime_dir / "0123456789abcdef.sock", runtime_dir / "fedcba9876543210.sock"
        with socket.socket(socket.AF_UNIX) as left, socket.socket(socket.AF_UNIX) as listening:
            left.bind(str(dead))
            left.listen()
            listening.bind(str(living))
            listening.listen()
            left.close()
            told = doctor()
            stale = {one["subject"] for one in told.findings if one["kind"] == "stale-socket"}
            assert stale == {str(dead)}
            fixed = doctor("--fix")
            assert (dead.exists(), living.exists()) == (False, True)
            own = [one["subject"] for one in fixed.removed if one["subject"].startswith(str(runtime_dir))]
            assert own == [str(dead)]
        living.unlink()
        assert doctor("ailing").kinds("ailing") == set()

    def test_what_nobody_can_tell_stays(self, runtime_dir):
        unknown = Path(f"/dev/shm/pyc{os.getuid()}_doctors_test_{os.getpid()}")
        unknown.write_bytes(b"x")
        strange = runtime_dir / "strange.lock"
        strange.write_text("no owner")
        try:
            with strange.open() as held:
                import fcntl

                fcntl.flock(held, fcntl.LOCK_EX)
                told = doctor("--fix")
                assert not told.of("unknown-memory")["serious"]
                assert unknown.exists()
                assert strange.exists(), "somebody holds it"
                assert "stale-name" not in told.kinds(strange)
        finally:
            unknown.unlink()

    def test_fix_without_anything_to_fix(self, ailing, runtime_dir):
        told = doctor("--fix")
        assert not any(one["subject"].startswith(str(runtime_dir)) for one in told.removed)
        with RpcClient("ailing") as client:
            assert client.call("add", 1, 1) == 2


class TestPackages:
    def test_one_that_is_too_old(self, tmp_path):
        fake = tmp_path / "ipykernel-7.1.9.dist-info"
        fake.mkdir()
        (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: ipykernel\nVersion: 7.1.9\n")
        told = doctor(PYTHONPATH=f"{tmp_path}{os.pathsep}{IMPORTED}")
        found = told.of("package-old")
        assert found["what"] == "ipykernel is 7.1.9, and at least 7.2 is needed"
        assert found["mend"] == "pip install --upgrade 'ipykernel>=7.2'"
        assert "package-old" not in doctor().kinds()
