"""The names of what a handler's payloads give by position: `rmp_serde` writes a struct as the array of its fields.

What is hidden by its name is found by these where the bytes have none. They are read from the core schemas that
arguments and results are validated by, and go to the native side as a list of nodes that refer to each other by
their places (`native/engine/src/recording/naming.rs`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from pycrust.arrays.annotations import is_array_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pycrust.handlers.structs import Schema

#: Validators around the schema of a value, which has the value's form.
_AROUND = frozenset({
    "custom-error",
    "default",
    "function-after",
    "function-before",
    "function-wrap",
    "nullable",
})  # fmt: skip
_LISTS = frozenset({"frozenset", "generator", "list", "set"})
#: Values without others in them. What is in no list here may be anything: it is not known by what it holds.
_LEAVES = frozenset({
    "bool", "bytes", "complex", "date", "datetime", "decimal", "enum", "float", "int", "literal",
    "missing-sentinel", "multi-host-url", "none", "str", "time", "timedelta", "url", "uuid",
})  # fmt: skip
_WITH_PARTS = _LISTS | {
    "arguments", "call", "chain", "dataclass", "dict", "is-instance", "json-or-python", "lax-or-strict", "model",
    "named-tuple", "tagged-union", "tuple", "typed-dict", "union",
}  # fmt: skip


def field_naming(
    arguments: Mapping[str, Any] | None, result: Mapping[str, Any] | None, *, streamed: bool = False, rest: str = ""
) -> str:
    """The nodes as JSON.

    Args:
        arguments: The core schema of a call's arguments; of what it streams, that of one. `None` is not known.
        result: That of its result, or of one item of a streamed one. `None` is not known.
        streamed: Whether the caller streams its arguments.
        rest: The name of the parameter that takes more arguments by position.

    Examples:
        >>> from pydantic import BaseModel
        >>> class Login(BaseModel):
        ...     user: str
        ...     password: str
        >>> field_naming(Login.__pydantic_core_schema__, None)
        '{"nodes":[{"struct":[[[["user"],1],[["password"],1]],null,2]},"leaf","any"],"arguments":0,"result":null}'
    """
    nodes = _Nodes(rest)
    root = None if arguments is None else nodes.of(arguments)
    if streamed:
        root = nodes.add({"list": nodes.any() if root is None else root})
    whole = {"nodes": nodes.all, "arguments": root, "result": None if result is None else nodes.of(result)}
    return json.dumps(whole, separators=(",", ":"))


class _Nodes:
    def __init__(self, rest: str) -> None:
        self.all: list[Any] = []
        self._rest = rest
        #: Schemas that others refer to, and the places of those that were begun.
        self._definitions: dict[str, Schema] = {}
        self._places: dict[str, int] = {}

    def add(self, node: Any) -> int:
        # Those without anything in them are the same everywhere.
        if isinstance(node, str) and node in self.all:
            return self.all.index(node)
        self.all.append(node)
        return len(self.all) - 1

    def any(self) -> int:
        return self.add("any")

    def of(self, given: Mapping[str, Any]) -> int:
        """The place of a schema's node."""
        schema = cast("Schema", given)
        # What may be absent, or is checked, can be what others refer to, as well as what is inside.
        refs: list[str] = []
        while schema["type"] in _AROUND:
            refs += [schema["ref"]] if "ref" in schema else []
            schema = schema["schema"]
        refs += [schema["ref"]] if "ref" in schema else []
        kind: str = schema["type"]
        if kind == "definitions":
            self._definitions |= {one["ref"]: one for one in schema["definitions"]}
            return self.of(schema["schema"])
        if kind == "definition-ref":
            return self._referred(schema["schema_ref"])
        known = next((self._places[ref] for ref in refs if ref in self._places), None)
        if known is not None:
            return known
        if kind not in _WITH_PARTS:
            return self.add("text" if kind == "json" else "leaf" if kind in _LEAVES else "any")
        # It has its place before what is inside is looked at, which may refer back to it.
        place = len(self.all)
        self.all.append(None)
        self._places |= dict.fromkeys(refs, place)
        self.all[place] = self._with_parts(kind, schema, place)
        return place

    def _referred(self, ref: str) -> int:
        if ref in self._places:
            return self._places[ref]
        found = self._definitions.get(ref)
        return self.any() if found is None else self.of(found)

    def _with_parts(self, kind: str, schema: Schema, place: int) -> Any:  # noqa: PLR0911 - one return for each kind
        fields = _fields(schema)
        if fields is not None:
            return self._struct(fields)
        if kind == "arguments":
            return self._arguments(schema)
        if kind == "call":  # a named tuple
            inner = schema["arguments_schema"]
            return self._arguments(inner) if inner["type"] == "arguments" else "any"
        if kind == "is-instance":
            return self._of_class(schema, place)
        if kind in _LISTS:
            return {"list": self._or_any(schema.get("items_schema"))}
        if kind == "tuple":
            return self._tuple(schema)
        if kind == "dict":
            return {"map": self._or_any(schema.get("values_schema"))}
        return {"oneof": [self.of(one) for one in _choices(schema)]}

    def _or_any(self, schema: Schema | None) -> int:
        return self.any() if schema is None else self.of(schema)

    def _of_class(self, schema: Schema, place: int) -> Any:
        """Arrays may come as lists of lists of numbers, which have no names; of other classes nothing is known."""
        if not is_array_class(schema["cls"]):
            return "any"
        return {"list": self.add({"oneof": [self.add("leaf"), place]})}

    def _struct(self, fields: Iterable[tuple[str, Schema]]) -> Any:
        named = [[_names_of(name, field), self.of(field["schema"])] for name, field in fields]
        return {"struct": [named, None, self.any()]}

    def _arguments(self, schema: Schema) -> Any:
        named = [[_names_of(one["name"], one), self.of(one["schema"])] for one in schema["arguments_schema"]]
        more = schema.get("var_args_schema")
        kwargs = schema.get("var_kwargs_schema")
        return {"struct": [named, None if more is None else [[self._rest], self.of(more)], self._or_any(kwargs)]}

    def _tuple(self, schema: Schema) -> Any:
        items = [self.of(one) for one in schema["items_schema"]]
        variadic = schema.get("variadic_item_index")
        if variadic is None:
            return {"tuple": [items, None]}
        if variadic == len(items) - 1:
            return {"tuple": [items[:-1], items[-1]]}
        return {"list": self.add({"oneof": items})}  # what comes behind it has no fixed place


def _fields(schema: Schema) -> list[tuple[str, Schema]] | None:
    """A struct's fields in order, or `None` for any other schema."""
    kind = schema["type"]
    if kind == "typed-dict":
        return list(schema["fields"].items())
    if kind == "named-tuple":
        return [(field["name"], field) for field in schema["fields"]]
    inner: Schema | None = schema.get("schema") if kind in {"model", "dataclass"} else None
    while inner is not None and inner["type"] not in {"model-fields", "dataclass-args"}:
        inner = inner.get("schema")
    if inner is None:
        return None
    if inner["type"] == "model-fields":
        return list(inner["fields"].items())
    return [(field["name"], field) for field in inner["fields"] if field.get("init", True)]


def _choices(schema: Schema) -> list[Schema]:
    """What a value may be, where that is one of several."""
    kind = schema["type"]
    if kind == "union":
        return [one[0] if isinstance(one, tuple) else one for one in schema["choices"]]
    if kind == "tagged-union":
        return [one for one in schema["choices"].values() if isinstance(one, dict)]
    if kind == "lax-or-strict":
        return [schema["lax_schema"], schema["strict_schema"]]
    if kind == "json-or-python":
        return [schema["python_schema"], schema["json_schema"]]
    if kind == "chain":
        return schema["steps"][:1]
    return [schema["schema"]]  # a root model


def _names_of(name: str, field: Schema) -> list[str]:
    """All names that a field goes by."""
    names = {name: None}
    for alias in (field.get("validation_alias"), field.get("serialization_alias"), field.get("alias")):
        names.update(dict.fromkeys(_strings(alias)))
    return list(names)


def _strings(alias: Any) -> Iterable[str]:
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, (list, tuple)):
        for step in cast("list[Any]", alias):
            yield from _strings(step)
