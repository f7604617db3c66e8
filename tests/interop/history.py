"""A history of calls as the Rust client saw them, and what must hold for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who made it, when, and how it ended."""

    task: int
    number: int
    sent_ns: int
    received_ns: int
    version: int
    value: Any
    code: str | None


def read(path: Path) -> list[Call]:
    """The calls of a history file, in the order of their sending."""
    calls = []
    with path.open() as lines:
        for line in lines:
            entry = json.loads(line)
            calls.append(
                Call(
                    task=entry["task"],
                    number=entry["id"],
                    sent_ns=entry["sent_ns"],
                    received_ns=entry["received_ns"],
                    version=entry.get("version") or 0,
                    value=entry.get("value"),
                    code=entry.get("code"),
                )
            )
    return sorted(calls, key=lambda call: call.sent_ns)


def check(calls: list[Call]) -> None:
    """Asserts that nothing failed, nothing was lost or answered twice, and no version went back.

    A version goes back if a call is answered by one that is older than a version that some caller had already been
    answered by when this call was sent.
    """
    assert calls, "there is no history"
    failed = [call for call in calls if call.code is not None]
    assert not failed, f"{len(failed)} calls failed, the first: {failed[0]}"
    assert len({(call.task, call.number) for call in calls}) == len(calls), "a call was answered twice"

    acknowledged = sorted(calls, key=lambda call: call.received_ns)
    newest = 0
    next_ack = 0
    for call in calls:
        while next_ack < len(acknowledged) and acknowledged[next_ack].received_ns < call.sent_ns:
            newest = max(newest, acknowledged[next_ack].version)
            next_ack += 1
        assert call.version >= newest, f"version {newest} was acknowledged before this call was sent: {call}"
