"""A small table, as text and as HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Table:
    """Rows of text under a row of headings.

    Args:
        headings: One for each column.
        rows: The cells.
        left: Columns that are aligned to the left; the others are to the right, as numbers are.

    Examples:
        >>> print(Table(("name", "calls"), [("add", "10"), ("ping", "7")], left={0}))
        name  calls
        add      10
        ping      7
    """

    def __init__(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = frozenset()
    ) -> None:
        """Keeps what is to be shown."""
        self.headings = headings
        self.rows = rows
        self.left = left

    def __str__(self) -> str:
        """One line for each row."""
        rows = [self.headings, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.headings))]
        lines = [
            "  ".join(
                cell.ljust(width) if column in self.left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join(lines)

    def html(self) -> str:
        """A plain table without scripts or styles of its own."""
        head = "".join(f"<th>{html.escape(heading)}</th>" for heading in self.headings)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
