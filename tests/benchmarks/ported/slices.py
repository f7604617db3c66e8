"""Calls by the slice, from a caller in Python: as `program.py` says."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def answer(call: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> None:
    """Makes calls until standard input ends; the time that `prepare` takes before each is nobody's."""
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        until = time.perf_counter() + float(line)
        while time.perf_counter() < until:
            prepare()
            begun = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - begun)
        print(json.dumps({"round_trip_ns": times, "errors": 0}), flush=True)
