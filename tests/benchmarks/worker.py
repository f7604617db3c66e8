"""The worker that is measured: `add` with Pydantic validation, and what the other cases call.

`--spin-us 0` makes it sleep between calls; `--busy` keeps the main thread computing, as a cell does. At its end it
prints, as JSON, how many rounds a second that made.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator  # annotations are resolved when a handler is registered

from pycrust import Batch, RealTime, RpcEndpoint
from tests.benchmarks.handler import AddArgs, add

#: Microseconds of its thread's processor time that a call of `work` takes, unless it says.
WORK_US = 1000
#: Microseconds that the C call of `--busy lock` holds the interpreter.
HELD_US = 20_000


def python_cell() -> Callable[[], object]:
    return lambda: sum(range(1000))


def numpy_cell() -> Callable[[], object]:
    import numpy as np

    matrix = np.ones((400, 400))
    return lambda: matrix @ matrix


def torch_cell() -> Callable[[], object]:
    import torch

    torch.set_num_threads(1)
    matrix = torch.ones((400, 400))
    return lambda: matrix @ matrix


def lock_cell() -> Callable[[], object]:
    sleep = ctypes.PyDLL(None).usleep
    return lambda: sleep(HELD_US)


CELLS = {"python": python_cell, "numpy": numpy_cell, "torch": torch_cell, "lock": lock_cell}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spin-us", type=float)
    parser.add_argument("--anticipation", type=float, default=0.02)
    parser.add_argument("--busy", choices=CELLS)
    parser.add_argument("--methods", type=int, default=1)
    parser.add_argument("--record-all", action="store_true", help="every call, whatever the rate")
    parser.add_argument("--ticks", action="store_true", help="handlers that take them in each form")
    parser.add_argument("--admission", choices=("queue", "deadline"), default="queue", help="of calls of `work`")
    parser.add_argument("--max-in-flight", type=int, default=65_536)
    parser.add_argument("--max-in-flight-per-client", type=int, default=16_384)
    parser.add_argument("--cores", type=int, action="append", help="real time: a core for its threads")
    parser.add_argument("--priority", type=int, help="real time: their priority")
    parser.add_argument("--lock-memory", action="store_true", help="real time: memory that stays")
    options = parser.parse_args()
    endpoint = RpcEndpoint(
        "bench",
        spin_us=options.spin_us,
        anticipation=options.anticipation,
        max_in_flight=options.max_in_flight,
        max_in_flight_per_client=options.max_in_flight_per_client,
    )
    if options.record_all:
        endpoint.recording(calls_per_second=10_000_000, bytes_per_second=1 << 40)
    endpoint.register("add", request_model=AddArgs)(add)
    for number in range(1, options.methods):
        endpoint.register(f"add{number}", request_model=AddArgs)(lambda a, b: a + b)

    @endpoint.register(batch=Batch(max_size=64, max_wait_us=0))
    def add_batched(calls: list[AddArgs]) -> list[int]:
        return [add(args.a, args.b) for args in calls]

    @endpoint.register(admission=options.admission)
    def work(number: int, micros: int = WORK_US) -> int:
        until = time.thread_time_ns() + 1000 * micros
        while time.thread_time_ns() < until:
            pass
        return number

    @endpoint.register
    def count(items: int) -> Iterator[int]:
        yield from range(items)

    if options.ticks:
        from tests.benchmarks.ticks_handler import turnover, turnover_of_maps

        endpoint.register(turnover)
        endpoint.register(turnover_of_maps)
    cell = CELLS[options.busy]() if options.busy else None
    # Ended in good order, so that nothing stays in shared memory.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if options.cores or options.priority or options.lock_memory:
        asked = RealTime(cores=options.cores or (), priority=options.priority, lock_memory=options.lock_memory)
        endpoint.serve(realtime=asked)
    with endpoint:
        print("ready", flush=True)
        if cell is None:
            sys.stdin.read()
            return
        rounds, begun = 0, time.perf_counter()
        try:
            while True:
                cell()
                rounds += 1
        finally:
            print(json.dumps({"rounds_per_second": rounds / (time.perf_counter() - begun)}), flush=True)


if __name__ == "__main__":
    main()
