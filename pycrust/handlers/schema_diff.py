"""What two JSON Schemas of a method differ in, in words. What is a difference, and for whom, is told natively."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pycrust._extension import schema_changes as found_natively

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Differences that are named; a message must stay readable.
_MOST = 12
#: Characters of a difference that a notice names.
_MOST_IN_A_NOTICE = 80


class SchemaChange(NamedTuple):
    """One difference between two schemas of a method."""

    #: Where: `request.order.qty`.
    path: str
    #: What: `removed (was integer, required)`.
    what: str
    #: Whether callers that were built against the older schema have to change.
    breaking: bool

    def __str__(self) -> str:
        """One line."""
        return f"{self.path}: {self.what}"

    @property
    def brief(self) -> str:
        """The same in a few words."""
        verb = self.what.partition(" (")[0]
        text = f"{self.path} {verb}" if verb in {"added", "removed"} else str(self)
        return text if len(text) <= _MOST_IN_A_NOTICE else f"{text[:_MOST_IN_A_NOTICE]}…"


def schema_changes(old: str, new: str) -> list[SchemaChange]:
    """The differences between two schema texts of one method.

    Args:
        old: The JSON text of `{"request": …, "response": …}`.
        new: The same of the other version.

    Returns:
        One for each field that was added, removed or has changed; empty if nothing that matters differs.

    Examples:
        >>> old = '{"request": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, "response": {}}'
        >>> new = '{"request": {"properties": {"b": {"type": "integer"}}, "required": ["b"]}, "response": {}}'
        >>> [str(change) for change in schema_changes(old, new)]
        ['request.a: removed (was integer, required)', 'request.b: added (integer, required)']
    """
    return [SchemaChange(*change) for change in found_natively(old, new)]


def sentences(changes: Iterable[SchemaChange]) -> list[str]:
    """A line for each difference, of very many the first ones.

    Examples:
        >>> sentences([SchemaChange(f"request.{name}", "now required", breaking=True) for name in range(20)])[-2:]
        ['request.11: now required', 'and 8 more']
    """
    lines = [str(change) for change in changes]
    return [*lines[:_MOST], f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else lines


def marked(changes: Sequence[SchemaChange]) -> list[str]:
    """The same, each line that breaks callers marked.

    Examples:
        >>> marked([SchemaChange("request.b", "removed (was integer, required)", breaking=True)])
        ['  ! request.b: removed (was integer, required)']
    """
    breaking = [change.breaking for change in changes]
    marks = [*breaking[:_MOST], any(breaking[_MOST:])]
    return [f"{'  ! ' if mark else '    '}{line}" for mark, line in zip(marks, sentences(changes), strict=False)]


def outcome(changes: Sequence[SchemaChange], version: str) -> str:
    """What the differences mean for callers that were built against a version, in a few words; "" without any.

    Examples:
        >>> outcome([SchemaChange("request.b", "added (integer, optional)", breaking=False)], "v1")
        'callers built against v1 go on working'
        >>> outcome([SchemaChange("request.b", "removed (was integer, required)", breaking=True)], "v1")
        'callers built against v1 must change (request.b removed)'
    """
    if not changes:
        return ""
    first, more = "", -1
    for change in changes:
        if change.breaking:
            first = first or change.brief
            more += 1
    if not first:
        return f"callers built against {version} go on working"
    return f"callers built against {version} must change ({first}{f' and {more} more' if more else ''})"
