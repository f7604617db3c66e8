"""Why a recorded call failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    @classmethod
    def of(cls, code: Code, told: Mapping[str, Any]) -> RecordedError:
        """What an error's payload says; see section 5 of native/protocol/SPEC.md."""
        return cls(
            code,
            message=str(told.get("message", "")),
            type=str(told.get("type", "")),
            details=told.get("details"),
            traceback=str(told.get("traceback", "")),
        )

    @property
    def told(self) -> dict[str, Any]:
        """The payload that says this; what is empty is left out."""
        told = {"message": self.message, "type": self.type, "details": self.details, "traceback": self.traceback}
        return {name: value for name, value in told.items() if value}

    def __str__(self) -> str:
        """The code and the message."""
        return f"{self.code.name}: {self.message}"
