"""An endpoint's statistics as the view's messages: a snapshot, and updates that name only what changed.

A row is a flat list of whole numbers, in the order that `src/state.js` reads: version, calls, errors, in
flight, the round trip's p50, p90, p99, p999 and maximum, then the p50 of each stage, all in nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

STAGES = ("transit", "queue", "interpreter", "decode", "handler", "encode", "back")
"""The stages of a call, in the order in which it passes through them."""

_LARGEST = 2**53 - 1  # beyond, a JavaScript number is no longer exact


def whole(value: object) -> int:
    """`value` as a whole number that JSON and JavaScript keep; 0 for what is none or is negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return min(max(int(value), 0), _LARGEST)


def part(value: object, name: str) -> Mapping[str, object]:
    """The mapping under `name` in `value`, or an empty one."""
    inner = cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None
    return cast("Mapping[str, object]", inner) if isinstance(inner, Mapping) else {}


def sequence(stats: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    """The list of mappings under `name`, or an empty one."""
    found = stats.get(name)
    return cast("Sequence[Mapping[str, object]]", found) if isinstance(found, list | tuple) else ()


def row(method: Mapping[str, object]) -> list[int]:
    """One method's numbers."""
    round_trip, stages = part(method, "round_trip"), part(method, "stages")
    return [
        *(whole(method.get(name)) for name in ("version", "calls", "errors", "in_flight")),
        *(whole(round_trip.get(name)) for name in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")),
        *(whole(part(stages, name).get("p50_ns")) for name in STAGES),
    ]


@dataclass(frozen=True)
class Snapshot:
    """One moment of an endpoint."""

    endpoint: str
    pid: int
    names: tuple[str, ...]
    rows: tuple[list[int], ...]
    head: dict[str, Any]

    @classmethod
    def of(cls, stats: Mapping[str, object], *, serving: bool, at: int = 0) -> Snapshot:
        """Takes what `endpoint.stats()` gave.

        Args:
            stats: The statistics.
            serving: Whether callers can reach the endpoint.
            at: When that was, milliseconds since 1970.
        """
        methods = sequence(stats, "methods")
        return cls(
            endpoint=str(stats.get("endpoint", "")),
            pid=whole(stats.get("pid")),
            names=tuple(str(method.get("name", "")) for method in methods),
            rows=tuple(row(method) for method in methods),
            head={
                "serving": serving,
                "at": at,
                "up": whole(stats.get("uptime_ns")) // 1_000_000,
                "clients": len(sequence(stats, "clients")),
                "spin": whole(stats.get("spin_ns")),
                "trip": ends(stats, "round_trip"),
                "wait": ends(stats, "interpreter"),
                "unknown": whole(stats.get("unknown_method_calls")),
                "malformed": whole(stats.get("malformed_frames")),
            },
        )

    @property
    def calls(self) -> int:
        """Calls of all methods."""
        return sum(numbers[1] for numbers in self.rows)

    @property
    def errors(self) -> int:
        """Calls of all methods that ended in an error, and calls to methods that don't exist."""
        return sum(numbers[2] for numbers in self.rows) + self.head["unknown"]

    def message(self, number: int) -> dict[str, Any]:
        """All of it, as message `number`."""
        return {
            "kind": "snapshot",
            "seq": number,
            "endpoint": self.endpoint,
            "pid": self.pid,
            "names": list(self.names),
            "rows": list(self.rows),
            **self.head,
        }

    def since(self, before: Snapshot | None, number: int) -> dict[str, Any]:
        """What changed since `before`, as message `number`; all of it where rows can't be matched."""
        if before is None or (before.endpoint, before.pid, before.names) != (self.endpoint, self.pid, self.names):
            return self.message(number)
        changed = [
            [index, *now]
            for index, (now, then) in enumerate(zip(self.rows, before.rows, strict=True))
            if now != then
        ]
        return {"kind": "update", "seq": number, "rows": changed, **self.head}


def ends(stats: Mapping[str, object], name: str) -> list[int]:
    """The median and the 99th percentile under `name`."""
    times = part(stats, name)
    return [whole(times.get("p50_ns")), whole(times.get("p99_ns"))]
