"""A process that is short of file descriptors: errors that say what to do, and nobody else loses anything."""

import subprocess
import sys

#: Serves and calls itself; then it may open some more, which a few clients use up.
PROGRAM = """
import os
import resource
from pycrust import ResourceExhausted, RpcClient, RpcEndpoint

endpoint = RpcEndpoint("scarce")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

with endpoint, RpcClient("scarce") as first:
    assert first.call("add", 1, 2) == 3
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for more in (22, 3, 60):
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + more, hard))
        clients, refused = [], 0
        for _ in range(10):
            try:
                clients.append(RpcClient("scarce"))
                assert clients[-1].call("add", 1, 2) == 3
            except ResourceExhausted as error:
                assert "descriptors" in str(error) and "ulimit -n" in str(error), error
                refused += 1
        assert refused
        assert first.call("add", 1, 2) == 3
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with RpcClient("scarce") as again:
            assert again.call("add", 1, 2) == 3
print("went on")
"""


def test_a_process_that_serves_and_calls_itself_without_descriptors():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("went on\n")
