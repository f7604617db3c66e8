"""Slow handlers beside quick ones, and streams that are long."""

import threading

import psutil

from pycrust import RpcClient

NEIGHBOURS = """
import time
from collections.abc import Iterator
from pycrust import RpcEndpoint, current_call

endpoint = RpcEndpoint("neighbours")
endpoint.register("ping")(lambda: "pong")

@endpoint.register(concurrency=4)
def sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not current_call().cancelled:
        time.sleep(min(1.0, seconds))

@endpoint.register
def burn() -> int:
    turns = 0
    while not current_call().cancelled:
        turns += 1
    return turns

@endpoint.register
def count(below: int) -> Iterator[int]:
    yield from range(below)

endpoint.serve()
"""


def test_pings_are_answered_beside_sleepers_and_a_burner(worker):
    worker(NEIGHBOURS)
    with RpcClient("neighbours") as client:
        nobody = lambda result, error: None  # noqa: E731
        busy = [client._client.start("sleep", [60.0], {"timeout": 60.0}, nobody) for _ in range(4)]
        busy.append(client._client.start("burn", [], {"timeout": 60.0}, nobody))
        while sum(method["in_flight"] for method in client.call("pycrust.stats")["methods"]) < 5:
            pass
        # The deadline is part of what is promised: a late answer raises.
        assert [client.call("ping", timeout=0.1) for _ in range(1000)] == ["pong"] * 1000
        for call in busy:
            call.cancel()


def test_a_million_items_hold_memory_flat_on_both_sides(worker):
    serving, here = psutil.Process(worker(NEIGHBOURS).pid), psutil.Process()
    with RpcClient("neighbours") as client:
        warm = sum(1 for _ in client.stream("count", 50_000))
        assert warm == 50_000
        before = serving.memory_info().rss, here.memory_info().rss
        most = [0, 0]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.01):
                most[:] = max(most[0], serving.memory_info().rss), max(most[1], here.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        total = sum(client.stream("count", 1_000_000))
        done.set()
        watcher.join()
    assert total == sum(range(1_000_000))
    assert [after - start < 32 << 20 for after, start in zip(most, before, strict=True)] == [True, True]
