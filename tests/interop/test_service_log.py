"""What a worker says through `logging`: what went wrong and when, once, and never in a call's way."""

import json
import re
import signal
import socket

import pytest

from tests.conftest import DIVISION

SERVICE = """
import os
from pycrust import Code, RpcEndpoint, RpcError
{configured}
endpoint = RpcEndpoint("service")

@endpoint.register
def divide(a: float, b: float) -> float:
    return a / b

@endpoint.register
def refuse() -> None:
    raise RpcError(Code.NOT_FOUND, "no such arm")

@endpoint.register
def promise() -> int:
    return "many"

@endpoint.register
async def divide_later(a: float, b: float) -> float:
    return a / b

endpoint.listen()
"""
INFO = "import logging; logging.basicConfig(level=logging.INFO, format='%(levelname)s %(name)s %(message)s')"


@pytest.fixture
def service(start):
    """Starts a script that serves, as a supervisor would; gives it once it says so."""
    import sys

    def starter(configured="", source=SERVICE):
        program = start(sys.executable, "-c", source.format(configured=configured))
        assert program.line().startswith("serving service")
        return program

    return starter


@pytest.fixture
def ask(rust):
    """One call from Rust; gives its answer."""

    def asker(method, arguments=None):
        program = rust("call", "--endpoint", "service", "--method", method, "--args", json.dumps(arguments))
        return json.loads(program.finish())

    return asker


def ended(program) -> tuple[str, str]:
    """Ends a service as a supervisor does: its output and its log."""
    program.send(signal.SIGTERM)
    out, err = program.process.communicate(timeout=60)
    assert program.process.returncode == 0, err
    return out, err


def test_without_any_configuration_stderr_tells_what_failed_and_when(service, ask):
    program = service()
    assert ask("divide", {"a": 1, "b": 2})["value"] == 0.5
    for method in ("divide", "divide_later"):
        assert "division" in ask(method, {"a": 1, "b": 0})["error"]["message"]
    ask("promise")
    ask("refuse")
    ask("divide", {"a": "x", "b": 1})
    out, err = ended(program)
    assert out == ""
    heads = re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (.*)$", err, re.MULTILINE)
    failed = r"ERROR pycrust: service\.{} v1 failed for call \(pid \d+\), call 0x[0-9a-f]+: {}"
    expected = [
        failed.format("divide", f"ZeroDivisionError: {DIVISION}"),
        failed.format("divide_later", f"ZeroDivisionError: {DIVISION}"),
        failed.format("promise", "INTERNAL: the handler's result doesn't fit its declared type: .*"),
    ]
    assert len(heads) == len(expected), err
    for head, pattern in zip(heads, expected, strict=True):
        assert re.fullmatch(pattern, head), head
    # Each traceback once, and the handler's own frame in it.
    assert err.count("Traceback") == 2
    assert re.search(r'File "<string>", line \d+, in divide\n', err)


def test_the_life_of_an_endpoint_is_told_at_info(service, ask):
    program = service(INFO)
    ask("divide", {"a": 1, "b": 2})
    ask("refuse")
    _, err = ended(program)
    lines = [re.sub(r"\(?pid \d+\)?|0x[0-9a-f]+", "#", line) for line in err.splitlines()]
    came = ["INFO pycrust service: call # connected"]
    went = ["INFO pycrust service: call # disconnected: closed by the other side"]
    assert lines == [
        "INFO pycrust service: serving from # with 4 methods",
        *came,
        *went,
        *came,
        "INFO pycrust service.refuse v1 failed for call #, call #: "
        "NOT_FOUND (pycrust.errors.NotFound): no such arm",
        *went,
        "INFO pycrust service: stopping; 0 calls in flight have 2s to end",
        "INFO pycrust service: stopped; 0 clients were let go of",
    ]


def test_a_client_that_is_killed_is_told_with_the_reason(service, rust):
    program = service(INFO)
    client = rust("load", "--endpoint", "service", "--method", "divide", "--args", "[1, 2]", "--calls", "100000000")
    # The log names it once it is connected.
    seen = ""
    while "load (pid" not in seen:
        seen = program.process.stderr.readline()
    client.send(signal.SIGKILL)
    while "disconnected" not in seen:
        seen = program.process.stderr.readline()
    assert re.search(r"service: load \(pid \d+\) disconnected: its process ended", seen)
    ended(program)


def test_what_fails_often_is_counted_and_nothing_is_lost(service, start):
    import sys

    program = service()
    script = (
        "from pycrust import RpcClient\n"
        "client = RpcClient('service')\n"
        "for number in range(100):\n"
        "    try:\n        client.call('divide', number, 0)\n"
        "    except Exception:\n        pass\n"
    )
    start(sys.executable, "-c", script).finish()
    _, err = ended(program)
    logged = err.count("service.divide v1 failed")
    counted = [int(number) for number in re.findall(r"divide: (\d+) more calls failed within 10 s", err)]
    assert logged <= 5 * (len(counted) + 1)
    assert logged + sum(counted) == 100


HANDLERS = """
import logging, sys
from pycrust import RpcClient

class Raises(logging.Handler):
    def emit(self, record):
        raise OSError("the log is full")

class Calls(logging.Handler):
    def emit(self, record):
        if "failed" in record.getMessage():
            self.setLevel(100)
            with RpcClient("service") as client:
                print("the handler asked:", client.call("divide", 6, 3), flush=True)
                print("of", record.client, record.version, record.code, record.endpoint, flush=True)

logging.getLogger("pycrust").addHandler({handler})
"""


@pytest.mark.parametrize("handler", ["Raises()", "Calls()"])
def test_logging_handlers_that_raise_or_call_the_endpoint_harm_no_call(service, ask, handler):
    program = service(HANDLERS.format(handler=handler))
    assert "division" in ask("divide", {"a": 1, "b": 0})["error"]["message"]
    if handler == "Calls()":
        assert program.line() == "the handler asked: 2.0"
        assert program.line() == "of call 1 UNKNOWN service"
    assert ask("divide", {"a": 1, "b": 2})["value"] == 0.5
    _, err = ended(program)
    assert err.count("a logging handler raised OSError: the log is full") == (handler == "Raises()")


def test_a_silenced_logger_stays_silent(service, ask):
    program = service("import logging; logging.getLogger('pycrust').addHandler(logging.NullHandler())")
    ask("divide", {"a": 1, "b": 0})
    assert ended(program) == ("", "")


def test_a_logging_handler_that_hangs_while_the_endpoint_serves_holds_up_no_call_and_no_stop(service, ask):
    hangs = (
        "import logging, time\n"
        "class Hangs(logging.Handler):\n"
        "    def emit(self, record):\n        while endpoint.serving:\n            time.sleep(0.01)\n"
        "logging.getLogger().addHandler(Hangs())\n"
    )
    program = service(hangs)
    ask("divide", {"a": 1, "b": 0})
    assert ask("divide", {"a": 1, "b": 2})["value"] == 0.5
    ended(program)


FORKS = """
import logging, os
logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s")
"""


def test_a_forked_child_says_nothing_of_its_parents_and_all_of_its_own(worker, ask):
    program = worker(
        FORKS
        + """
from pycrust import RpcClient, RpcEndpoint
endpoint = RpcEndpoint("service")

@endpoint.register
def fork() -> int:
    child = os.fork()
    if child == 0:
        other = RpcEndpoint("child")
        @other.register
        def fail():
            raise ValueError("in the child")
        other.serve()
        with RpcClient("child") as client:
            try:
                client.call("fail")
            except Exception:
                pass
        other.stop()
        os._exit(0)
    return os.waitpid(child, 0)[1] or child

endpoint.serve()
"""
    )
    child = ask("fork")["value"]
    _, err = program.process.communicate(timeout=60)
    by = {pid: [line for line in err.splitlines() if line.startswith(f"{pid} ")] for pid in (program.pid, child)}
    assert any("child.fail v1 failed" in line for line in by[child]), err
    assert [line for line in by[child] if "service" in line] == []
    assert sum("service: stopped" in line for line in by[program.pid]) == 1


def test_lines_of_the_native_side_reach_logging(start):
    """A client that was not let in: the transport says so, and nobody had to ask."""
    import sys

    script = """
import logging, os, socket, sys, time
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("service")
endpoint.serve()
directory = os.environ["PYCRUST_RUNTIME_DIR"]
path = next(f"{at}/{name}" for at, _, names in os.walk(directory) for name in names if name.endswith(".sock"))
caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
caller.connect(path)
caller.send(b"nothing that anybody understands")
caller.recv(1024)
caller.close()
endpoint.stop()
"""
    program = start(sys.executable, "-c", script)
    _, err = program.process.communicate(timeout=60)
    said = r"^pycrust(\.transport)? (INFO|WARNING) client \d+ was not connected: "
    assert re.search(said, err, re.MULTILINE), err


def _hello(runtime_dir, number):
    """Says to the service on its socket what no client says, and hears that it is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        caller.connect(str(runtime_dir / "service.sock"))
        caller.send(b"\x07" * number)
        assert b"refused" in caller.recv(1000)


def test_a_client_that_is_refused_is_told_once_and_a_flood_of_them_is_summed_up(service, runtime_dir):
    program = service("import logging; logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s')")
    _hello(runtime_dir, 3)
    for _ in range(2_000):
        _hello(runtime_dir, 4)
    _, err = ended(program)
    told = re.findall(r"^pycrust client \d+ was not connected: malformed frame at byte 0: .*$", err, re.MULTILINE)
    summed = r"^pycrust (\d+) more lines within 10s were like this: client \d+ was not connected: malformed frame"
    more = [int(number) for number in re.findall(summed, err, re.MULTILINE)]
    # A hundred in each period; which one a client falls into depends on how long all of them take.
    assert len(told) + sum(more) == 2_001
    assert len(told) <= 100 * (len(more) + 1)
    assert len({line.split()[2] for line in told}) == len(told), "none is told twice"


def test_of_a_flood_that_a_handler_can_t_take_what_is_lost_is_counted(start):
    import sys

    script = """
import logging, threading, time
from pycrust import RpcEndpoint, logs

heard, go = [], threading.Event()

class Slow(logging.Handler):
    def emit(self, record):
        go.wait()
        heard.append(record.getMessage())

logging.getLogger("pycrust").addHandler(Slow())
logging.getLogger("pycrust").propagate = False
with RpcEndpoint("flooded"):
    taken = sum(logs.drain.put(logs.record(logging.ERROR, f"line {number}")) for number in range(100_000))
    go.set()
    while len(heard) <= taken:
        time.sleep(0.01)
lines = [line for line in heard if line.startswith("line ")]
(lost,) = [line for line in heard if line.endswith("lines of the log had no room and are lost")]
assert lines == [f"line {number}" for number in range(len(lines))], "the first ones, in order"
assert len(lines) == taken <= 1024 + 64, taken
assert int(lost.split()[0]) == 100_000 - taken
"""
    start(sys.executable, "-c", script).finish()


def test_what_no_logger_wants_is_not_made(start):
    import sys

    script = """
import logging
from pycrust import RpcClient, RpcEndpoint, _extension, logs

seen = []
levels = _extension.log_levels
_extension.log_levels = lambda wanted: (seen.append(wanted), levels(wanted))
logging.getLogger("pycrust.client").setLevel(logging.DEBUG)
logging.getLogger("pycrust.transport").setLevel(logging.ERROR)
logging.getLogger("pycrust.client").addHandler(logging.NullHandler())
with RpcEndpoint("wanted"):
    logs.drain.flush(60)
# INFO always comes, and of others what their own logger wants.
assert seen[-1] == [20, 20, 10, 20], seen
"""
    start(sys.executable, "-c", script).finish()
