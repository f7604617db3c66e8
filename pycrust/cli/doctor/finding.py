"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        kind: What it is, for programs.
        subject: What has it: a path, an endpoint, a limit.
        what: What was found.
        why: Why it matters.
        mend: What mends it, mostly a command.
        serious: Whether something does not work, or will not; otherwise it is a note.
        removable: Whether it is something left over that `--fix` removes.
    """

    kind: str
    subject: str
    what: str
    why: str
    mend: str
    serious: bool = True
    removable: bool = False

    def __str__(self) -> str:
        """Three lines."""
        mark = "✗" if self.serious else "·"
        return f"{mark} {self.what}\n  {self.why}\n  → {self.mend}"
