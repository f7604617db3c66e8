"""Async handlers on the kernel's own event loop: they wait while a cell runs, and are seen to wait."""

from pycrust import RpcClient
from tests.conftest import wait_until

SERVE = """
import asyncio, threading, time
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("loops")
ended = 0.0
running = False

endpoint.register("busy")(lambda: running)

@endpoint.register(loop="kernel")
async def kernels() -> tuple[float, float, bool]:
    before = time.monotonic()
    await asyncio.sleep(0)
    return before, ended, threading.current_thread() is threading.main_thread()

@endpoint.register
async def workers() -> bool:
    await asyncio.sleep(0)
    return threading.current_thread() is threading.main_thread()

endpoint.serve()
"""


def test_a_handler_on_the_kernel_s_loop_waits_for_the_cell_and_others_do_not(kernel):
    kernel.run(SERVE)
    with RpcClient("loops") as client:
        assert client.call("kernels")[2] is True
        assert client.call("workers") is False
        outcome: list = []
        kernel.begin("running = True; time.sleep(0.5); ended = time.monotonic()")
        wait_until(lambda: client.call("busy"), "the cell to begin")
        client._client.start(
            "kernels", [], {"timeout": 60.0}, lambda result, error: outcome.append((result, error))
        )
        assert client.call("workers") is False, "the worker's own loop is not held up"
        wait_until(lambda: outcome, "the answer")
        [((before, ended, on_main), error)] = outcome
        assert error is None
        assert on_main
        assert before >= ended > 0, "it ran after the cell"
        (stats,) = [method for method in client.call("pycrust.stats")["methods"] if method["name"] == "kernels"]
        assert stats["stages"]["interpreter"]["max_ns"] > 100_000_000, "and its wait is shown"
    kernel.run("endpoint.stop()")
