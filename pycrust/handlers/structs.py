"""Core schemas for values that came by MessagePack, made of those that Pydantic has for Python's.

- A struct may come as the array of its fields, at every level (`Encoding::Array` of the Rust client). The outermost
  one is bound by position natively; for the ones inside, each model, dataclass and typed dict gets a step before it
  that turns such an array into a dict.
- More than a struct knows is refused unless its model says otherwise (`extra="ignore"` or `"allow"`), in a map as
  in an array.
- What is strict takes what Pydantic's strict JSON mode takes: lists for tuples and sets, text for dates and UUIDs.
- Dates, times and bytes may come in the forms of `wireforms`.
- NumPy's and PyTorch's arrays, which come as NumPy's, become what their annotation says.

A schema that has none of them inside stays as it is, and so does its fast path.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pydantic_core import PydanticCustomError, ValidationError

from pycrust.arrays.annotations import array_schema, is_array_class
from pycrust.handlers import wire_forms
from pycrust.text.clipping import enumerated
from pycrust.values.invalid import MOST, is_heavy, leave_out

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
    """A core schema for what came by MessagePack."""

    schema: Schema
    #: Whether anything had to be changed; if not, `schema` is the given one.
    changed: bool


def from_wire(schema: Mapping[str, Any], *, outermost: bool = True) -> Rewritten:
    """The schema by which what came by MessagePack is validated.

    Args:
        schema: The core schema of a model or of a function's arguments.
        outermost: Whether the outermost struct may come as an array, too.

    Returns:
        The schema, rewritten where that was necessary.

    Examples:
        >>> from pydantic import BaseModel, TypeAdapter
        >>> from pydantic_core import SchemaValidator
        >>> class Point(BaseModel):
        ...     x: float
        ...     y: float
        >>> schema, changed = from_wire(TypeAdapter(list[Point]).core_schema)
        >>> SchemaValidator(schema, _use_prebuilt=False).validate_python([[1, 2]])
        [Point(x=1.0, y=2.0)]
    """
    rewriter = _Rewriter(_definitions(schema))
    given = cast("Schema", schema)
    new = rewriter.node(given, {}) if outermost else rewriter.inside(given, {})
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


def extra_behavior(schema: Mapping[str, Any]) -> Literal["forbid", "ignore", "allow"]:
    """What a struct's schema says of fields that it doesn't know; `forbid` where it says nothing.

    Args:
        schema: The core schema of a model, a dataclass or a typed dict.
    """
    config: Schema = schema.get("config") or {}
    fields = schema if schema["type"] == "typed-dict" else schema["schema"]
    while fields["type"] not in {"model-fields", "dataclass-args", "typed-dict"} and "schema" in fields:
        fields = fields["schema"]
    said = config.get("extra_fields_behavior") or fields.get("extra_behavior")
    # A typed dict is always said to ignore them, whoever said so.
    unsaid = schema["type"] == "typed-dict" and said == "ignore" and "extra_fields_behavior" not in config
    return "forbid" if unsaid else said or "forbid"


def surplus(known: Sequence[str], values: Any, title: str) -> ValidationError:
    """The error of more values than are known: one line for each of the first ones.

    Args:
        known: Names of the parameters or fields, in order.
        values: A list of values by position, a dict by name, or a single value.
        title: What takes them.

    Examples:
        >>> surplus(["a"], [1, 2], "half").errors()[0]["msg"]
        'Extra inputs are not permitted: 2 values came, 1 is taken (a)'
    """
    message = "Extra inputs are not permitted"
    if isinstance(values, dict):
        beyond, left_out = _beyond_by_name(set(known), cast("dict[Any, Any]", values))
    else:
        listed: list[Any] = cast("list[Any]", values) if isinstance(values, list) else [values]
        beyond = list(enumerate(listed[: len(known) + MOST]))[len(known) :]
        left_out = max(0, len(listed) - len(known) - MOST)
        message += f": {_counted(known, len(listed))}"
    # Braces would stand for something.
    kind = PydanticCustomError("extra_forbidden", "{text}", {"text": message})
    lines: Any = [{"type": kind, "loc": (place,), "input": value} for place, value in beyond]
    return leave_out(ValidationError.from_exception_data(title, lines), left_out)


def _beyond_by_name(known: set[str], values: dict[Any, Any]) -> tuple[list[tuple[str, Any]], int]:
    """The first values whose names aren't known, and how many more there are."""
    beyond = (name for name in values if name not in known)
    first = list(itertools.islice(beyond, MOST))
    named = [(name if isinstance(name, str) else repr(name), values[name]) for name in first]
    return named, sum(1 for _ in beyond)


def counted(error: Exception, known: Sequence[str], values: Sequence[Any]) -> Exception:
    """The same error of values by position, with how many there may be where some are missing.

    Args:
        error: What validating them raised.
        known: Names of the parameters or fields, in order.
        values: The values.
    """
    if not isinstance(error, ValidationError):
        return error  # an exception of a user's validator
    if len(values) >= len(known) or is_heavy(error):
        return error
    found = error.errors(include_url=False)
    if not any(line["type"].startswith("missing") for line in found):
        return error
    told = f"Field required: {_counted(known, len(values))}"
    lines: list[Any] = []
    for line in found:
        message, kind = line["msg"], line["type"]
        if kind.startswith("missing") and len(line["loc"]) == 1:
            message, kind = told, "missing"
        # Braces would stand for something.
        made = PydanticCustomError(cast("Any", kind), "{text}", {"text": message})
        lines.append({"type": made, "loc": line["loc"], "input": line["input"]})
    return ValidationError.from_exception_data(error.title, lines)


def _counted(known: Sequence[str], count: int) -> str:
    came = f"{count} value came" if count == 1 else f"{count} values came"
    if not known:
        return f"{came}, it takes no arguments"
    return f"{came}, {len(known)} {'is' if len(known) == 1 else 'are'} taken ({enumerated(known)})"


class _Rewriter:
    """Goes through a schema with the configuration that the structs around a place have set."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions
        self.changed = False

    def node(self, schema: Schema, config: Schema) -> Schema:
        """A schema, with a step before it if it needs one."""
        kind = schema["type"]
        if kind == "is-instance" and is_array_class(schema["cls"]):
            self.changed = True
            return cast("Schema", array_schema(schema["cls"]))
        own: Schema = schema.get("config") or config
        strict = bool(schema.get("strict", own.get("strict")))
        if strict and kind in {"lax-or-strict", "json-or-python"}:
            return self.node(self.as_json(schema), config)
        new = self.inside(schema, config)
        if strict and kind in wire_forms.LAX:
            self.changed = True
            new["strict"] = False
        step = self.step(schema, strict=strict)
        return new if step is None else self.before(step, new)

    def as_json(self, schema: Schema) -> Schema:
        """What a strict schema, which tells JSON from Python, has for JSON."""
        self.changed = True
        inner = schema["strict_schema"] if schema["type"] == "lax-or-strict" else schema
        inner = inner["json_schema"] if inner["type"] == "json-or-python" else inner
        return {**inner, "ref": schema["ref"]} if "ref" in schema else inner

    def before(self, step: Callable[[Any], Any], schema: Schema) -> Schema:
        self.changed = True
        wrapped: Schema = {
            "type": "function-before",
            "function": {"type": "no-info", "function": step},
            "schema": schema,
        }
        # What refers to the schema has to reach the step as well.
        if "ref" in schema:
            wrapped["ref"] = schema.pop("ref")
        return wrapped

    def step(self, schema: Schema, *, strict: bool) -> Callable[[Any], Any] | None:
        if schema["type"] == "tagged-union":
            return self.tagged_step(schema)
        names = field_names(schema)
        if names is not None:
            return _array_to_dict(names, extra_behavior(schema), schema["cls"].__name__)
        return wire_forms.step(schema["type"], strict=strict)

    def inside(self, schema: Schema, config: Schema) -> Schema:
        """A schema of which what is inside is rewritten."""
        config = cast("Schema", schema.get("config") or config)
        new = {key: value if key in _OPAQUE else self.value(value, config) for key, value in schema.items()}
        if schema["type"] in _STRUCTS and _forbids(schema, config):
            self.changed = True
            new["extra_behavior"] = "forbid"
        return new

    def value(self, value: Any, config: Schema) -> Any:
        if isinstance(value, dict):
            schema = cast("Schema", value)
            # A dict without a type is one of fields or of choices by name, and a name can be "type".
            is_schema = isinstance(schema.get("type"), str)
            return self.node(schema, config) if is_schema else self.inside_names(schema, config)
        if isinstance(value, list):
            return [self.value(item, config) for item in cast("list[Any]", value)]
        if isinstance(value, tuple):
            return tuple(self.value(item, config) for item in cast("tuple[Any, ...]", value))
        return value

    def inside_names(self, schemas: Schema, config: Schema) -> Schema:
        return {name: self.value(schema, config) for name, schema in schemas.items()}

    def tagged_step(self, schema: Schema) -> Callable[[Any], Any] | None:
        """A step for a union whose choices are told apart by a field, which the array has in its place."""
        discriminator = schema["discriminator"]
        if not isinstance(discriminator, str):
            return None
        places: dict[Any, tuple[int, Callable[[Any], Any]]] = {}
        for tag, choice in schema["choices"].items():
            struct = self.resolved(choice)
            names = field_names(struct)
            if names is None or discriminator not in names:
                return None
            named = _array_to_dict(names, extra_behavior(struct), struct["cls"].__name__)
            places[tag] = names.index(discriminator), named
        positions = sorted({place for place, _ in places.values()})

        def array_to_dict(value: Any) -> Any:
            if type(value) is list:
                items = cast("list[Any]", value)
                for position in positions:
                    tag: Any = items[position] if position < len(items) else None
                    place = places.get(tag) if isinstance(tag, (str, int)) else None
                    if place and place[0] == position:
                        return place[1](items)
            return cast("Any", value)

        return array_to_dict

    def resolved(self, schema: Schema) -> Schema:
        while schema["type"] == "definition-ref":
            schema = self.definitions[schema["schema_ref"]]
        return schema


#: Schemas of structs' fields.
_STRUCTS = frozenset({"model-fields", "dataclass-args", "typed-dict"})


def _forbids(fields: Schema, config: Schema) -> bool:
    """Whether nobody has said that a struct may have fields that it doesn't know."""
    if "extra_fields_behavior" in config:
        return False
    said = fields.get("extra_behavior")
    return said is None or (fields["type"] == "typed-dict" and said == "ignore")


def _array_to_dict(names: Sequence[str], extra: str, title: str) -> Callable[[Any], Any]:
    most = len(names)

    def array_to_dict(value: Any) -> Any:
        # Only what the decoder makes of an array.
        if type(value) is list:
            items = cast("list[Any]", value)
            if len(items) > most and extra == "forbid":
                raise surplus(names, items, title)
            # Without a name, what is too much can't be kept.
            return dict(zip(names, items, strict=False))
        return value

    return array_to_dict
