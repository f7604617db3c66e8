"""Clients and workers of other versions of the protocol: told which side is the older one, and nobody else notices.

`make test-python` builds a client and a worker as they were in version 1, the one before the first change.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgpack
import pytest

from pycrust import FailedPrecondition, RpcClient, RpcEndpoint, RpcError
from tests.conftest import ROOT

OLDER = ROOT / "target" / "older"
LIMITS = (ROOT / "native/protocol/src/limits.rs").read_text()
#: The version that is spoken here.
OURS = int(re.search(r"PROTOCOL_VERSION: u16 = (\d+);", LIMITS)[1])
#: Versions that are not; the first one is built.
OTHERS = (1, 0, OURS - 1, OURS + 1, 65_535)
#: The endpoint that version 1's worker serves: it echoes frames, for measurements of then.
ECHO = "bench"
INVALID_ARGUMENT, FAILED_PRECONDITION = 3, 9

SERVICE = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("versions")
endpoint.register("double")(lambda number: 2 * number)
endpoint.serve()
print("ready", flush=True)
sys.stdin.read()
endpoint.stop()
"""


def advice(*, worker: int, client: int) -> str:
    older = "worker" if worker < client else "client"
    return f"the worker speaks protocol {worker}, the client {client}: upgrade the {older}"


def fnv(*texts: str) -> int:
    """FNV-1a of texts, each with a zero behind it."""
    digest = 0xCBF2_9CE4_8422_2325
    for byte in b"".join(text.encode() + b"\0" for text in texts):
        digest = (digest ^ byte) * 0x0100_0000_01B3 & 0xFFFF_FFFF_FFFF_FFFF
    return digest


def socket_file(endpoint: str) -> str:
    """The name of an endpoint's socket, as SPEC.md has it."""
    return f"{fnv(endpoint):016x}.sock"


@pytest.fixture
def what_version_1_leaves(runtime_dir):
    """Nothing, in the end: today's processes don't touch what a killed worker of that version had."""
    yield
    ours = f"pyc{os.getuid()}_{fnv(str(runtime_dir.resolve()), ECHO) & 0xFFFF_FFFF_FFFF:012x}_"
    left = [path for path in Path("/dev/shm").iterdir() if path.name.startswith(ours)]
    assert left, "it has other names, then"
    for path in left:
        path.unlink()


@pytest.fixture(scope="module")
def older():
    """Where the programs of version 1 are."""
    if not (OLDER / ".built").exists():
        commit = re.search(r"OLDER_COMMIT := (\w+)", (ROOT / "Makefile").read_text())[1]
        known = subprocess.run(["git", "cat-file", "-t", commit], cwd=ROOT, capture_output=True, check=False)
        if known.returncode:
            pytest.skip(f"commit {commit}, which spoke version 1, is not in this tree's history")
        pytest.fail("not built: make target/older/.built")
    return OLDER


@pytest.fixture
def service(start):
    """A worker of today."""
    program = start(sys.executable, "-c", SERVICE, stdin=subprocess.PIPE)
    while program.line() != "ready":
        pass
    return program


def ended(service) -> str:
    """Its log, once it has ended well."""
    _, log = service.process.communicate(timeout=60)
    assert service.process.returncode == 0, log
    return log


def say(runtime_dir: Path, endpoint: str, message: dict) -> dict | None:
    """Says one message in a hello's place; what is answered, `None` for a hang-up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        caller.connect(str(runtime_dir / socket_file(endpoint)))
        caller.send(msgpack.packb(message))
        heard, descriptors, _, _ = socket.recv_fds(caller, 16_384, 3)
        for descriptor in descriptors:
            os.close(descriptor)
        return msgpack.unpackb(heard) if heard else None


@pytest.fixture
def impostor(runtime_dir):
    """Stands where a worker would, and answers each hello in the same way; the hellos that it heard."""
    listeners = []

    def starter(file: str, answer: dict) -> list[dict]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(runtime_dir / file))
        listener.listen()
        heard = []

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    if hello := caller.recv(16_384):
                        heard.append(msgpack.unpackb(hello))
                        caller.send(msgpack.packb(answer))
                        # Until it hangs up, so that what was said is read.
                        while caller.recv(16_384):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        listeners.append((listener, thread))
        return heard

    yield starter
    for listener, thread in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def refused(program) -> dict:
    return json.loads(program.finish())["error"]


def test_an_older_client_hears_that_it_is_the_older_one_and_the_worker_serves_on(older, service, start, rust):
    with RpcClient("versions") as client:
        assert client.call("double", 1) == 2
        program = start(older / "older_call", "--endpoint", "versions", "--method", "double", "--args", "[1]")
        error = refused(program)
        assert error["code"] == "FAILED_PRECONDITION"
        assert error["may_have_run"] is False
        assert advice(worker=OURS, client=1) in error["message"]
        assert client.call("double", 2) == 4
        today = rust("call", "--endpoint", "versions", "--method", "double", "--args", "[3]")
        assert json.loads(today.finish())["value"] == 6
    told = f"was not connected: {advice(worker=OURS, client=1)} (older_call, pid {program.pid})"
    assert told in ended(service)


@pytest.mark.usefixtures("what_version_1_leaves")
def test_a_client_hears_that_a_worker_is_the_older_one_and_that_serves_on(older, runtime_dir, start, rust):
    """Each found it before: the worker is where workers of version 1 are."""
    worker = start(older / "older_worker", "echo-frames", runtime_dir, "sleeping", stdin=subprocess.PIPE)
    assert worker.line() == "serving"
    for _ in range(2):
        error = refused(rust("call", "--endpoint", ECHO, "--method", "any"))
        assert error["code"] == "FAILED_PRECONDITION"
        assert error["may_have_run"] is False
        assert advice(worker=1, client=OURS) in error["message"]
    with pytest.raises(FailedPrecondition, match=advice(worker=1, client=OURS)):
        RpcClient(ECHO).call("any")
    # Nor is its name taken away.
    with pytest.raises(RpcError, match=f"served by pid {worker.pid}"):
        RpcEndpoint(ECHO).serve()
    assert worker.process.poll() is None
    worker.send(signal.SIGKILL)
    worker.process.wait()
    # What it left behind is in nobody's way.
    with RpcEndpoint(ECHO), RpcClient(ECHO) as client:
        assert client.call("pycrust.health")


def test_a_hello_of_any_version_in_any_form_is_answered_with_both_numbers(service, runtime_dir):
    for protocol in OTHERS:
        hello = {"say": "hello", "protocol": protocol, "endpoint": "versions", "client": "other"}
        bare = {"protocol": protocol, "say": "hello", "name": "versions", "keys": [{"more": None}]}
        for message in (hello, {**hello, "compression": ["zstd"], "nested": {"a": [1]}}, bare):
            assert say(runtime_dir, "versions", message) == {
                "say": "refused",
                "code": FAILED_PRECONDITION,
                "reason": advice(worker=OURS, client=protocol),
            }
    with RpcClient("versions") as client:
        assert client.call("double", 21) == 42
    log = ended(service)
    assert log.count("(other, pid") == 2 * len(OTHERS)


def test_keys_of_later_are_ignored_and_messages_of_later_are_refused(service, runtime_dir):
    hello = {"say": "hello", "protocol": OURS, "endpoint": "versions", "client": "later"}
    welcome = say(runtime_dir, "versions", {**hello, "compression": ["zstd"]})
    assert welcome is not None
    assert (welcome["say"], welcome["protocol"]) == ("welcome", OURS)
    answer = say(runtime_dir, "versions", {"say": "resume", "protocol": OURS, "connection": 1})
    assert answer is not None
    assert (answer["say"], answer["code"]) == ("refused", INVALID_ARGUMENT)
    assert "resume" in answer["reason"]
    with RpcClient("versions") as client:
        assert client.call("double", 21) == 42
    ended(service)


@pytest.mark.parametrize("worker", [OURS + 1, 65_535])
@pytest.mark.parametrize("welcomes", [False, True])
def test_a_client_hears_that_it_is_the_older_one(impostor, rust, worker, welcomes):
    """Also from a worker that has not looked: the client does."""
    expected = advice(worker=worker, client=OURS)
    answer: dict = {"say": "refused", "code": FAILED_PRECONDITION, "reason": expected, "protocol": worker}
    if welcomes:
        answer = {
            "say": "welcome",
            "protocol": worker,
            "pid": os.getpid(),
            "generation": 1,
            "connection": 1,
            "prefix": "pyc_later_",
            "request_service": "1/request",
            "response_service": "1/response",
            "max_in_flight": 16,
            "rings": 4,
        }
    heard = impostor(socket_file("newer"), answer)
    error = refused(rust("call", "--endpoint", "newer", "--method", "any"))
    assert error["code"] == "FAILED_PRECONDITION"
    assert error["may_have_run"] is False
    assert expected in error["message"]
    with pytest.raises(FailedPrecondition, match=expected):
        RpcClient("newer").call("any")
    assert [(hello["say"], hello["protocol"]) for hello in heard] == [("hello", OURS)] * len(heard)
    assert len(heard) >= 2


def test_a_worker_of_the_version_before_is_the_older_one(impostor):
    """It listens where version 1 did, and says the numbers in the same words."""
    numbers = f"the worker speaks protocol {OURS - 1}, the client {OURS}"
    answer = {"say": "refused", "code": FAILED_PRECONDITION, "reason": f"{numbers}: install matching versions"}
    impostor("older.sock", answer)
    with pytest.raises(FailedPrecondition, match=advice(worker=OURS - 1, client=OURS)):
        RpcClient("older").call("any")


def test_a_message_of_later_from_a_worker_ends_the_handshake_with_its_name(impostor):
    impostor(socket_file("newer"), {"say": "postponed", "seconds": 1})
    with pytest.raises(RpcError, match="postponed"):
        RpcClient("newer").call("any")
