"""The JSON Schemas that clients see, and their hash.

They say more than JSON Schema has words for, so that callers can be given the types that a handler has:
`x-keys` is the schema of a dict's keys, `x-enum-varnames` are the names of an enum's members, `x-timezone` tells
datetimes that must have an offset (`aware`) from those that must not (`naive`), `x-nanoseconds` is said of a
`pycrust.Timestamp`, the format `decimal` of a `Decimal`, and `x-array` of an array (with `dtype` and `shape` where
they are declared).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError

from pycrust.arrays.annotations import is_array_class
from pycrust.handlers.structs import extra_behavior

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Keywords for people: other words under them make no other schema.
_PROSE = frozenset({"$comment", "$schema", "deprecated", "description", "examples", "title", "x-enum-varnames"})
#: Keywords under which there is a schema, a list of schemas, schemas by names.
_ONE = frozenset({
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties", "x-keys",
})  # fmt: skip
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})


#: What a caller does with a method; where arguments stream, the request's schema is that of an array of them.
CallKind = Literal["call", "stream", "upload", "exchange"]


class _Generator(GenerateJsonSchema):
    """Leaves out, without a warning, the defaults that JSON has no form for (bytes)."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as in the base class

    def is_instance_schema(self, schema: Any) -> dict[str, Any]:
        """Arrays have a form, other classes that Pydantic doesn't know have none."""
        if is_array_class(schema["cls"]):
            return {"type": "array", "x-array": schema["cls"].__module__}
        return super().is_instance_schema(schema)

    def model_schema(self, schema: Any) -> dict[str, Any]:
        """Of arguments: closed, unless the model says otherwise (`structs`)."""
        return self._closed(super().model_schema(schema), schema)

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        """As for a model."""
        return self._closed(super().dataclass_schema(schema), schema)

    def typed_dict_schema(self, schema: Any) -> dict[str, Any]:
        """As for a model."""
        return self._closed(super().typed_dict_schema(schema), schema)

    def _closed(self, found: dict[str, Any], schema: Any) -> dict[str, Any]:
        is_struct = found.get("type") == "object" and not schema.get("root_model")
        if self.mode == "validation" and is_struct and extra_behavior(schema) == "forbid":
            found.setdefault("additionalProperties", False)
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as in the base class
        """A field's name is said by where it stands; only titles that its author gives are more than that."""
        return False

    def p_arguments_schema(self, arguments: Any, var_args_schema: Any) -> dict[str, Any]:
        """With the names of parameters that have places only, so that callers can be told of them."""
        found = super().p_arguments_schema(arguments, var_args_schema)
        for argument, place in zip(arguments, found.get("prefixItems", []), strict=True):
            place.setdefault("title", argument["name"])
        return found

    def enum_schema(self, schema: Any) -> dict[str, Any]:
        """With the names of its members, which are what a caller's code knows them by."""
        return {**super().enum_schema(schema), "x-enum-varnames": [member.name for member in schema["members"]]}

    def decimal_schema(self, schema: Any) -> dict[str, Any]:
        """Told from other text and numbers."""
        return {**super().decimal_schema(schema), "format": "decimal"}

    def datetime_schema(self, schema: Any) -> dict[str, Any]:
        """With what it demands of the offset."""
        found, offset = super().datetime_schema(schema), schema.get("tz_constraint")
        return found if offset is None else {**found, "x-timezone": "naive" if offset == "naive" else "aware"}

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """With its keys, which need not be text on the wire."""
        found = super().dict_schema(schema)
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        return found if not keys or keys == {"type": "string"} else {**found, "x-keys": keys}

    def encode_default(self, dft: Any) -> Any:
        """The JSON form of a default."""
        try:
            encoded = super().encode_default(dft)
            json.dumps(encoded, allow_nan=False)
        except (UnicodeDecodeError, ValueError) as error:  # Pydantic 2.13 lets bytes, infinity and NaN through
            raise PydanticSerializationError(str(error)) from error
        return encoded


def request_schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON Schema of arguments; `{}` where they have none (a class that only Python knows)."""
    return _schema(adapter, "validation")


def response_schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON Schema of a result; `{}` where it has none."""
    return _schema(adapter, "serialization")


def _schema(adapter: TypeAdapter[Any], mode: Any) -> dict[str, Any]:
    try:
        return adapter.json_schema(mode=mode, schema_generator=_Generator)
    except PydanticInvalidForJsonSchema:
        return {}


def schema_text(kind: CallKind, request: dict[str, Any], response: dict[str, Any]) -> str:
    """Both schemas, and what kind of call takes them, as the JSON text that `pycrust.methods` answers with.

    The order of properties is kept: a struct that travels as an array is bound by it.
    """
    both = {"kind": kind, "request": request, "response": response}
    return json.dumps(both, separators=(",", ":"), default=str)


def schema_hash(text: str) -> int:
    """64 bits that tell the shape of one schema from another's, whatever its titles and descriptions say.

    Args:
        text: The JSON text of `{"request": …, "response": …}`.

    Examples:
        >>> documented = '{"request":{"type":"object","description":"Adds."},"response":{}}'
        >>> schema_hash(documented) == schema_hash('{"request":{"type":"object"},"response":{}}')
        True
        >>> schema_hash(documented) == schema_hash('{"request":{"type":"array"},"response":{}}')
        False
    """
    return int.from_bytes(hashlib.blake2b(shape_text(text).encode(), digest_size=8).digest(), "little")


def shape_text(text: str) -> str:
    """The JSON text of a method's schemas without what they say for people.

    Examples:
        >>> shape_text('{"request":{"title":"A","properties":{"title":{"title":"Title"}}},"response":{}}')
        '{"request":{"properties":{"title":{}}},"response":{}}'
    """
    method = json.loads(text)
    if not isinstance(method, dict):
        return text
    shapes = {
        key: _shape(value) if key in {"request", "response"} else value
        for key, value in cast("dict[str, Any]", method).items()
        if key not in _PROSE
    }
    return json.dumps(shapes, separators=(",", ":"))


def _shape(schema: Any) -> Any:
    """A schema without prose: where that is a keyword, and not the name of a property or a part of a value."""
    if not isinstance(schema, dict):
        return schema
    shape: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", schema).items():
        if key in _ONE:
            shape[key] = _shape(value)
        elif key in _LISTED and isinstance(value, list):
            shape[key] = [_shape(one) for one in cast("list[Any]", value)]
        elif key in _NAMED and isinstance(value, dict):
            shape[key] = {name: _shape(one) for name, one in cast("dict[str, Any]", value).items()}
        elif key not in _PROSE:
            shape[key] = value
    return shape
