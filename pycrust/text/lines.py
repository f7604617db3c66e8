"""Lines that a notebook shows once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """What is shown, as its MIME type and its data; marimo asks for it."""

    mime: str
    data: str

    def _mime_(self) -> tuple[str, str]:
        return self.mime, self.data


class PrintedLine(str):
    """A line that was printed already: a notebook doesn't show it again as its cell's value."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Shows nothing."""

    def _display_(self) -> Form:
        """Shows nothing in marimo, which asks for this."""
        return Form("text/plain", "")
