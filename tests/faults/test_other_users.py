"""Another user of the machine, who has no rights: reads, opens, makes and stops nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from pycrust import RpcClient, RpcEndpoint
from tests.conftest import shared_memory

OTHER = 4711

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user, too")

#: Becomes the other user; what it needs is imported before.
AS_OTHER = f"""
import os, select, sys
os.setgroups([])
os.setgid({OTHER})
os.setuid({OTHER})
"""

#: Opens, lists and makes what it can of everything that begins as ours, until it is told to end.
WATCHER = (
    AS_OTHER
    + """
own, prefix = set(), sys.argv[1]
seen, opened = set(), []

def attempt(what, work):
    try:
        work()
    except OSError:
        return
    opened.append(what)

print("watches", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for name in os.listdir("/dev/shm"):
        if not name.startswith(prefix) or name in own:
            continue
        path = f"/dev/shm/{name}"
        seen.add(name)
        attempt(f"list {name}", lambda: os.listdir(path))
        attempt(f"read {name}", lambda: os.close(os.open(path, os.O_RDONLY)))
        attempt(f"write {name}", lambda: os.close(os.open(path, os.O_RDWR)))
        attempt(f"remove {name}", lambda: os.rmdir(path))
        # What a life's memory would be called if it lay beside the life's directory.
        for ending in ("node", "service", "data", "0", "iox2_"):
            beside = name.removesuffix("iox2") + ending
            if beside not in own and len(own) < 500:
                own.add(beside)
                os.close(os.open(f"/dev/shm/{beside}", os.O_CREAT | os.O_RDWR, 0o666))
for name in own:
    os.unlink(f"/dev/shm/{name}")
print(len(seen), *opened, sep="\\n")
"""
)


def test_who_watches_every_start_gets_at_nothing(runtime_dir):
    endpoint = RpcEndpoint("watched")

    @endpoint.register
    def add(a: int, b: int) -> int:
        return a + b

    with endpoint:
        prefix = next(iter(shared_memory(runtime_dir)))[: len("pyc0_01234567_")]
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdout.readline() == "watches\n"
    for _ in range(30):
        with endpoint, RpcClient("watched") as client:
            assert client.call("add", 1, 2) == 3
    said, _ = watcher.communicate("end\n")
    seen, *opened = said.split()
    assert watcher.returncode == 0
    assert int(seen) > 0, "it has seen no life, and shows nothing"
    assert opened == []


CROWD = (
    AS_OTHER
    + """
common, kind = sys.argv[1:]
makes = [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc", path), lambda path: open(path, "w").close()]
for number in range(2000):
    path = f"/dev/shm/{common}{number:08x}_iox2"
    if kind == "make":
        makes[number % 4](path)
    elif os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    else:
        os.unlink(path)
"""
)


def test_names_like_ours_stop_nothing_and_stay(runtime_dir):
    endpoint = RpcEndpoint("crowded")

    @endpoint.register
    def add(a: int, b: int) -> int:
        return a + b

    with endpoint:
        common = next(iter(shared_memory(runtime_dir)))[: len("pyc0_01234567_01234567_")]
    crowd = [sys.executable, "-c", CROWD, common]
    subprocess.run([*crowd, "make"], check=True)
    try:
        for _ in range(3):
            with endpoint, RpcClient("crowded") as client:
                assert client.call("add", 1, 2) == 3
        assert len(shared_memory(runtime_dir)) == 2000, "what is another user's is not ours to remove"
    finally:
        subprocess.run([*crowd, "remove"], check=True)


#: Run where /tmp and /run are its own: another user makes the default directory first, as each kind of thing.
FIRST = """
import os, shutil, subprocess, sys
from pathlib import Path
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("first")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

calls = "from pycrust import RpcClient; print(RpcClient('first').call('add', 1, 2))"
makes = '''
import os, sys
os.setuid(OTHER)
path, kind = "/tmp/pycrust-0", sys.argv[1]
if kind == "directory": os.mkdir(path, 0o777)
if kind == "file": open(path, "w").close()
if kind == "link": os.symlink("/tmp", path)
if kind == "pipe": os.mkfifo(path)
'''.replace("OTHER", sys.argv[1])
taken = Path("/tmp/pycrust-0")
for kind in ("directory", "file", "link", "pipe"):
    subprocess.run([sys.executable, "-c", makes, kind], check=True)
    with endpoint:
        said = subprocess.run([sys.executable, "-c", calls], capture_output=True, text=True, check=False)
        assert said.stdout == "3\\n", (kind, said.stderr)
        beside = [path for path in Path("/tmp").glob("pycrust-0-*")]
        assert len(beside) == 1 and beside[0].stat().st_mode & 0o777 == 0o700, (kind, beside)
    os.environ["PYCRUST_RUNTIME_DIR"] = str(taken)
    try:
        endpoint.serve()
        raise SystemExit(f"served in another user's {kind}")
    except OSError as error:
        assert f"uid {sys.argv[1]}" in str(error) and "set PYCRUST_RUNTIME_DIR" in str(error), (kind, error)
    del os.environ["PYCRUST_RUNTIME_DIR"]
    if kind == "directory":
        taken.rmdir()
    else:
        taken.unlink()
print("went on")
"""


def test_a_default_directory_that_another_user_has_made_first():
    own = "mount -t tmpfs -o mode=1777 tmpfs"
    mounts = f"{own} /tmp && {own} /run && {own} /dev/shm"
    environment = {name: value for name, value in os.environ.items() if name != "PYCRUST_RUNTIME_DIR"}
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$0" "$@"', sys.executable, "-c", FIRST, str(OTHER)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd="/",
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("went on\n")


#: An account that serves, and somebody of a group that may act as it.
SERVICE, MEMBER = 4720, 4721

BECOMES = """
import os, sys
from pycrust import FailedPrecondition, RpcClient, RpcEndpoint, RpcError

os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
"""

SHARED = (
    BECOMES
    + """
endpoint = RpcEndpoint("shared")
endpoint.register("double")(lambda number: 2 * number)
with endpoint:
    print("serves", flush=True)
    sys.stdin.read()
"""
)

CALLS = (
    BECOMES
    + """
try:
    print(RpcClient("shared").call("double", 21))
except RpcError as error:
    print(error)
"""
)


def test_a_group_is_let_in_by_acting_as_the_account_that_serves(monkeypatch):
    """What `sudo -u` does for whom `sudoers` allows it: SECURITY.md has the line."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # noqa: PTH101, S103
        runtime = f"{place}/runtime"
        os.mkdir(runtime, 0o700)  # noqa: PTH102
        os.chown(runtime, SERVICE, SERVICE)
        monkeypatch.setenv("PYCRUST_RUNTIME_DIR", runtime)
        service = subprocess.Popen(
            [sys.executable, "-c", SHARED, str(SERVICE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        while service.stdout.readline() != "serves\n":
            assert service.poll() is None

        def calls_as(uid: int) -> str:
            return subprocess.run(
                [sys.executable, "-c", CALLS, str(uid)], capture_output=True, text=True, check=True
            ).stdout

        assert calls_as(SERVICE) == "42\n"
        refused = calls_as(MEMBER)
        assert f"uid {SERVICE}" in refused
        assert f"uid {MEMBER}" in refused
        assert calls_as(SERVICE) == "42\n", "and nobody else notices"
        service.communicate()
        assert service.returncode == 0
