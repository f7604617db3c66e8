"""What of recorded calls is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import Scrub
from pycrust.arrays.records import without_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gets the method, which part of the call it is ("arguments", "result", "error", "metadata") and its value;
    #: gives what is shown in its place.
    Hook = Callable[[str, str, Any], Any]

#: What is shown of an entry of a validation error's list in any case.
_OPEN = frozenset({"loc", "type"})
#: Stands where something was redacted. The native side writes the same.
REDACTED = "[redacted]"


@dataclass(frozen=True)
class Redaction:
    """Hides fields of recorded calls by their names, wherever they are, those of records in arrays too.

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
            part: Which part of a call it is; of an `"error"`, the value has its `message`, `details` and so on.
            value: The value, which stays as it is whatever the hook does.
            text: Gives what is shown of a text in it.
        """
        if not self.fields and self.hook is None:
            return value
        is_error = part == "error"
        text = self._without_refusals(value, text or str) if is_error else text or str
        return self.asked(method, part, self._hide(value, text, is_error=is_error))

    def records(self, value: Any) -> Any:
        """The value without what is hidden of the records in its arrays, which no payload shows."""
        if isinstance(value, dict):
            return {key: self.records(one) for key, one in cast("dict[Any, Any]", value).items()}
        if isinstance(value, list):
            return [self.records(one) for one in cast("list[Any]", value)]
        if getattr(getattr(value, "dtype", None), "names", None) is None:
            return value
        left = without_fields(value, self.scrub.hides)
        return REDACTED if left is None else left

    def asked(self, method: str, part: str, value: Any) -> Any:
        """What the hook shows of a value from which the fields are taken out."""
        if self.hook is None:
            return value
        try:
            return self.hook(method, part, value)
        except Exception as error:  # noqa: BLE001 - what was to be hidden must not show because hiding failed
            return f"{REDACTED} (the redaction hook raised {type(error).__name__})"

    def _hide(self, value: Any, text: Callable[[str], str], *, is_error: bool) -> Any:
        if isinstance(value, dict):
            pairs = cast("dict[Any, Any]", value)
            told = is_error and self._tells_of_hidden(pairs)
            return {
                key: REDACTED
                if (told and key not in _OPEN) or self.scrub.hides(_name(key))
                else self._hide(one, text, is_error=is_error)
                for key, one in pairs.items()
            }
        if isinstance(value, list):
            return [self._hide(one, text, is_error=is_error) for one in cast("list[Any]", value)]
        return self.records(_repeating(value, text))

    def _without_refusals(self, error: Any, text: Callable[[str], str]) -> Callable[[str], str]:
        """What is shown of an error's texts: not what its list of mistakes says of hidden fields."""
        details: Any = cast("dict[str, Any]", error).get("details")
        listed: list[Any] = cast("list[Any]", details) if isinstance(details, list) else []
        entries = [cast("dict[Any, Any]", one) for one in listed if isinstance(one, dict)]
        said = [str(one.get("msg", "")) for one in entries if self._tells_of_hidden(one)]

        def without(whole: str) -> str:
            for one in said:
                whole = whole.replace(one, REDACTED) if one else whole
            return text(whole)

        return without

    def _tells_of_hidden(self, entry: dict[Any, Any]) -> bool:
        """Whether a map is an entry of a validation error's list that is about a hidden field."""
        loc = entry.get("loc")
        steps = cast("list[Any]", loc) if isinstance(loc, list) else []
        return any(isinstance(step, str) and self.scrub.hides(step) for step in steps)


def _repeating(value: Any, text: Callable[[str], str]) -> Any:
    """A value of its own, hidden where it repeats what is hidden."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        said = value.decode("utf-8", "replace")
    elif isinstance(value, int) and not isinstance(value, bool):
        said = str(value)
    else:
        return value
    shown = text(said)
    return value if shown == said else shown


def _name(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
