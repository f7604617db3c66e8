"""A worker whose files were removed, and whose name another one has by now."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import shared_memory

LOSES = """
import logging, sys
from pycrust import RpcEndpoint
logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
endpoint = RpcEndpoint("lost")

@endpoint.register()
def ping() -> str:
    return "loser"

endpoint.listen()
print(endpoint.summary().splitlines()[0], flush=True)
endpoint.serve()
"""

TAKES = """
import sys
from pycrust import AlreadyServed, RpcEndpoint
endpoint = RpcEndpoint("lost")

@endpoint.register()
def ping() -> str:
    return "winner"

print("ready", flush=True)
for _ in sys.stdin:
    try:
        endpoint.serve()
    except AlreadyServed:
        print("refused", flush=True)
"""


def remove_what_tells_of_it(runtime_dir: Path) -> None:
    """Removes everything by which a start knows a worker."""
    for name in shared_memory():
        path = Path("/dev/shm") / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(runtime_dir, ignore_errors=True)
    runtime_dir.mkdir(mode=0o700, exist_ok=True)


def test_a_worker_that_has_lost_its_name_stops_and_says_so(start, rust, runtime_dir):
    loser = start(sys.executable, "-c", LOSES)
    while "serving from pid" not in loser.line():
        pass
    winner = start(sys.executable, "-c", TAKES, stdin=subprocess.PIPE)
    assert winner.line() == "ready"
    # Its slow tick may come in between, and then it is known again.
    said = "refused"
    while said == "refused":
        remove_what_tells_of_it(runtime_dir)
        winner.process.stdin.write("\n")
        winner.process.stdin.flush()
        said = winner.line()
    assert said.startswith(f"serving lost · pid {winner.pid}")
    while "this worker stops" not in (line := loser.line()):
        pass
    assert f"lost is already served by pid {winner.pid}" in line
    lines = []
    while "not serving" not in (line := loser.line()):
        lines.append(line)
    assert sum(line.startswith("lost: stopped: its files were removed") for line in lines) == 1, lines
    assert line == "lost · not serving · 1 method"
    assert loser.process.wait() == 1, "serving again is refused"
    answered = rust("call", "--endpoint", "lost", "--method", "ping", "--args", "null").finish()
    assert json.loads(answered) == {"value": "winner", "version": 1}
