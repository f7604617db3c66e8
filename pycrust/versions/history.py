"""A method's versions as a table, and what two of them differ in."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pycrust.handlers.schema_diff import marked, schema_changes
from pycrust.text.table import Table

if TYPE_CHECKING:
    from pycrust.versions.version import Version

_HEADINGS = ("version", "state", "published", "cell", "handler", "why", "schema")


class History(list["Version"]):
    """The versions of a method, the oldest first: a list that shows itself as a table."""

    def _table(self) -> Table:
        return Table(_HEADINGS, [_row(version) for version in self], left=range(1, len(_HEADINGS)))

    def __repr__(self) -> str:
        """A table of text."""
        return str(self._table())

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        return self._table().html()


def _row(version: Version) -> tuple[str, ...]:
    reason = version.reason
    if version.rebound:
        reason += f"; {', '.join(version.rebound)} changed since"
    return (
        "" if version.removed else version.label,
        version.state,
        f"{version.published:%Y-%m-%d %H:%M:%S}",
        f"[{version.cell}]" if version.cell is not None else "",
        version.signature,
        reason,
        "" if version.removed else f"{version.schema_hash:016x}",
    )


class Text(str):
    """Text that a notebook shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text itself."""
        return str(self)


def differences(old: Version, new: Version) -> Text:
    """The differences of source and schema, as text that depends on nothing else.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("diff-doc", fresh=True)
        >>> _ = endpoint.register("f")(lambda a: a)
        >>> def typed(a: int) -> int:
        ...     return a
        >>> _ = endpoint.register("f")(typed)
        >>> endpoint["f"].diff().splitlines()[-3:-1]
        ['  ! request.a: anything → integer', '    response: anything → integer']
    """
    before, after = f"{old.method} v{old.number}", f"{new.method} v{new.number}"
    source = difflib.unified_diff(old.source.splitlines(), new.source.splitlines(), before, after, lineterm="", n=3)
    lines = list(source)
    changes = schema_changes(old.schema, new.schema)
    if changes:
        breaks = any(change.breaking for change in changes)
        outcome = "must change: generate their client again" if breaks else "go on working"
        lines += [*([""] if lines else []), f"schema of {before} → {after}", *marked(changes)]
        lines.append(f"callers built against v{old.number} {outcome}")
    return Text("\n".join(lines) or f"{before} and {after} have the same source and schema")
