"""What a validator by a JSON Schema finds wrong, as Pydantic would tell it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticCustomError, ValidationError

from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import InitErrorDetails

    #: Where something is wrong, what is (a type of Pydantic's, or that and what it tells), and in which value.
    Mistake = tuple[tuple[str | int, ...], Any, Any]

_LONGEST = 200
_CHOICES = frozenset({"anyOf", "oneOf"})
_OF_JSON = frozenset({bool, dict, float, int, list, str, type(None)})
#: Pydantic's names for what numbers and texts don't keep to, and of the bound that it tells.
_BOUNDS = {
    "minimum": ("greater_than_equal", "ge"),
    "maximum": ("less_than_equal", "le"),
    "exclusiveMinimum": ("greater_than", "gt"),
    "exclusiveMaximum": ("less_than", "lt"),
    "multipleOf": ("multiple_of", "multiple_of"),
    "pattern": ("string_pattern_mismatch", "pattern"),
    "minLength": ("string_too_short", "min_length"),
    "maxLength": ("string_too_long", "max_length"),
}
_TYPES = {
    "integer": "int_type",
    "number": "float_type",
    "string": "string_type",
    "boolean": "bool_type",
    "array": "list_type",
    "object": "dict_type",
    "null": "none_required",
}


def told(error: Any, before: tuple[str | int, ...]) -> Iterator[Mistake]:
    """An error of jsonschema's as Pydantic would tell it."""
    place: tuple[str | int, ...] = (*before, *error.path)
    keyword, wanted, value = error.validator, error.validator_value, error.instance
    if keyword in _CHOICES and error.context:
        yield from _of_choices(error, place)
    elif keyword == "required":
        yield (*place, error.message), "missing", value
    elif keyword == "additionalProperties" and wanted is False:
        yield (*place, error.message), "extra_forbidden", value.get(error.message)
    elif keyword != "format" or not _is_out_of_bounds(value, error.schema):
        yield place, _kind(keyword, wanted, value), value


def _is_out_of_bounds(value: Any, schema: Any) -> bool:
    """Whether the schema's own bounds say already what a format would."""
    return type(value) in {int, float} and (
        value < schema.get("minimum", value) or value > schema.get("maximum", value)
    )


def _of_choices(error: Any, place: tuple[str | int, ...]) -> Iterator[Mistake]:
    """What is wrong by the choice that comes nearest, which is told alone where the other is null."""
    choices: list[Any] = error.validator_value
    others = [index for index, one in enumerate(choices) if one != {"type": "null"}]
    if len(others) == 1:
        inner = [one for one in error.context if one.schema_path[0] == others[0]]
        for one in inner:
            yield from told(one, place)
        return
    way, nearest = _nearest(error)
    said = ValidationError.from_exception_data("", [line(nearest)]).errors(include_url=False)[0]["msg"]
    inside = "".join(f".{step}" for step in (*way, *nearest[0]))
    text = f"Input fits none of {len(choices)} choices; of the nearest{inside}: {said}"
    yield place, custom("union", text), error.instance


def _nearest(error: Any) -> tuple[list[str | int], Mistake]:
    """What went wrong with the choice that was most likely meant, and the way there through choices inside of it.

    That is the one in which something deepest inside of the value is wrong.
    """
    way: list[str | int] = []
    while error.validator in _CHOICES and error.context:
        error = max(error.context, key=_depth)
        way += error.path
    mistake = next(told(error, ()), None)
    if mistake is None:  # bounds say it already
        return way, ((), custom("format", f"Input should be a valid {error.validator_value}"), error.instance)
    loc, kind, value = mistake
    return way, (loc[len(error.path) :], kind, value)


def _depth(error: Any) -> tuple[int, bool]:
    inside = len(error.path) + (error.validator in {"required", "additionalProperties"})
    return inside, error.validator_value != "null"


def line(mistake: Mistake) -> InitErrorDetails:
    """The same as `ValidationError.from_exception_data` takes it."""
    loc, kind, value = mistake
    if isinstance(kind, tuple):
        return {"type": kind[0], "loc": loc, "input": value, "ctx": kind[1]}
    return {"type": kind, "loc": loc, "input": value}


def _kind(keyword: str | None, wanted: Any, value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
    """Pydantic's type of an error, with what it tells; its own words where Pydantic has none."""
    if keyword in _BOUNDS:
        name, bound = _BOUNDS[keyword]
        return name, {bound: wanted}
    if keyword in {"minItems", "maxItems"}:
        name = "min_length" if keyword == "minItems" else "max_length"
        told = {"field_type": "List", name: wanted, "actual_length": len(value)}
        return ("too_short" if keyword == "minItems" else "too_long"), told
    if keyword == "type":
        types: list[str] = [wanted] if isinstance(wanted, str) else wanted
        if len(types) == 1 and type(value) in _OF_JSON:
            return _TYPES[types[0]]
        name = kind_of(value).__name__
        return custom("type", f"Input should be of type {' or '.join(types)}, not {name}")
    if keyword in {"enum", "const"}:
        values: list[Any] = wanted if keyword == "enum" else [wanted]
        return "literal_error", {"expected": " or ".join(json.dumps(one) for one in values)}
    if keyword == "format":
        return custom("format", f"Input should be a valid {wanted}")
    if keyword == "uniqueItems":
        return custom("unique_items", "Items should differ from each other")
    if keyword == "oneOf":
        return custom("one_of", "Input should fit one of the choices, and fits several")
    if keyword is None:
        return custom("not_allowed", "Input is not allowed here")
    return custom(keyword, f"Input should keep to the schema's {keyword}: {shortly(wanted)}")


def custom(kind: str, text: str) -> PydanticCustomError:
    """A type of error that Pydantic has not, and its text."""
    # Braces would stand for something.
    return PydanticCustomError(cast("Any", kind), "{text}", {"text": text})


def shortly(value: Any) -> str:
    """A part of a schema as JSON, which can be long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
