"""Results: validated and serialised by their declared type, or simplified value by value.

The serialised form keeps what MessagePack has a form for (bytes, aware datetimes); the native encoder asks
`fallback` for everything that it doesn't know.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping
from inspect import Signature
from typing import Any, cast

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import MultiHostUrl, PydanticSerializationError, Url, to_jsonable_python

from pycrust.arrays.absent import Absent
from pycrust.handlers.arguments import ARBITRARY
from pycrust.handlers.schema import response_schema
from pycrust.text.kinds import kind_of
from pycrust.values.numpy_scalars import pandas_time, scalar

#: Core schemas whose values the native encoder takes as they are, or `fallback` turns into what Pydantic would.
_AS_THEY_ARE = frozenset({
    "any",
    "bool",
    "bytes",
    "date",
    "datetime",
    "decimal",
    "dict",
    "enum",
    "float",
    "int",
    "list",
    "literal",
    "none",
    "nullable",
    "set",
    "frozenset",
    "str",
    "time",
    "timedelta",
    "tuple",
    "union",
    "uuid",
})  # fmt: skip

#: Types whose JSON form by Pydantic stands for them on the wire.
_BY_PYDANTIC = (
    dt.date,  # dt.datetime derives from it
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    re.Pattern,
    fractions.Fraction,
    Url,
    MultiHostUrl,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ResultPlan:
    """How a handler's result becomes something that can be encoded."""

    validate: Callable[[Any], Any] | None
    serialize: Callable[[Any], Any] | None
    #: The JSON Schema of a response.
    schema: dict[str, Any]
    #: What it is validated by; `None` is anything.
    core: Mapping[str, Any] | None = None


def plan_result(method: str, annotation: Any) -> ResultPlan:
    """Builds what validates and serialises a result.

    Args:
        method: The method's name, for errors.
        annotation: The declared type; `inspect.Signature.empty` or `Any` declares none.

    Returns:
        The plan. Its steps are methods of pydantic-core's; a step that would change nothing is `None`.

    Raises:
        TypeError: Pydantic can't make a schema of the type.
    """
    if annotation is Signature.empty or annotation is Any:
        return ResultPlan(None, None, {})
    try:
        adapter = _adapter(annotation)
    except Exception as error:  # Pydantic's errors have no common class, and annotations run a user's code
        raise TypeError(f"{method}: no validator can be made for the result: {error}") from error
    core = cast("dict[str, Any]", adapter.core_schema)
    validate: Callable[[Any], Any] = adapter.validator.validate_python
    if _contains_struct(core):
        # An instance of a class that was defined again under the same name is read field by field.
        validate = functools.partial(validate, from_attributes=True)
    serialize: Callable[[Any], Any] | None = None
    if not _as_it_is(core):
        # Without keywords where there is a choice: parsing them takes as long as serialising a small model
        # (1.4 µs alone, 2.1 µs with `by_alias`, 5 µs with `warnings="error"`, measured here).
        serialize = adapter.serializer.to_python
        if _has_alias(core):
            serialize = functools.partial(serialize, by_alias=True)
    return ResultPlan(validate, serialize, response_schema(adapter), core)


def fallback(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
    """A simpler value that stands for `value` on the wire, or `value` itself where there is none.

    The native encoder asks for every value that isn't exactly one of MessagePack's types or an aware
    datetime; it goes on with what it gets, and refuses a value that comes back unchanged and is no kind of
    those types.

    Examples:
        >>> import decimal, uuid
        >>> fallback(decimal.Decimal("1.50"))
        '1.50'
        >>> fallback(uuid.UUID(int=1))
        '00000000-0000-0000-0000-000000000001'
    """
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Absent):
        return repr(value)  # where a recorded call is saved
    value = pandas_time(value)
    cls = kind_of(value)
    if dataclasses.is_dataclass(cls):
        return _dataclass_to_dict(value)
    if issubclass(cls, _BY_PYDANTIC):
        return _json_form(value)
    if cls.__module__ == "numpy" and hasattr(value, "item"):
        return scalar(value)
    if isinstance(value, collections.deque):
        return list(cast("collections.deque[Any]", value))
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return dict(cast("Mapping[Any, Any]", value))
    return _by_own_schema(value)


def _dataclass_to_dict(value: Any) -> dict[str, Any]:
    cls = kind_of(value)
    serializer: Any = getattr(cls, "__pydantic_serializer__", None)
    if serializer is not None:
        return serializer.to_python(value, by_alias=True)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _json_form(value: Any) -> Any:
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return value


def _by_own_schema(value: Any) -> Any:
    """A type that tells Pydantic itself how it is serialised (Secret, Color, a user's own)."""
    cls = kind_of(value)
    if not hasattr(cls, "__get_pydantic_core_schema__"):
        return value
    try:
        return _serializer_of(cls)(value)
    except (PydanticUserError, PydanticSchemaGenerationError, PydanticSerializationError):
        return value


@functools.lru_cache(maxsize=256)
def _serializer_of(cls: type) -> Callable[[Any], Any]:
    return functools.partial(TypeAdapter(cls).serializer.to_python, mode="json", by_alias=True)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ARBITRARY)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(annotation)  # a model's own config decides


def _schemas_in(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas directly inside a container's or a union's."""
    inner: list[Any] = [
        schema[key] for key in ("schema", "items_schema", "keys_schema", "values_schema") if key in schema
    ]
    inner += schema.get("choices", []) if schema["type"] == "union" else []
    flat: list[Any] = []
    for one in inner:
        flat += cast("list[Any]", one) if isinstance(one, list) else [one]
    return [cast("Any", part)[0] if isinstance(part, tuple) else part for part in flat]  # a choice may be labelled


def _as_it_is(schema: dict[str, Any]) -> bool:
    """Whether serialising a valid value would leave it as the encoder wants it."""
    return (
        schema["type"] in _AS_THEY_ARE
        and "serialization" not in schema
        and all(_as_it_is(inner) for inner in _schemas_in(schema))
    )


def _contains_struct(schema: dict[str, Any]) -> bool:
    return not _as_it_is(schema)


def _has_alias(part: Any) -> bool:
    """Whether anything in a core schema has another name outside."""
    if isinstance(part, dict):
        schema = cast("dict[str, Any]", part)
        if schema.get("serialization_alias") is not None or (
            schema.get("type") == "computed-field" and "alias" in schema
        ):
            return True
        return any(_has_alias(value) for key, value in schema.items() if key not in {"metadata", "default"})
    return isinstance(part, (list, tuple)) and any(_has_alias(item) for item in cast("list[Any]", part))
