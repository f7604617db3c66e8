"""An endpoint's numbers as the view's messages: a snapshot, and updates that name only what changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

_HEAD = ("up", "clients", "spin", "rhythm", "trip", "wait", "unknown", "malformed")
"""What a glance says of all methods together."""

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


@dataclass(frozen=True)
class Snapshot:
    """One moment of an endpoint.

    Attributes:
        endpoint: Its name.
        pid: Its process.
        names: The methods.
        rows: Of each method, the numbers that `endpoint.glance()` names.
        head: What holds for all methods together.
    """

    endpoint: str
    pid: int
    names: list[str]
    rows: list[list[int]]
    head: dict[str, Any]

    @classmethod
    def of(cls, glance: Mapping[str, Any], *, serving: bool, at: int = 0) -> Snapshot:
        """Takes what `endpoint.glance()` gave.

        Args:
            glance: The numbers.
            serving: Whether callers can reach the endpoint.
            at: When that was, milliseconds since 1970.
        """
        head = {"serving": serving, "at": at, **{name: glance[name] for name in _HEAD}}
        return cls(glance["endpoint"], glance["pid"], glance["names"], glance["rows"], head)

    @property
    def calls(self) -> int:
        """Calls of all methods."""
        return sum([numbers[1] for numbers in self.rows])

    @property
    def errors(self) -> int:
        """Calls of all methods that ended in an error, and calls to methods that don't exist."""
        return sum([numbers[2] for numbers in self.rows]) + self.head["unknown"]

    def message(self, number: int) -> dict[str, Any]:
        """All of it, as message `number`."""
        return {
            "kind": "snapshot",
            "seq": number,
            "endpoint": self.endpoint,
            "pid": self.pid,
            "names": self.names,
            "rows": self.rows,
            **self.head,
        }

    def since(self, before: Snapshot | None, number: int) -> dict[str, Any]:
        """What changed since `before`, as message `number`; all of it where rows can't be matched."""
        if before is None or (before.endpoint, before.pid, before.names) != (self.endpoint, self.pid, self.names):
            return self.message(number)
        pairs = zip(self.rows, before.rows, strict=True)
        changed = [[index, *now] for index, (now, then) in enumerate(pairs) if now != then]
        head = {name: value for name, value in self.head.items() if value != before.head[name]}
        return {"kind": "update", "seq": number, "rows": changed, **head}
