"""Arrays where memory, files or their sizes are limited, as in a container: errors that say so, and calls go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMESPACE = ["unshare", "--map-root-user", "--mount"]

PROGRAM = """
import os
import numpy as np
from pycrust import ResourceExhausted, RpcClient, RpcEndpoint

endpoint = RpcEndpoint("small")

@endpoint.register
def total(values):
    return int(values.sum())

@endpoint.register
def make(size: int):
    built = endpoint.empty(size, "u1")
    built[:] = 1
    return built

@endpoint.register
def copied(size: int):
    return np.ones(size, "u1")

def refused(call, *args):
    try:
        call(*args)
    except ResourceExhausted as error:
        assert "/dev/shm" in str(error) and "bytes" in str(error), error
        return True
    return False

MIB = 1 << 20
with endpoint, RpcClient("small") as client:
    ones = np.ones(100 * MIB, "u1")
    for _ in range(3):
        assert refused(client.call, "total", ones)
        assert refused(client.call, "copied", 100 * MIB)
        assert refused(client.call, "make", 100 * MIB)
        assert client.call("total", ones[: 10 * MIB]) == 10 * MIB
        assert client.call("make", 5 * MIB).nbytes == 5 * MIB
        assert client.call("copied", 5 * MIB).nbytes == 5 * MIB
    held = [client.call("copied", 10 * MIB) for _ in range(2)]
    with open("/dev/shm/hog", "wb") as hog:
        free = os.statvfs("/dev/shm")
        os.posix_fallocate(hog.fileno(), 0, free.f_bavail * free.f_frsize)
    assert refused(client.call, "copied", 20 * MIB)
    assert client.call("total", np.ones(100, "u1")) == 100
    os.unlink("/dev/shm/hog")
    assert client.call("copied", 5 * MIB).nbytes == 5 * MIB
    assert all((one == 1).all() for one in held)
    del held
print("went on")
"""

#: Few files may be made: a connection gets through, its bulk services do not.
FEW_FILES = """
import os
import numpy as np
from pycrust import ResourceExhausted, RpcClient, RpcEndpoint, RpcError

endpoint = RpcEndpoint("files")

@endpoint.register
def total(values):
    return int(values.sum())

with endpoint, RpcClient("files") as client:
    assert client.call("total", np.ones(100, "u1")) == 100
    hogs = []
    while os.statvfs("/dev/shm").f_favail > 2:
        hogs.append(f"/dev/shm/hog{len(hogs)}")
        open(hogs[-1], "w").close()
    for _ in range(3):
        try:
            client.call("total", np.ones(100_000, "u1"))
        except ResourceExhausted as error:
            assert "nr_inodes" in str(error), error
        else:
            raise AssertionError("it found files")
        assert client.call("total", np.ones(100, "u1")) == 100
    for hog in hogs:
        os.unlink(hog)
    assert client.call("total", np.ones(100_000, "u1")) == 100_000
print("went on")
"""

#: Files may not be large (`ulimit -f`): past that the kernel ends a process, unless it is asked first.
SMALL_FILES = """
import resource
import signal
import numpy as np
from pycrust import ResourceExhausted, RpcClient, RpcEndpoint

# As it is in a program that is not Python.
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, resource.RLIM_INFINITY))
endpoint = RpcEndpoint("limited")

@endpoint.register
def total(values):
    return int(values.sum())

@endpoint.register
def make(size: int):
    return endpoint.empty(size, "u1")

with endpoint, RpcClient("limited") as client:
    for _ in range(3):
        assert client.call("total", np.ones(100_000, "u1")) == 100_000
        for call in [lambda: client.call("total", np.ones(10 << 20, "u1")), lambda: client.call("make", 10 << 20)]:
            try:
                call()
            except ResourceExhausted as error:
                assert "RLIMIT_FSIZE" in str(error) and str(64 << 20) in str(error), error
            else:
                raise AssertionError("it found a file")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert client.call("total", np.ones(10 << 20, "u1")) == 10 << 20
print("went on")
"""

#: A control group has little memory left: past it the kernel ends a process.
SMALL_GROUP = """
import sys
import numpy as np
from pycrust import ResourceExhausted, RpcClient, RpcEndpoint

endpoint = RpcEndpoint("grouped")

@endpoint.register
def total(values):
    return int(values[-1])

@endpoint.register
def zeros(size: int):
    # Memory that nobody has written takes none.
    return np.zeros(size, "u1")

with endpoint, RpcClient("grouped") as client:
    large = np.zeros(600 << 20, "u1")
    for _ in range(3):
        for method, argument in [("total", large), ("zeros", large.nbytes)]:
            try:
                client.call(method, argument)
            except ResourceExhausted as error:
                assert "control group" in str(error) and "bytes left" in str(error), error
            else:
                raise AssertionError("it found memory")
        assert client.call("total", np.zeros(10 << 20, "u1")) == 0
        assert client.call("zeros", 10 << 20).nbytes == 10 << 20
print("went on")
"""


#: Nearly full before anything is served: what is written to pages that can't be had would end the process.
FULL_AT_THE_START = """
import os
from pycrust import RpcClient, RpcEndpoint

endpoint = RpcEndpoint("late")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

for left in (0, 4, 8, 16, 64, 256, 1024):
    with open("/dev/shm/hog", "wb") as hog:
        free = os.statvfs("/dev/shm")
        hog.write(bytes(free.f_bavail * free.f_bsize - (left << 10)))
    try:
        endpoint.serve()
    except OSError as error:
        assert "/dev/shm has" in str(error) and "bytes left" in str(error), error
    else:
        raise SystemExit(f"served with {left} KiB")
    os.unlink("/dev/shm/hog")
with endpoint, RpcClient("late") as client:
    assert client.call("add", 1, 2) == 3
print("went on")
"""


def run_in_a_namespace(program: str, options: str) -> None:
    may = subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True)
    if may.returncode != 0:
        pytest.skip("this sandbox forbids mount namespaces")
    mount = f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$0" "$@"'
    run = subprocess.run(
        [*NAMESPACE, "sh", "-c", mount, sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("went on\n")


def test_a_small_and_a_full_shared_memory():
    run_in_a_namespace(PROGRAM, "size=64m")


def test_a_shared_memory_that_is_full_at_the_start():
    run_in_a_namespace(FULL_AT_THE_START, "size=64m")


def test_a_shared_memory_that_takes_few_files():
    run_in_a_namespace(FEW_FILES, "nr_inodes=60")


def test_a_limit_on_the_size_of_files():
    run_in_a_namespace(SMALL_FILES, "size=256m")


@pytest.fixture
def group():
    """A control group of our own with 512 MiB, in either version; skipped where none may be made."""
    for parent, limit in [
        (Path("/sys/fs/cgroup"), "memory.max"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    ]:
        if not (parent / "cgroup.procs").exists():
            continue
        made = parent / f"pycrust-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(512 << 20))
        except OSError:
            made.rmdir()
            continue
        yield made
        made.rmdir()
        return
    pytest.skip("this sandbox forbids control groups with a memory limit")


def test_a_control_group_without_memory_left(group):
    enter = f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"'
    run = subprocess.run(
        ["sh", "-c", enter, sys.executable, "-c", SMALL_GROUP], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("went on\n")
