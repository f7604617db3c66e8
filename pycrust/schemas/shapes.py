"""JSON Schemas, as Pydantic and schemars write them, read as Python's types."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from pycrust.arrays.elements import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Atom:
    """A type that has a name in Python: its source, and the import that it needs."""

    source: str
    needs: str = ""


@dataclass(frozen=True)
class Ref:
    """A type that is defined under a name."""

    key: str


@dataclass(frozen=True)
class Group:
    """A container; a `variadic` is a tuple whose last part comes any number of times."""

    kind: Literal["list", "set", "dict", "tuple", "variadic"]
    of: tuple[Shape, ...]


@dataclass(frozen=True)
class Choice:
    """One of several types."""

    of: tuple[Shape, ...]


@dataclass(frozen=True)
class Values:
    """One of several values, each as Python source."""

    of: tuple[str, ...]


@dataclass(frozen=True)
class Members:
    """An Enum: names, and values as Python source."""

    title: str = field(compare=False)
    of: tuple[tuple[str, str], ...]
    doc: str = field(default="", compare=False)


@dataclass(frozen=True)
class Part:
    """A field of a struct, or a parameter. Two structs are the same, whatever of them must be given."""

    name: str
    shape: Shape
    required: bool = field(compare=False)
    #: Its default as JSON has it, in a tuple of one; none where it has none or none that JSON has a form for.
    default: tuple[Any, ...] = field(default=(), compare=False)
    doc: str = field(default="", compare=False)


@dataclass(frozen=True)
class Struct:
    """A type with fields."""

    title: str = field(compare=False)
    parts: tuple[Part, ...]
    #: Whether it may have more fields.
    more: bool = False
    doc: str = field(default="", compare=False)


Shape = Atom | Ref | Group | Choice | Values | Members | Struct

ANY = Atom("Any", "from typing import Any")
NONE = Atom("None")
STR = Atom("str")
_DT = "import datetime as dt"
_PLAIN: dict[str, Shape] = {
    "integer": Atom("int"), "number": Atom("float"), "boolean": Atom("bool"), "null": NONE, "string": STR,
}  # fmt: skip
#: What texts stand for, by their `format`.
_FORMATS: dict[str, Shape] = {
    "binary": Atom("bytes"),
    "date": Atom("dt.date", _DT),
    "date-time": Atom("dt.datetime", _DT),
    "partial-date-time": Atom("dt.datetime", _DT),
    "time": Atom("dt.time", _DT),
    "partial-time": Atom("dt.time", _DT),
    "duration": Atom("dt.timedelta", _DT),
    "decimal": Atom("Decimal", "from decimal import Decimal"),
    **{name: Atom("UUID", "from uuid import UUID") for name in ("uuid", "uuid1", "uuid3", "uuid4", "uuid5")},
    **{name: Atom("Path", "from pathlib import Path") for name in ("path", "file-path", "directory-path")},
    **{
        f"ipv{version}{kind}": Atom(f"IPv{version}{name}", f"from ipaddress import IPv{version}{name}")
        for version in "46"
        for kind, name in (("", "Address"), ("network", "Network"), ("interface", "Interface"))
    },
}
_TIMESTAMP = Atom("Timestamp", "from pycrust import Timestamp")
#: PyTorch's names of types that NumPy has under another one; NumPy has no others of a name with digits but these.
_NUMPY = {"bool": "bool_"}
_ONLY_TORCH = re.compile("bfloat|float8")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Request:
    """A method's arguments: by name or by position, and what more of them may come; or a value as a whole."""

    parts: tuple[Part, ...] = ()
    by_position: bool = False
    #: What may come beside the parts: by position, or by name.
    rest: Shape | None = None
    more: Shape | None = None
    #: The type of one of the arguments that a caller streams, or of the arguments as a whole.
    whole: Shape | None = None


class SchemaReader:
    """Reads the schemas of one request or one response.

    Args:
        schema: The schema.
        name: What a type is called that has no name of its own.

    Attributes:
        definitions: What the types that have names are.
    """

    def __init__(self, schema: Any, name: str) -> None:
        """Reads nothing yet."""
        self._schema: Schema = _as_schema(schema)
        self._definitions: Schema = {**self._schema.get("definitions", {}), **self._schema.get("$defs", {})}
        self._name = name
        self.definitions: dict[str, Shape] = {}

    def whole(self) -> Shape:
        """The schema as one type."""
        return self._read(self._schema, self._title(self._schema) or self._name)

    def request(self, kind: str) -> Request:
        """The schema as a method's arguments.

        Args:
            kind: What kind of method it is.
        """
        root = self._resolved(self._schema)
        if kind in {"upload", "exchange"}:
            return Request(whole=self._read(root.get("items", {}), f"{self._name}Item"))
        if root.get("type") == "array" or "prefixItems" in root:
            return self._by_position(root)
        if "properties" in root and not any(key in root for key in ("oneOf", "anyOf")):
            more = root.get("additionalProperties", False)
            shape = None if more is False else self._read(more, f"{self._name}Extra")
            return Request(tuple(self._parts(root, self._name)), more=shape)
        if not root or root.get("type") == "object":
            return Request(
                rest=None if root else ANY, more=self._read(root.get("additionalProperties", {}), self._name)
            )
        return Request(whole=self.whole())

    def _by_position(self, root: Schema) -> Request:
        given: list[Any] = root.get("prefixItems", [])
        least = root.get("minItems", 0)
        parts: list[Part] = []
        for place, one in enumerate(given):
            schema = _as_schema(one)
            title = re.sub(r"\W+", "_", str(schema.get("title", ""))).lower().strip("_")
            name = title if title and title not in {part.name for part in parts} else f"arg{place}"
            parts.append(self._part(name, schema, required=place < least, owner=self._name))
        rest = root.get("items", False if given else {})
        shape = None if rest is False else self._read(rest, f"{self._name}Item")
        return Request(tuple(parts), by_position=True, rest=shape)

    # Types ------------------------------------------------------------------------------------------------

    def _read(self, given: Any, name: str) -> Shape:  # noqa: C901, PLR0911, PLR0912 - one return for each kind
        """A schema as a type; `name` is what it is called if it needs a name and has none."""
        schema = _as_schema(given)
        if "$ref" in schema:
            return self._referred(str(schema["$ref"]))
        defined = self._defined(schema, name)
        if defined is not None:
            return self._define(defined, name)
        if "const" in schema or "enum" in schema:
            return _of_values(schema["enum"] if "enum" in schema else [schema["const"]], schema)
        if "x-array" in schema:
            return _array(schema)
        if schema.get("format") == "decimal":
            return _FORMATS["decimal"]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._choice(schema[key], name)
        if "allOf" in schema:
            return self._all_of(schema, name)
        kind: Any = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list):
            kinds = cast("list[str]", kind)
            return _union(self._read({**schema, "type": one}, name) for one in kinds)
        if kind == "array":
            return self._list(schema, name)
        if kind == "object":
            return self._object(schema, name)
        if kind == "string":
            return _text(schema)
        if kind is None and "format" in schema:
            return _text(schema)
        return _PLAIN.get(str(kind), ANY)

    def _choice(self, choices: Any, name: str) -> Shape:
        found: list[Shape] = []
        for place, one in enumerate(cast("list[Any]", choices)):
            schema = _as_schema(one)
            own = self._title(schema) or f"{name}{_tag(schema) or place + 1}"
            found.append(self._read(schema, own))
        return _union(found)

    def _all_of(self, schema: Schema, name: str) -> Shape:
        """One schema with something beside it, or the fields of several in one."""
        parts: list[Any] = schema["allOf"]
        if len(parts) == 1 and "properties" not in schema:
            return self._read(parts[0], name)
        whole: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for one in [*parts, {key: value for key, value in schema.items() if key != "allOf"}]:
            inner = self._resolved(_as_schema(one))
            whole["properties"] |= inner.get("properties", {})
            whole["required"] += inner.get("required", [])
            if any(key in inner for key in ("oneOf", "anyOf", "allOf")):
                return ANY
        return self._define(self._struct(whole, name), name)

    def _list(self, schema: Schema, name: str) -> Shape:
        given: list[Any] | None = schema.get("prefixItems")
        items = schema.get("items")
        if given is not None:
            parts = [self._read(one, f"{name}{place + 1}") for place, one in enumerate(given)]
            if items is None or items is False or schema.get("maxItems") == len(parts):
                return Group("tuple", tuple(parts))
            return Group("variadic", (*parts, self._read(items, f"{name}Item")))
        of = ANY if items is None else self._read(items, f"{name}Item")
        is_set = schema.get("uniqueItems") is True and self._is_hashable(of)
        return Group("set" if is_set else "list", (of,))

    def _object(self, schema: Schema, name: str) -> Shape:
        more = schema.get("additionalProperties")
        patterns: Schema = schema.get("patternProperties", {})
        if len(patterns) == 1 and not isinstance(more, dict):
            more = next(iter(patterns.values()))
        of = self._read(more, f"{name}Value") if isinstance(more, dict) else ANY
        key = self._read(schema.get("x-keys", schema.get("propertyNames", {"type": "string"})), f"{name}Key")
        return Group("dict", (key if key != ANY and self._is_hashable(key) else STR, of))

    def _defined(self, schema: Schema, name: str) -> Struct | Members | None:
        """What can't stand where it is used, and needs a name."""
        if "x-enum-varnames" in schema and "enum" in schema:
            values: list[Any] = schema["enum"]
            names: list[str] = schema["x-enum-varnames"]
            members = tuple((one, repr(value)) for one, value in zip(names, values, strict=False))
            return Members(self._title(schema) or name, members, _doc(schema))
        known = "properties" in schema and (schema["properties"] or self._title(schema))
        is_choice = any(key in schema for key in ("anyOf", "oneOf", "allOf"))
        if known and not is_choice and schema.get("type", "object") == "object":
            return self._struct(schema, self._title(schema) or name)
        return None

    def _struct(self, schema: Schema, title: str) -> Struct:
        given = schema.get("additionalProperties")
        more = isinstance(given, dict) or given is True
        return Struct(title, tuple(self._parts(schema, title)), more, _doc(schema))

    def _parts(self, schema: Schema, owner: str) -> Iterator[Part]:
        required = frozenset[str](schema.get("required", ()))
        properties: Schema = schema.get("properties", {})
        for name, one in properties.items():
            yield self._part(name, _as_schema(one), required=name in required, owner=owner)

    def _part(self, name: str, schema: Schema, *, required: bool, owner: str) -> Part:
        shape = self._read(schema, owner + camel_case(name))
        default = (schema["default"],) if "default" in schema else ()
        return Part(name, shape, required, default, _doc(schema))

    # Names ------------------------------------------------------------------------------------------------

    def _referred(self, reference: str) -> Shape:
        if reference == "#":
            key, schema = self._title(self._schema) or self._name, self._schema
        else:
            key = reference.rsplit("/", 1)[-1].replace("~1", "/").replace("~0", "~")
            if key not in self._definitions:
                return ANY
            schema = _as_schema(self._definitions[key])
        if key not in self.definitions:
            self.definitions[key] = Ref(key)  # what refers to itself on the way finds its name
            self.definitions[key] = self._defined(schema, key) or self._read(schema, key)
        return Ref(key)

    def _define(self, shape: Struct | Members, name: str) -> Shape:
        """A name for a type that has none, unless another one is the same."""
        key, number = name, 2
        while key in self.definitions and self.definitions[key] != shape:
            key, number = f"{name}{number}", number + 1
        self.definitions[key] = shape
        return Ref(key)

    def _title(self, schema: Schema) -> str:
        """The name that a schema gives to its type: titles of fields are prose."""
        title = str(schema.get("title", ""))
        # Generic classes have their arguments behind them.
        is_name = _IDENTIFIER.match(title) is not None and not re.search(r"\s", title.partition("[")[0])
        return (
            title if is_name and any(schema is one for one in (self._schema, *self._definitions.values())) else ""
        )

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(len(self._definitions) + 1):
            if "$ref" not in schema:
                break
            schema = _as_schema(self._definitions.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}))
        return schema

    def _is_hashable(self, shape: Shape, depth: int = 0) -> bool:
        match shape:
            case Ref(key):
                return depth < len(self.definitions) and self._is_hashable(
                    self.definitions.get(key, ANY), depth + 1
                )
            case Choice(of):
                return all(self._is_hashable(one, depth) for one in of)
            case Group(kind, of):
                return kind in {"tuple", "variadic"} and all(self._is_hashable(one, depth) for one in of)
            case Struct():
                return False
            case _:
                return not getattr(shape, "source", "").startswith(("npt.", "torch."))


def camel_case(text: str) -> str:
    """Text as a part of a class's name: `arm.left_joint` is `ArmLeftJoint`."""
    clean = "".join(char if f"a{char}".isidentifier() else "_" for char in text)
    return "".join(part[:1].upper() + part[1:] for part in clean.split("_"))


def _as_schema(given: Any) -> Schema:
    """A schema; `true` says nothing."""
    return cast("Schema", given) if isinstance(given, dict) else {}


def _doc(schema: Schema) -> str:
    return str(schema.get("description", ""))


def _tag(schema: Schema) -> str:
    """What tells a choice from others: the value of a field that has only one, or the only field."""
    properties: Schema = schema.get("properties", {})
    for one in properties.values():
        value: Any = _as_schema(one).get("const")
        if isinstance(value, str):
            return camel_case(value)
    return camel_case(next(iter(properties))) if len(properties) == 1 else ""


def _union(shapes: Iterable[Shape]) -> Shape:
    """One of several types, each once."""
    flat: dict[Shape, None] = {}
    values: list[str] = []
    for shape in shapes:
        inner = shape.of if isinstance(shape, Choice) else (shape,)
        for one in inner:
            if isinstance(one, Values):
                values += [value for value in one.of if value not in values]
                flat.setdefault(Values(()))
            else:
                flat.setdefault(one)
    of = tuple(Values(tuple(values)) if one == Values(()) else one for one in flat)
    if ANY in of or not of:
        return ANY
    return of[0] if len(of) == 1 else Choice(of)


def _of_values(values: list[Any], schema: Schema) -> Shape:
    """Values that `Literal` can have; the type of others."""
    if not all(value is None or isinstance(value, (bool, int, str)) for value in values):
        return _PLAIN.get(str(schema.get("type")), ANY)
    shapes: list[Shape] = [Values((repr(value),)) for value in values if value is not None]
    return _union([*shapes, NONE] if None in values else shapes)


def _text(schema: Schema) -> Shape:
    name = str(schema.get("format", ""))
    if name == "date-time" and schema.get("x-nanoseconds"):
        return _TIMESTAMP
    if name.startswith("ipvany"):
        kind = name.removeprefix("ipvany").removesuffix("address")
        return _union(_FORMATS.get(f"{version}{kind}", STR) for version in ("ipv4", "ipv6"))
    return _FORMATS.get(name, STR)


def _array(schema: Schema) -> Shape:
    if schema["x-array"] == "torch":
        return Atom("torch.Tensor", "import torch")
    dtype = str(schema.get("dtype", ""))
    if dtype not in DTYPES or _ONLY_TORCH.search(dtype):
        return Atom("npt.NDArray[Any]", "import numpy.typing as npt\nfrom typing import Any")
    return Atom(f"npt.NDArray[np.{_NUMPY.get(dtype, dtype)}]", "import numpy as np\nimport numpy.typing as npt")
