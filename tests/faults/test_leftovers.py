"""What killed workers leave goes as soon as anybody looks, whichever name is looked for; what is held stays."""

import os
import signal
import threading

import pytest

from pycrust import RpcClient, RpcEndpoint, Unavailable
from pycrust._extension import live_endpoints
from tests.conftest import shared_memory
from tests.interop.command_line import run

NAMED = """
from pycrust import RpcEndpoint
endpoint = RpcEndpoint({name!r})
endpoint.register("f")(lambda: {number})
endpoint.serve()
"""


def files(runtime_dir):
    return sorted(os.listdir(runtime_dir))


def ls():
    assert run("ls").returncode == 0


def connect_to_it():
    with pytest.raises(Unavailable):
        RpcClient("killed")


def connect_to_nobody():
    with pytest.raises(Unavailable):
        RpcClient("never-there")


def serve_another():
    with RpcEndpoint("another-beside"):
        assert "another-beside.lock" in os.listdir(os.environ["PYCRUST_RUNTIME_DIR"])


@pytest.mark.parametrize(
    "look", [ls, connect_to_it, connect_to_nobody, serve_another], ids=lambda look: look.__name__
)
def test_whoever_looks_removes_what_a_killed_worker_has_left(worker, runtime_dir, look):
    program = worker(NAMED.format(name="killed", number=1))
    with RpcClient("killed") as client:
        assert client.call("f") == 1
    living = worker(NAMED.format(name="living", number=2))
    of_the_living = set(files(runtime_dir)) - {"killed.lock", "killed.sock"}
    program.send(signal.SIGKILL)
    program.process.wait()
    assert "killed.lock" in files(runtime_dir)
    memory = shared_memory(runtime_dir)
    look()
    left = files(runtime_dir)
    assert [file for file in left if file.startswith("killed")] == []
    # Its socket's name says nothing: what is left is the living one's, and it is what it was.
    assert set(left) < of_the_living
    assert len(left) == 3
    assert shared_memory(runtime_dir) < memory
    with RpcClient("living") as client:
        assert client.call("f") == 2
    assert living.process.poll() is None


def test_starts_beside_those_who_remove(worker, runtime_dir):
    """Names are taken, served and given up while others look all the time; each start is found and answers."""
    stop, failed = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                live_endpoints()
            except Exception as error:
                failed.append(error)
                return

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(6):
            program = worker(NAMED.format(name="raced", number=number))
            with RpcClient("raced") as client:
                assert client.call("f") == number
                # Somebody else's start and end, beside the looks.
                with RpcEndpoint(f"beside-{number}"):
                    assert f"beside-{number}" in {owner["endpoint"] for owner in live_endpoints()}
                assert client.call("f") == number
            program.send(signal.SIGKILL)
            program.process.wait()
    finally:
        stop.set()
        for looker in lookers:
            looker.join()
    assert failed == []
    live_endpoints()
    assert files(runtime_dir) == []
