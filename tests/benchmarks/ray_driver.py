"""The same handler as an actor of Ray's, called from Python, which is what Ray has: `ray_driver.py --kind graph`.

It prints the times in the form of the `load` example.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.handler import validated_add

if TYPE_CHECKING:
    from collections.abc import Callable

ARGS = {"a": 1, "b": 2}
#: Calls before the first one that counts, as its documentation makes them: the actor's process starts meanwhile.
WARM_UP = 5
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}


class Calculator:
    """The actor."""

    def add(self, arguments: dict[str, object]) -> int:
        return validated_add(arguments)


def measure(call: Callable[[], int], seconds: float, pace: float | None) -> dict[str, Any]:
    """Calls for so long, as fast as answers come or at fixed times."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("actor", "graph"), required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--pace", type=float)
    options = parser.parse_args()

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
                found = measure(lambda: ray.get(actor.add.remote(ARGS)), options.seconds, options.pace)
            else:
                with InputNode() as arguments:
                    graph = actor.add.bind(arguments).experimental_compile()
                found = measure(lambda: ray.get(graph.execute(ARGS)), options.seconds, options.pace)
                graph.teardown()
        finally:
            ray.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
