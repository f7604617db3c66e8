"""What happened between two answers to `pycrust.stats`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interval:
    """Two looks at an endpoint's statistics.

    Attributes:
        before: The earlier answer; the same as `now` at the first look.
        now: The later one.
    """

    before: dict[str, Any]
    now: dict[str, Any]

    @property
    def seconds(self) -> float:
        """The time between them, as the worker has it."""
        return (self.now["at_ns"] - self.before["at_ns"]) / 1e9 if self.same_worker else 0.0

    @property
    def same_worker(self) -> bool:
        """Whether the same worker has answered both."""
        before, now = self.before, self.now
        return now["pid"] == before["pid"] and now["uptime_ns"] >= before["uptime_ns"]

    @property
    def methods(self) -> list[dict[str, Any]]:
        """The methods of now."""
        return self.now["methods"]

    def gained(self, method: dict[str, Any], what: str) -> int:
        """How many more there are of a method's `calls` or `errors`."""
        earlier = {one["name"]: one for one in self.before["methods"]} if self.same_worker else {}
        return max(0, method[what] - earlier.get(method["name"], {what: 0})[what])

    def gained_in_all(self, what: str) -> int:
        """The same of all methods."""
        return sum(self.gained(method, what) for method in self.methods)

    def rate(self, count: int) -> float:
        """So many in this time, a second."""
        return count / self.seconds if self.seconds > 0 else 0.0

    @property
    def in_flight(self) -> int:
        """Calls that are received and not yet answered."""
        return sum(method["in_flight"] for method in self.methods)

    @property
    def swaps(self) -> list[str]:
        """Methods that have another version now, that came or that went, a line each."""
        earlier = {one["name"]: one["version"] for one in self.before["methods"]}
        now = {one["name"]: one["version"] for one in self.methods}
        changed = [
            f"{name} v{earlier[name]} → v{version}" if name in earlier else f"{name} v{version}"
            for name, version in now.items()
            if earlier.get(name) != version
        ]
        return [*changed, *(f"{name} v{version} removed" for name, version in earlier.items() if name not in now)]
