"""Why a recorded call failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycrust.errors import Code


@dataclass(frozen=True)
class RecordedError:
    """Why a call failed, as its caller was told.

    Attributes:
        code: The status.
        message: What happened.
        type: The exception's qualified name; empty where the worker refused the call.
        details: What belongs to it; of invalid arguments, Pydantic's list with `loc`, `msg` and `type`.
        traceback: The handler's traceback as text.
    """

    code: Code
    message: str
    type: str = ""
    details: Any = None
    traceback: str = ""

    def __str__(self) -> str:
        """The code and the message."""
        return f"{self.code.name}: {self.message}"
