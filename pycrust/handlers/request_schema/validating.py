"""A validator by a JSON Schema, for values that came by MessagePack."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import itertools
import json
import re
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticCustomError

from pycrust.arrays.annotations import DType, Shape
from pycrust.text.kinds import kind_of
from pycrust.values.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pycrust.handlers.request_schema.checks import Schema

_BYTE = 255
#: Mistakes of each choice of a union that are looked for.
_OF_EACH_CHOICE = 8
_INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64, 128)}


def validator_of(schema: Schema) -> Any:
    """One of jsonschema's validators, which fetches nothing and tells what is wrong without writing values out."""
    module: Any = importlib.import_module("jsonschema")
    registry: Any = importlib.import_module("jsonschema_specifications").REGISTRY
    base: Any = module.Draft202012Validator
    made: Any = module.validators.extend(
        base,
        {
            "type": _type,
            "required": _required,
            "additionalProperties": _additional(base.VALIDATORS["additionalProperties"]),
            "uniqueItems": _unique,
            "anyOf": _any_of,
            "oneOf": _one_of,
        },
    )
    # With a registry of its own that fetches nothing.
    return made(schema, registry=registry, format_checker=_formats())


@functools.cache
def _formats() -> Any:
    """What is looked at of `format`: the ranges of Rust's integers, and texts that stand for something."""
    module: Any = importlib.import_module("jsonschema")
    base: Any = module.Draft202012Validator.FORMAT_CHECKER
    checker: Any = module.FormatChecker(formats=())
    checker.checkers = {
        name: base.checkers[name] for name in ("date", "uuid", "ipv4", "ipv6") if name in base.checkers
    }
    for name, (sign, bits) in _INTEGERS.items():
        checker.checkers[name] = functools.partial(_in_range, sign == "u", bits), ()
    checker.checkers["uint"] = functools.partial(_in_range, True, 64), ()  # noqa: FBT003 - a usize
    checker.checkers["int"] = functools.partial(_in_range, False, 64), ()  # noqa: FBT003 - an isize
    checker.checkers["date-time"] = _is_moment, ()
    return checker


def _in_range(unsigned: bool, bits: int, value: Any) -> bool:  # noqa: FBT001 - by position in a partial
    if type(value) not in {int, float}:
        return True
    return 0 <= value < 1 << bits if unsigned else -(1 << bits - 1) <= value < 1 << bits - 1


def _is_moment(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return _is_fine_moment(value)
    return True


def _is_fine_moment(value: str) -> bool:
    try:
        Timestamp.parse(value)
    except ValueError:
        return False
    return True


def _type(validator: Any, types: Any, instance: Any, schema: Schema) -> Iterator[Any]:
    """`type`, which knows of values that JSON has no form for."""
    wanted: list[str] = [types] if isinstance(types, str) else types
    if any(validator.is_type(instance, one) for one in wanted) or _fits_beyond_json(instance, wanted, schema):
        return
    yield _mistake("")


def _fits_beyond_json(value: Any, types: list[str], schema: Schema) -> bool:
    if isinstance(value, bytes):
        given = schema.get("items")
        items = cast("Schema", given) if isinstance(given, dict) else {}
        of_bytes = items.get("format") == "uint8" or items.get("maximum") == _BYTE
        return ("string" in types and schema.get("format") == "binary") or ("array" in types and of_bytes)
    if isinstance(value, (dt.datetime, Timestamp)):
        return "string" in types and schema.get("format") == "date-time"
    if "array" in types and "x-array" in schema and hasattr(value, "dtype") and hasattr(value, "shape"):
        return _fits_array(value, schema)
    return False


def _fits_array(value: Any, schema: Schema) -> bool:
    try:
        if "dtype" in schema:
            DType(schema["dtype"]).check(value)
        if "shape" in schema:
            Shape(*(... if size == "..." else size for size in schema["shape"])).check(value)
    except (PydanticCustomError, ValueError, TypeError):
        return False
    return True


def _required(validator: Any, required: list[str], instance: Any, _schema: Schema) -> Iterator[Any]:
    """`required`, which says where something is missing."""
    if validator.is_type(instance, "object"):
        yield from (_mistake(name) for name in required if name not in instance)


def _additional(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def additional(validator: Any, allowed: Any, instance: Any, schema: Schema) -> Iterator[Any]:
        """`additionalProperties`, which names each of what is too much."""
        if allowed is not False:
            yield from original(validator, allowed, instance, schema)
        elif validator.is_type(instance, "object"):
            by_pattern: Schema = schema.get("patternProperties", {})
            patterns = [re.compile(one) for one in by_pattern]
            known: Schema = schema.get("properties", {})
            for name in instance:
                if name not in known and not any(one.search(name) for one in patterns):
                    yield _mistake(name)

    return additional


def _any_of(validator: Any, choices: list[Any], instance: Any, _schema: Schema) -> Iterator[Any]:
    """`anyOf`, which looks for no more mistakes of a choice than are of use: it is jsonschema's work that costs."""
    found: list[Any] = []
    for index, choice in enumerate(choices):
        of_choice: Iterator[Any] = validator.descend(instance, choice, schema_path=index)
        mistakes = list(itertools.islice(of_choice, _OF_EACH_CHOICE))
        if not mistakes:
            return
        found += mistakes
    yield _mistake("", found)


def _one_of(validator: Any, choices: list[Any], instance: Any, _schema: Schema) -> Iterator[Any]:
    """`oneOf`, as `anyOf` above."""
    found: list[Any] = []
    fitting = 0
    for index, choice in enumerate(choices):
        of_choice: Iterator[Any] = validator.descend(instance, choice, schema_path=index)
        mistakes = list(itertools.islice(of_choice, _OF_EACH_CHOICE))
        found += mistakes
        fitting += not mistakes
    if fitting != 1:
        yield _mistake("", found if not fitting else ())


def _unique(validator: Any, wanted: bool, instance: Any, _schema: Schema) -> Iterator[Any]:  # noqa: FBT001 - jsonschema's form
    """`uniqueItems` in the time that reading the items takes: jsonschema compares each map with each other one."""
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[Any] = set()
    for item in instance:
        key = _key(item)
        if key in seen:
            yield _mistake("")
            return
        seen.add(key)


def _key(value: Any) -> Any:
    """What is equal for values that JSON Schema calls equal: `1` and `1.0` are, `1` and `true` are not."""
    if isinstance(value, dict):
        return "{", frozenset((name, _key(inner)) for name, inner in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return "[", tuple(_key(inner) for inner in cast("list[Any]", value))
    if isinstance(value, bool):
        return "bool", value
    return repr(value) if kind_of(value).__hash__ is None else value


def _mistake(step: str, context: Sequence[Any] = ()) -> Any:
    module: Any = importlib.import_module("jsonschema")
    return module.ValidationError(step, context=context)


def with_text_keys(value: Any) -> Any:
    """A value whose maps have text as keys, as JSON's do; itself where they have."""
    if type(value) is list:
        items = cast("list[Any]", value)
        made = [with_text_keys(one) for one in items]
        return made if any(new is not old for new, old in zip(made, items, strict=True)) else items
    if type(value) is dict:
        pairs = cast("dict[Any, Any]", value)
        new = {_text_key(key): with_text_keys(inner) for key, inner in pairs.items()}
        same = all(type(key) is str for key in pairs) and all(new[key] is pairs[key] for key in pairs)
        return cast("Any", value) if same else new
    return value


def _text_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return json.dumps(key) if key is None or isinstance(key, (bool, int, float)) else str(key)
