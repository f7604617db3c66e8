"""Whether validating runs what a user wrote: then nobody may do it for practice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

#: What pydantic-core calls schemas that call a function.
_CALLING = ("function-", "call")
#: Parts of a schema that are functions of the user's, or say that there are some.
_CALLED = frozenset({"default_factory", "custom_init", "post_init", "cls_validators"})


def is_pure(core: Mapping[str, Any]) -> bool:
    """Whether validating by a schema of pydantic-core's runs pydantic-core alone.

    Examples:
        >>> from pydantic import AfterValidator, TypeAdapter
        >>> from typing import Annotated
        >>> is_pure(TypeAdapter(dict[str, int]).core_schema)
        True
        >>> is_pure(TypeAdapter(list[Annotated[int, AfterValidator(abs)]]).core_schema)
        False
    """
    waiting: list[Any] = [core]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            part = cast("Mapping[str, Any]", part)
            kind = part.get("type")
            if isinstance(kind, str) and kind.startswith(_CALLING):
                return False
            if any(part.get(key) for key in _CALLED):
                return False
            # What is serialised with is not validated with, and metadata is nobody's.
            waiting += [value for key, value in part.items() if key not in {"metadata", "serialization"}]
        elif isinstance(part, list | tuple):
            waiting += cast("list[Any]", part)
    return True
