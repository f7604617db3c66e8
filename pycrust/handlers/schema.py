"""The JSON Schemas that clients see, and their hash."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError

from pycrust.arrays.annotations import is_array_class
from pycrust.handlers.structs import extra_behavior

if TYPE_CHECKING:
    from pydantic import TypeAdapter


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

    def encode_default(self, dft: Any) -> Any:
        """The JSON form of a default."""
        try:
            return super().encode_default(dft)
        except UnicodeDecodeError as error:  # Pydantic 2.13 lets it through
            raise PydanticSerializationError(str(error)) from error


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


def schema_text(request: dict[str, Any], response: dict[str, Any]) -> str:
    """Both schemas as the JSON text that `pycrust.methods` answers with.

    The order of properties is kept: a struct that travels as an array is bound by it.
    """
    return json.dumps({"request": request, "response": response}, separators=(",", ":"), default=str)


def schema_hash(text: str) -> int:
    """64 bits that tell one schema from another.

    Examples:
        >>> schema_hash("{}") == schema_hash("{}"), schema_hash("{}") == schema_hash("[]")
        (True, False)
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
