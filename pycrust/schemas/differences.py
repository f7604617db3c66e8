"""What two lock files differ in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pycrust._extension import schema_changes

if TYPE_CHECKING:
    from pycrust.schemas.lock import Lock


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        method: The method that differs.
        path: Where, such as `request.a`; empty for the method as a whole.
        what: What, in words.
        breaking: Whether callers that were built against the older one have to change.
    """

    method: str
    path: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        """One line."""
        where = f"{self.method}: {self.path}: " if self.path else f"{self.method}: "
        return f"{where}{self.what}{' (breaking)' if self.breaking else ''}"

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"method": self.method, "path": self.path, "what": self.what, "breaking": self.breaking}


def differences(old: Lock, new: Lock) -> list[Difference]:
    """What has changed from one lock file to another, method by method.

    Args:
        old: The one.
        new: The other.

    Returns:
        The differences; none if the files would be the same, apart from versions' numbers.
    """
    found: list[Difference] = []
    if old.endpoint != new.endpoint:
        found.append(Difference(new.endpoint, "", f"the endpoint was {old.endpoint}", breaking=True))
    for name in sorted(old.methods.keys() | new.methods.keys()):
        before, after = old.methods.get(name), new.methods.get(name)
        if before is None:
            found.append(Difference(name, "", "added", breaking=False))
        elif after is None:
            found.append(Difference(name, "", "removed", breaking=True))
        else:
            found += _of_method(name, before, after)
    return found


def _of_method(name: str, before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    if before["kind"] != after["kind"]:
        return [Difference(name, "", f"{before['kind']} → {after['kind']}", breaking=True)]
    found: list[Difference] = []
    if before["hash"] != after["hash"]:
        found = [
            Difference(name, path, what, breaking)
            for path, what, breaking in schema_changes(_schema_text(before), _schema_text(after))
        ]
        # The hash is of all of the schema's text, also of what says nothing about what fits.
        if not found:
            found = [Difference(name, "", f"schema {before['hash']} → {after['hash']}", breaking=False)]
    if before["doc"] != after["doc"]:
        found.append(Difference(name, "doc", f"{before['doc']!r} → {after['doc']!r}", breaking=False))
    return found


def _schema_text(entry: dict[str, Any]) -> str:
    return json.dumps({key: entry[key] for key in ("kind", "request", "response")})
