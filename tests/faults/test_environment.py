"""Places that can't be used, and a client that is suspended while it holds arrays."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pycrust import RpcClient, RpcEndpoint
from tests.conftest import shared_memory, wait_until

HOLDER = """
import sys
import numpy as np
from pycrust import RpcClient, Unavailable

client = RpcClient("holder")
held = [client.call("filled", number) for number in range(80)]
print("holds", flush=True)
sys.stdin.readline()
for number, array in enumerate(held):
    assert (array == number).all() and len(array) == 100_000
try:
    client.call("filled", 1)
except Unavailable:
    print("gone", flush=True)
sys.stdin.readline()
"""


def serves(endpoint: RpcEndpoint, rust) -> None:
    """It serves clients of both languages."""
    with endpoint, RpcClient(endpoint.name) as client:
        assert client.call("one") == 1
        rust("call", "--endpoint", endpoint.name, "--method", "one", "--args", "null").finish()


@pytest.fixture
def endpoint():
    made = RpcEndpoint("placed")
    made.register("one")(lambda: 1)
    return made


def test_a_runtime_directory_whose_path_is_longer_than_a_socket_s(endpoint, rust, tmp_path, monkeypatch):
    deep = tmp_path
    for letter in "abc":
        deep /= letter * 60
        deep.mkdir(mode=0o700)
    monkeypatch.setenv("PYCRUST_RUNTIME_DIR", str(deep))
    with pytest.raises(OSError, match="too long") as refused:
        endpoint.serve()
    assert "PYCRUST_RUNTIME_DIR" in str(refused.value), "what to do about it"
    shorter = tmp_path / "short"
    monkeypatch.setenv("PYCRUST_RUNTIME_DIR", str(shorter))
    serves(endpoint, rust)
    assert not shared_memory(shorter)


def test_a_runtime_directory_on_another_file_system(endpoint, rust, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="elsewhere-") as directory:
        monkeypatch.setenv("PYCRUST_RUNTIME_DIR", directory)
        serves(endpoint, rust)


def test_a_runtime_directory_in_one_that_there_is_not(endpoint, rust, monkeypatch):
    with tempfile.TemporaryDirectory() as directory:
        missing = Path(directory, "missing")
        monkeypatch.setenv("PYCRUST_RUNTIME_DIR", str(missing / "runtime"))
        with pytest.raises(OSError, match=r"missing does not exist; make that first"):
            endpoint.serve()
        with pytest.raises(Exception, match="missing") as refused:
            RpcClient("placed")
        assert "does not exist" in str(refused.value)
        missing.mkdir()
        serves(endpoint, rust)


def test_a_runtime_directory_that_is_read_only(runtime_dir):
    serve = "from pycrust import RpcEndpoint; RpcEndpoint('placed').serve()"
    mounted = f'mount -t tmpfs -o ro,mode=0700 none {runtime_dir} && exec {sys.executable} -c "{serve}"'
    assert shutil.which("unshare")
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert str(runtime_dir) in ran.stderr
    assert "read-only" in ran.stderr.lower()


def test_a_file_where_the_runtime_directory_should_be(endpoint, rust, tmp_path, monkeypatch):
    place = tmp_path / "file"
    place.write_text("")
    monkeypatch.setenv("PYCRUST_RUNTIME_DIR", str(place))
    with pytest.raises(OSError, match="it is a file, no directory; remove it"):
        endpoint.serve()
    place.unlink()
    serves(endpoint, rust)


def test_a_client_that_is_suspended_with_arrays_in_its_hands_costs_nobody_anything(start):
    endpoint = RpcEndpoint("holder")

    @endpoint.register
    def filled(number: int) -> np.ndarray:
        return np.full(100_000, number)

    endpoint.serve()
    holder = start(sys.executable, "-c", HOLDER, stdin=subprocess.PIPE)
    assert holder.line() == "holds"
    holder.send(signal.SIGSTOP)
    with RpcClient("holder") as client:
        for number in range(300):
            assert (client.call("filled", number) == number).all()
    # Nor does it hold up the end.
    assert endpoint.stop()
    assert not any(Path(os.environ["PYCRUST_RUNTIME_DIR"]).glob("*.sock"))
    holder.send(signal.SIGCONT)
    holder.process.stdin.write("\n")
    holder.process.stdin.flush()
    assert holder.line() == "gone", "its arrays are whole"
    holder.finish()
    wait_until(lambda: not shared_memory(), "shared memory to be freed")
