"""A call that runs now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pycrust.text.statistics import duration

if TYPE_CHECKING:
    from pycrust._extension import CurrentCall


@dataclass(frozen=True, kw_only=True)
class RunningCall:
    """A call that ran when it was looked at; `endpoint.interrupt(call)` ends it.

    Attributes:
        method: What was called.
        version: The version that runs.
        id: The caller's number for it, unique on its connection only.
        connection: The number of the caller's connection.
        client: What the caller calls itself.
        client_pid: Its process.
        elapsed_ns: Nanoseconds since it was sent.
    """

    method: str
    version: int
    id: int
    connection: int
    client: str
    client_pid: int
    elapsed_ns: int

    @classmethod
    def of(cls, call: CurrentCall) -> Self:
        """What a handler knows of its call."""
        return cls(
            method=call.method,
            version=call.version,
            id=call.id,
            connection=call.connection,
            client=call.client,
            client_pid=call.client_pid,
            elapsed_ns=round(call.elapsed * 1e9),
        )

    def __repr__(self) -> str:
        """One line."""
        return f"<running {self.method} v{self.version} for {self.client} · {duration(self.elapsed_ns)}>"
