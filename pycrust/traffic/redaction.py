"""What of recorded calls is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import Scrub

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gets the method, which part of the call it is ("arguments", "result", "error", "metadata") and its value;
    #: gives what is shown in its place.
    Hook = Callable[[str, str, Any], Any]

#: Stands where something was redacted. The native side writes the same.
REDACTED = "[redacted]"


@dataclass(frozen=True)
class Redaction:
    """Hides fields of recorded calls by their names, wherever they are.

    Attributes:
        fields: Names, in which `*` stands for any text; case doesn't matter.
        hook: Is asked afterwards.

    Examples:
        >>> hide = Redaction(("password", "*token"))
        >>> hide.apply("login", "arguments", {"user": "ada", "Password": "x", "more": [{"api_token": 1}]})
        {'user': 'ada', 'Password': '[redacted]', 'more': [{'api_token': '[redacted]'}]}
    """

    fields: tuple[str, ...] = ()
    hook: Hook | None = None

    @cached_property
    def scrub(self) -> Scrub:
        """What takes the fields out, of payloads as they came, too."""
        return Scrub(list(self.fields))

    def apply(self, method: str, part: str, value: Any, text: Callable[[str], str] | None = None) -> Any:
        """The value without what is hidden. A hook that raises hides all of it.

        Args:
            method: The method's name.
            part: Which part of a call it is.
            value: The value.
            text: Gives what is shown of a text in it.
        """
        return self.asked(method, part, self._hide(value, text or str) if self.fields else value)

    def asked(self, method: str, part: str, value: Any) -> Any:
        """What the hook shows of a value from which the fields are taken out."""
        if self.hook is None:
            return value
        try:
            return self.hook(method, part, value)
        except Exception as error:  # noqa: BLE001 - what was to be hidden must not show because hiding failed
            return f"{REDACTED} (the redaction hook raised {type(error).__name__})"

    def _hide(self, value: Any, text: Callable[[str], str]) -> Any:
        if isinstance(value, dict):
            pairs = cast("dict[Any, Any]", value)
            return {
                key: REDACTED if self.scrub.hides(_name(key)) else self._hide(one, text)
                for key, one in pairs.items()
            }
        if isinstance(value, list):
            return [self._hide(one, text) for one in cast("list[Any]", value)]
        return text(value) if isinstance(value, str) else value


def _name(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
