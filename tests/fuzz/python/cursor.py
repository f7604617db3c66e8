"""Choices made of an input's bytes, so that a small change of the input is a small change of what is tried."""

from __future__ import annotations

#: Numbers at which something begins or ends.
EDGES = (0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


class Cursor:
    """A position in an input; what is taken beyond its end is 0 or empty."""

    def __init__(self, data: bytes) -> None:
        """At the first byte."""
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """The next bytes, or fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def byte(self) -> int:
        """The next byte."""
        return int.from_bytes(self.take(1))

    def below(self, count: int) -> int:
        """A number below `count`, which is at most 256."""
        return self.byte() % count

    def seldom(self) -> bool:
        """Whether the next byte says so, which it seldom does."""
        return self.byte() >= 0xE0

    def number(self) -> int:
        """A number, often an edge."""
        choice = self.byte()
        return EDGES[choice] if choice < len(EDGES) else int.from_bytes(self.take(1 + choice % 8), "little")
