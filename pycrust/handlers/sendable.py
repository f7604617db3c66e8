"""Whether any caller can send what a handler asks for."""

from __future__ import annotations

import datetime as dt
from inspect import Parameter
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import Buffer
from pycrust.arrays.annotations import is_array_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pycrust.handlers.structs import Schema

#: What values are when they arrive.
_ARRIVING = (type(None), bool, int, float, str, bytes, list, dict, dt.datetime, memoryview, Buffer)
#: Schemas of one more schema around another.
_AROUND = {
    "function-after": "schema",
    "custom-error": "schema",
    "json-or-python": "python_schema",
    "lax-or-strict": "lax_schema",
    "model": "schema",
    "dataclass": "schema",
    "definitions": "schema",
}  # fmt: skip


def check_places(method: str, parameters: Sequence[Parameter]) -> None:
    """Refuses parameters that neither an array of arguments nor a map of them can reach.

    Raises:
        TypeError: There is one.
    """
    positional = [one for one in parameters if one.kind is one.POSITIONAL_ONLY and one.default is one.empty]
    if not positional:
        return
    unreached = {Parameter.VAR_KEYWORD}
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        # Otherwise an array fills these, too.
        unreached.add(Parameter.KEYWORD_ONLY)
    for one in parameters:
        if one.kind in unreached:
            raise TypeError(
                f"{method}: no caller can send {one.name!r}: arguments travel all by position or all by name, and "
                f"{positional[0].name!r} is positional-only; leave out the '/'"
            )


def check_arguments(method: str, arguments: Schema) -> None:
    """Refuses required parameters of types that no message becomes.

    Args:
        method: The method's name.
        arguments: Pydantic's schema of the arguments.

    Raises:
        TypeError: There is one.
    """
    definitions: dict[str, Schema] = {}
    while arguments["type"] == "definitions":
        definitions |= {one["ref"]: one for one in arguments["definitions"]}
        arguments = arguments["schema"]
    for parameter in arguments["arguments_schema"]:
        _check(method, parameter["name"], parameter["schema"], definitions)


def check_model(method: str, model: Schema, fields: Callable[[Schema], Mapping[str, Any] | None]) -> None:
    """Refuses a model with a required field of a type that no message becomes; `fields` gives those of its schema.

    Raises:
        TypeError: There is one.
    """
    definitions = {one["ref"]: one for one in model.get("definitions", ())}
    for name, field in (fields(model) or {}).items():
        _check(method, name, field["schema"], definitions)


def _check(method: str, name: str, schema: Schema, definitions: Mapping[str, Schema]) -> None:
    what = _unsendable(schema, definitions, set())
    if what is not None:
        raise TypeError(
            f"{method}: no caller can send {name!r}, which takes {what}: give it a default, or let the handler "
            "take it from its globals, its closure or a model slot"
        )


def _unsendable(schema: Schema, definitions: Mapping[str, Schema], seen: set[str]) -> str | None:
    """What a schema takes that no message becomes; `None` if there is anything that it takes."""
    kind = schema["type"]
    if kind == "definition-ref":
        reference = schema["schema_ref"]
        if reference in seen or reference not in definitions:
            return None
        return _unsendable(definitions[reference], definitions, seen | {reference})
    if kind in _AROUND:
        return _unsendable(schema[_AROUND[kind]], definitions, seen)
    if kind in {"is-instance", "callable", "is-subclass"}:
        return _local(kind, schema.get("cls"))
    if kind == "union":
        choices: list[Any] = [one[0] if isinstance(one, tuple) else one for one in schema["choices"]]
        found = [_unsendable(one, definitions, seen) for one in choices]
        return None if None in found else found[0]
    return next((found for part in _parts(schema) if (found := _unsendable(part, definitions, seen))), None)


def _local(kind: str, cls: Any) -> str | None:
    """What a schema of something that only Python has takes; `None` if something that arrives is of it."""
    if kind == "callable":
        return "a function"
    if kind == "is-subclass":
        return f"a subclass of {cls.__qualname__}"
    return None if _arrives(cls) else f"an object of the class {getattr(cls, '__qualname__', cls)}"


def _parts(schema: Schema) -> Iterable[Schema]:
    """The schemas of what a value must have."""
    kind = schema["type"]
    if kind in {"model-fields", "typed-dict"}:
        fields = cast("list[Schema]", list(schema["fields"].values()))
        return [one["schema"] for one in fields if one.get("required", True)]
    if kind == "dataclass-args":
        return [one["schema"] for one in schema["fields"]]
    if kind == "tuple" and schema.get("variadic_item_index") is None:
        return schema["items_schema"]
    return ()


def _arrives(cls: Any) -> bool:
    """Whether a value that has arrived can be of this class."""
    try:
        return is_array_class(cls) or any(issubclass(one, cls) for one in _ARRIVING)
    except TypeError:
        return True  # a protocol, or whatever else can't be asked
