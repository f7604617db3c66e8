"""What a JSON Schema has to keep to before arguments are validated by it."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST = 200

#: Keys of a schema that apply to the very value that it describes: a circle of these would never end.
_IN_PLACE = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ALONE = ("not", "if", "then", "else", "$ref")
#: Keys under which schemas stand by name, in lists, alone.
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTED = (*_IN_PLACE, "prefixItems")
_ALONE = (
    "not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip


def check_schema(method: str, schema: Schema) -> None:
    """Refuses a schema that is wrong, or that asks for what is not here.

    Raises:
        ValueError: It is; the message says where and why.
    """
    dialect = schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
        raise ValueError(
            f"{method}: request_schema is written for {dialect!r}, and is read as Draft 2020-12 ({DIALECT}): "
            "schemars 1 writes that"
        )
    module: Any = importlib.import_module("jsonschema")
    try:
        module.Draft202012Validator.check_schema(schema)
    except module.SchemaError as error:
        raise ValueError(
            f"{method}: request_schema is wrong at {_at(error.absolute_path)}: {_brief(error)}"
        ) from None
    except RecursionError:
        raise ValueError(f"{method}: request_schema is nested too deeply, or refers to itself as a dict") from None
    found = dict(_subschemas(schema, ()))
    for place, one in found.items():
        _check_part(method, schema, place, one)
    circle = _circle(schema, found)
    if circle is not None:
        raise ValueError(f"{method}: request_schema goes round in a circle at {_at(circle)}: no value would end it")


def _check_part(method: str, whole: Schema, place: tuple[Any, ...], one: Schema) -> None:
    for key in ("$dynamicRef", "$recursiveRef"):
        if key in one:
            raise ValueError(f"{method}: request_schema has a {key} at {_at(place)}: $ref is what is followed")
    if place and "$id" in one:
        raise ValueError(f"{method}: request_schema has an $id at {_at(place)}: only the whole may have one")
    reference: Any = one.get("$ref")
    if reference is not None and _referred(reference, whole) is None:
        own = str(reference).startswith("#")
        why = (
            "it has no such part"
            if own
            else "nothing is fetched: put what it refers to under $defs, and refer to it as #/$defs/…"
        )
        raise ValueError(f"{method}: request_schema refers to {reference!r} at {_at((*place, '$ref'))}: {why}")
    if "pattern" in one:
        _check_pattern(method, one["pattern"], (*place, "pattern"))
    for pattern in one.get("patternProperties", ()):
        _check_pattern(method, pattern, (*place, "patternProperties"))


def _check_pattern(method: str, pattern: str, place: tuple[Any, ...]) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{method}: request_schema is wrong at {_at(place)}: {error}") from None


def _subschemas(schema: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Schema]]:
    """Every schema in a schema, itself included, and its place."""
    if not isinstance(schema, dict):
        return
    one = cast("Schema", schema)
    yield place, one
    for key in _BY_NAME:
        for name, inner in one.get(key, {}).items():
            yield from _subschemas(inner, (*place, key, name))
    for key in _LISTED:
        for index, inner in enumerate(one.get(key, ())):
            yield from _subschemas(inner, (*place, key, index))
    for key in _ALONE:
        yield from _subschemas(one.get(key), (*place, key))


def _referred(reference: Any, whole: Schema) -> Any:
    """What a reference within a schema refers to: a part of it by its place; `None` if there is none."""
    if reference == "#":
        return whole
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = whole
    for step in reference[2:].split("/"):
        name = re.sub("%([0-9a-fA-F]{2})", lambda hit: chr(int(hit[1], 16)), step)
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = cast("Schema", found).get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[int(name)]
        else:
            return None
    return cast("Any", found) if isinstance(found, (dict, bool)) else None


def _circle(whole: Schema, found: Mapping[tuple[Any, ...], Schema]) -> tuple[Any, ...] | None:
    """Where a value would be validated by the same schema again and again, without going into it."""
    places = {id(one): place for place, one in found.items()}
    done: set[int] = set()
    for place, start in found.items():
        # Depth first, with the way that led here.
        way: list[tuple[Schema, Iterator[Any]]] = [(start, _applied(start, whole))]
        on_the_way = {id(start)}
        while way:
            one, rest = way[-1]
            inner = next(rest, None)
            if inner is None:
                way.pop()
                on_the_way.discard(id(one))
                done.add(id(one))
            elif id(inner) in on_the_way:
                return places.get(id(inner), place)
            elif id(inner) not in done:
                on_the_way.add(id(inner))
                way.append((inner, _applied(inner, whole)))
    return None


def _applied(schema: Schema, whole: Schema) -> Iterator[Schema]:
    """What a value that a schema describes is validated by besides."""
    for key in _IN_PLACE:
        yield from (one for one in schema.get(key, ()) if isinstance(one, dict))
    for key in _IN_PLACE_ALONE:
        one: Any = _referred(schema[key], whole) if key == "$ref" and key in schema else schema.get(key)
        if isinstance(one, dict):
            yield cast("Schema", one)
    yield from (one for one in schema.get("dependentSchemas", {}).values() if isinstance(one, dict))


def resolved(schema: Schema, whole: Schema) -> Schema:
    """A schema, or what it only refers to."""
    while "$ref" in schema and "properties" not in schema:
        found = _referred(schema["$ref"], whole)
        if not isinstance(found, dict):
            break
        schema = cast("Schema", found)
    return schema


def _at(place: Any) -> str:
    """A place in a schema: `$.properties.a`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


def _brief(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
