"""What of recorded calls is not shown."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gets the method, which part of the call it is ("arguments", "result", "error", "metadata") and its value;
    #: gives what is shown in its place.
    Hook = Callable[[str, str, Any], Any]

#: Stands where something was redacted. The native recorder writes the same.
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

    def apply(self, method: str, part: str, value: Any) -> Any:
        """The value without what is hidden. A hook that raises hides all of it."""
        if self.fields:
            value = self._hide(value)
        if self.hook is None:
            return value
        try:
            return self.hook(method, part, value)
        except Exception as error:  # noqa: BLE001 - what was to be hidden must not show because hiding failed
            return f"{REDACTED} (the redaction hook raised {type(error).__name__}: {error})"

    def _hide(self, value: Any) -> Any:
        if isinstance(value, dict):
            pairs = cast("dict[Any, Any]", value)
            return {key: REDACTED if self._hidden(key) else self._hide(one) for key, one in pairs.items()}
        if isinstance(value, list):
            return [self._hide(one) for one in cast("list[Any]", value)]
        return value

    def _hidden(self, key: Any) -> bool:
        name = str(key).lower()
        return any(fnmatch.fnmatchcase(name, field.lower()) for field in self.fields)
