"""A small table, as text and as HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Notebooks align cells to the right.
_LEFT = " style='text-align:left'"


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

    def html(self, caption: str = "") -> str:
        """A plain table without scripts or styles beyond the alignment of its text."""

        def row(tag: str, cells: Sequence[str]) -> str:
            aligned = (f"<{tag}{_LEFT if column in self.left else ''}>" for column in range(len(cells)))
            return "".join(
                f"{begin}{html.escape(cell)}</{tag}>" for begin, cell in zip(aligned, cells, strict=True)
            )

        above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in self.rows)
        return f"<table>{above}<thead><tr>{row('th', self.headings)}</tr></thead><tbody>{body}</tbody></table>"
