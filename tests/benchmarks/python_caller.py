"""Calls from Python, of what is called from there: Ray's actors, and dora's service between two Python nodes.

`python_caller.py --kind graph` prints the times in the form of the program `load`, or writes them to `--report`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.handler import validated_add

if TYPE_CHECKING:
    from collections.abc import Callable

ARGS = {"a": 1, "b": 2}
#: Calls before the first one that counts, as Ray's documentation makes them: the actor's process starts meanwhile.
WARM_UP = 5
#: Seconds that an answer may take.
PATIENCE = 10.0
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}


class Calculator:
    """The actor."""

    def add(self, arguments: dict[str, object]) -> int:
        return validated_add(arguments)


def measure(call: Callable[[], int], options: argparse.Namespace) -> dict[str, Any]:
    """Calls for so long, as fast as answers come or at fixed times."""
    seconds, pace = options.seconds, options.pace
    for _ in range(WARM_UP):
        call()
    nanos: list[int] = []
    begun = time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        if pace:
            # The next of the fixed times; those that a slow call has missed are left out.
            time.sleep((math.floor((now - begun) * pace) + 1) / pace - (now - begun))
        sent = time.perf_counter_ns()
        result = call()
        nanos.append(time.perf_counter_ns() - sent)
        if result != sum(ARGS.values()):
            raise RuntimeError(f"wrong sum: {result}")
    took = time.perf_counter() - begun
    nanos.sort()
    times = {name: nanos[math.ceil(share * len(nanos)) - 1] / 1e3 for name, share in QUANTILES.items()}
    return {"calls": len(nanos), "calls_per_second": len(nanos) / took, "errors": {}, "round_trip_us": times}


def call_ray(options: argparse.Namespace) -> dict[str, Any]:
    """An actor in a cluster of this process's own, by itself or as a compiled graph."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.dag import InputNode

    # Everything that it writes is in here; a short name, since its sockets have theirs below it.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as directory:
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _node_ip_address="127.0.0.1",
            _temp_dir=directory,
        )
        try:
            actor = ray.remote(Calculator).remote()
            if options.kind == "actor":
                return measure(lambda: ray.get(actor.add.remote(ARGS)), options)
            with InputNode() as arguments:
                graph = actor.add.bind(arguments).experimental_compile()
            try:
                return measure(lambda: ray.get(graph.execute(ARGS)), options)
            finally:
                graph.teardown()
        finally:
            ray.shutdown()


def call_dora(options: argparse.Namespace) -> dict[str, Any]:
    """The client's side of dora's service pattern, started by `dora run`."""
    import pyarrow as pa
    from dora import Node

    node = Node()

    def call() -> int:
        request = node.send_service_request("request", pa.array([ARGS]))
        while True:
            event = node.next(timeout=PATIENCE)
            if event is None or event["type"] == "ERROR":
                raise RuntimeError(f"no answer: {event}")
            if event["type"] == "INPUT" and event["metadata"].get("request_id") == request:
                return event["value"].to_pylist()[0]["sum"]

    return measure(call, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("actor", "graph", "dora"), required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--pace", type=float)
    parser.add_argument(
        "--report", type=Path, help="a file for the times, where what is printed is somebody else's"
    )
    options = parser.parse_args()
    found = json.dumps(call_dora(options) if options.kind == "dora" else call_ray(options))
    if options.report:
        options.report.write_text(found)
    else:
        print(found)


if __name__ == "__main__":
    main()
