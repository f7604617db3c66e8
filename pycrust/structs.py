"""Nested structs that arrive as arrays.

`rmp_serde` writes a struct as the array of its fields, at every level. The outermost one is bound by
position natively; for the ones inside, each model, dataclass and typed dict of a Pydantic core schema gets
a step before it that turns such an array into a dict. A schema that has none inside stays as it is, and so
does its fast path. NumPy's and PyTorch's arrays, which come as NumPy's, become what their annotation says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pycrust.arrays import array_schema, is_array_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    #: A `pydantic_core.CoreSchema`, read and rewritten as the dict that it is.
    Schema = dict[str, Any]

#: Keys of a core schema under which there is no schema to rewrite, but anything a user may have put there.
_OPAQUE = frozenset({
    "cls",
    "computed_fields",
    "config",
    "custom_error_context",
    "default",
    "default_factory",
    "discriminator",
    "expected",
    "json_schema_input_schema",
    "members",
    "metadata",
    "missing",
    "serialization",
    "tag",
    "validation_alias",
})  # fmt: skip


class Rewritten(NamedTuple):
    """A core schema whose nested structs accept arrays."""

    schema: Schema
    #: Whether anything had to be changed; if not, `schema` is the given one.
    changed: bool


def accept_arrays(schema: Mapping[str, Any], *, outermost: bool = True) -> Rewritten:
    """Lets each struct inside `schema` also be given as the array of its fields.

    Args:
        schema: The core schema of a model or of a function's arguments.
        outermost: Whether the outermost struct accepts an array, too.

    Returns:
        The schema, rewritten where that was necessary.

    Examples:
        >>> from pydantic import BaseModel, TypeAdapter
        >>> from pydantic_core import SchemaValidator
        >>> class Point(BaseModel):
        ...     x: float
        ...     y: float
        >>> schema, changed = accept_arrays(TypeAdapter(list[Point]).core_schema)
        >>> SchemaValidator(schema, _use_prebuilt=False).validate_python([[1, 2]])
        [Point(x=1.0, y=2.0)]
    """
    rewriter = _Rewriter(_definitions(schema))
    given = cast("Schema", schema)
    new = rewriter.node(given) if outermost else rewriter.inside(given)
    return Rewritten(new, changed=True) if rewriter.changed else Rewritten(given, changed=False)


def field_names(schema: Mapping[str, Any]) -> list[str] | None:
    """The names under which a struct's schema takes its fields, in order.

    Args:
        schema: The core schema of a model, a dataclass or a typed dict.

    Returns:
        For each field its alias, or its name where it has none; `None` if the schema is no struct, or if a
        field can't be given by one name (an alias path).
    """
    fields = _fields(schema)
    if fields is None:
        return None
    config: Schema = schema.get("config") or {}
    by_alias: bool = config.get("validate_by_alias", True)
    names = [_accepted_name(name, field, by_alias=by_alias) for name, field in fields]
    return None if None in names else cast("list[str]", names)


def _definitions(schema: Mapping[str, Any]) -> dict[str, Schema]:
    if schema["type"] != "definitions":
        return {}
    return {definition["ref"]: definition for definition in schema["definitions"]}


def _fields(schema: Mapping[str, Any]) -> list[tuple[str, Schema]] | None:
    """A struct's fields, or `None` for any other schema."""
    kind = schema["type"]
    if kind == "typed-dict":
        return list(schema["fields"].items())
    if kind == "model" and not schema.get("root_model"):
        inner = _unwrapped(schema["schema"], "model-fields")
        return list(inner["fields"].items()) if inner else None
    if kind == "dataclass":
        inner = _unwrapped(schema["schema"], "dataclass-args")
        if inner:
            return [(field["name"], field) for field in inner["fields"] if field.get("init", True)]
    return None


def _unwrapped(schema: Schema, kind: str) -> Schema | None:
    """The schema of this kind inside of validators that surround it."""
    inner: Schema | None = schema
    while inner is not None and inner["type"] != kind:
        inner = inner.get("schema")
    return inner


def _accepted_name(name: str, field: Schema, *, by_alias: bool) -> str | None:
    alias: str | list[Any] | None = field.get("validation_alias") if by_alias else None
    if alias is None:
        return name
    if isinstance(alias, str):
        return alias
    # One path is a list of steps; several are a list of those.
    paths: list[list[Any]] = alias if isinstance(alias[0], list) else [alias]
    return next((path[0] for path in paths if len(path) == 1 and isinstance(path[0], str)), None)


class _Rewriter:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions
        self.changed = False

    def node(self, schema: Schema) -> Schema:
        """A schema, with a step before it if it is a struct."""
        if schema["type"] == "is-instance" and is_array_class(schema["cls"]):
            self.changed = True
            return cast("Schema", array_schema(schema["cls"]))
        new = self.inside(schema)
        if schema["type"] == "tagged-union":
            step = self.tagged_step(schema)
        else:
            names = field_names(schema)
            step = _array_to_dict(names) if names is not None else None
        if step is None:
            return new
        self.changed = True
        wrapped: Schema = {
            "type": "function-before",
            "function": {"type": "no-info", "function": step},
            "schema": new,
        }
        # What refers to the struct has to reach the step as well.
        if "ref" in new:
            wrapped["ref"] = new.pop("ref")
        return wrapped

    def inside(self, schema: Schema) -> Schema:
        """A schema of which what is inside is rewritten."""
        return {key: value if key in _OPAQUE else self.value(value) for key, value in schema.items()}

    def value(self, value: Any) -> Any:
        if isinstance(value, dict):
            schema = cast("Schema", value)
            # A dict without a type is one of fields or of choices by name, and a name can be "type".
            return self.node(schema) if isinstance(schema.get("type"), str) else self.inside_names(schema)
        if isinstance(value, list):
            return [self.value(item) for item in cast("list[Any]", value)]
        if isinstance(value, tuple):
            return tuple(self.value(item) for item in cast("tuple[Any, ...]", value))
        return value

    def inside_names(self, schemas: Schema) -> Schema:
        return {name: self.value(schema) for name, schema in schemas.items()}

    def tagged_step(self, schema: Schema) -> Callable[[Any], Any] | None:
        """A step for a union whose choices are told apart by a field, which the array has in its place."""
        discriminator = schema["discriminator"]
        if not isinstance(discriminator, str):
            return None
        places: dict[Any, tuple[int, list[str]]] = {}
        for tag, choice in schema["choices"].items():
            names = field_names(self.resolved(choice))
            if names is None or discriminator not in names:
                return None
            places[tag] = names.index(discriminator), names
        positions = sorted({place for place, _ in places.values()})

        def array_to_dict(value: Any) -> Any:
            if type(value) is list:
                items = cast("list[Any]", value)
                for position in positions:
                    tag: Any = items[position] if position < len(items) else None
                    place = places.get(tag) if isinstance(tag, (str, int)) else None
                    if place and place[0] == position and len(items) <= len(place[1]):
                        return dict(zip(place[1], items, strict=False))
            return cast("Any", value)

        return array_to_dict

    def resolved(self, schema: Schema) -> Schema:
        while schema["type"] == "definition-ref":
            schema = self.definitions[schema["schema_ref"]]
        return schema


def _array_to_dict(names: Sequence[str]) -> Callable[[Any], Any]:
    most = len(names)

    def array_to_dict(value: Any) -> Any:
        # Only what the decoder makes of an array; a longer one is left for the struct to refuse.
        if type(value) is list:
            items = cast("list[Any]", value)
            if len(items) <= most:
                return dict(zip(names, items, strict=False))
        return cast("Any", value)

    return array_to_dict
