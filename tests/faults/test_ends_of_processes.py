"""A process that ends while its own threads are in the middle of something ends well."""

import subprocess
import sys

import pytest

OUTLIVED = """
import threading
from pycrust import RpcClient, RpcEndpoint

endpoint = RpcEndpoint("outlived")
started = threading.Event()

@endpoint.register
def spin() -> None:
    started.set()
    while True:
        sum(range(1000))

endpoint.serve()
client = RpcClient("outlived")
client._client.start("spin", [], {}, lambda result, error: None)
started.wait()
print(endpoint.stop(grace=0.01))
"""

REGISTERING = """
import sys, threading, time
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("swapped")

def swap(mark: int) -> None:
    @endpoint.register
    def one(number: int) -> int:
        return number + mark

    @endpoint.register
    def another(number: int) -> int:
        return number - mark

def keep_swapping() -> None:
    mark = 0
    while True:
        mark += 1
        swap(mark)

swap(0)
endpoint.serve()
for _ in range(2):
    threading.Thread(target=keep_swapping, daemon=True).start()
time.sleep(float(sys.argv[1]))
endpoint.stop()
"""


def ends_well(source: str, *arguments: str) -> str:
    ended = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Fatal" not in ended.stderr, ended.stderr
    return ended.stdout


def test_a_handler_that_outlives_its_stop():
    assert ends_well(OUTLIVED).endswith("False\n")


@pytest.mark.parametrize("moment", range(12))
def test_threads_that_register_to_the_last(moment):
    ends_well(REGISTERING, str(0.05 + moment * 0.003))
