"""Arguments that a JSON Schema describes, such as one that Rust's `schemars` makes: `register(request_schema=…)`.

They are validated by the `jsonschema` package, as Draft 2020-12 has it; what doesn't fit is told in Pydantic's
words, so that a caller needs not know by what its arguments were validated. The handler gets them as they came.

MessagePack has values that JSON has not. Bytes fit `"format": "binary"`, and an array of numbers of one byte each
(a `Vec<u8>`); timestamps fit `"format": "date-time"`; arrays and tensors fit `"x-array"`. A key that is no text
counts as the text that JSON has for it.

`jsonschema` is Python: a value takes it some tens of microseconds, where Pydantic takes a fraction of one. What is
many numbers is better an array (`"x-array"`), and what is called a thousand times a second better a model.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
import typing
from collections import abc
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import ValidationError

from pycrust.handlers.request_schema.checks import check_schema, resolved
from pycrust.handlers.request_schema.telling import custom, line, shortly, told
from pycrust.handlers.request_schema.validating import validator_of, with_text_keys
from pycrust.handlers.signature import SINGLE
from pycrust.values.invalid import MOST, leave_out

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator

    from pydantic_core import ArgsKwargs

    from pycrust.handlers.request_schema.checks import Schema
    from pycrust.handlers.request_schema.telling import Mistake

_INSTALL = "pip install 'pycrust[schema]'"
#: Mistakes that are counted.
_COUNTED = 1_000


def read_schema(method: str, given: Any) -> Schema:
    """The schema that `request_schema=` was given.

    Args:
        method: The method's name, for errors.
        given: A dict, JSON text, or the path of a file of it.

    Raises:
        TypeError: It is something else, or no JSON object.
        ValueError: The file can't be read, or it is no JSON.
    """
    where = "request_schema"
    if isinstance(given, Path):
        where = f"request_schema={given}"
        try:
            given = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{method}: {where} can't be read: {error}") from error
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            hint = "" if "{" in given else "; for a file, give its pathlib.Path"
            raise ValueError(f"{method}: {where} is no JSON: {error}{hint}") from error
    if not isinstance(given, dict):
        raise TypeError(
            f"{method}: {where} is a JSON Schema, an object: a dict, JSON text or a pathlib.Path to a file of "
            f"it, not {type(given).__name__}"
        )
    # As it is now: whoever changes the dict later changes no handler.
    return copy.deepcopy(cast("Schema", given))


class GivenSchema:
    """A schema that arguments are validated by.

    Args:
        method: The method's name, for errors.
        schema: The schema.
        signature: The handler's, without its models.

    Attributes:
        schema: The schema, as it was given.
        fields: The names of the arguments in order, by which they are bound by position.
        core: Those names as Pydantic's core schemas have them, for what hides arguments by their names.

    Raises:
        ImportError: `jsonschema` is not installed.
        TypeError: The handler can't take what the schema describes.
        ValueError: The schema is wrong; the message says where and why.
    """

    def __init__(self, method: str, schema: Schema, signature: inspect.Signature) -> None:
        """Checks the schema and the handler against it."""
        if importlib.util.find_spec("jsonschema") is None:
            raise ImportError(
                f"{method}: request_schema= needs the package jsonschema: {_INSTALL}", name="jsonschema"
            )
        self._method = method
        self.schema = schema
        check_schema(method, schema)
        root = resolved(schema, schema)
        properties: dict[str, Any] = root.get("properties", {})
        self.fields = tuple(properties)
        self._rest = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
        #: Whether what the schema doesn't name is refused: nobody has said that it may come.
        self._closed = not self._rest and not any(
            key in root for key in ("additionalProperties", "patternProperties", "unevaluatedProperties")
        )
        self._defaults = _check_handler(method, root, signature, rest=self._rest)
        self._validator = validator_of(schema)
        #: For the names of what comes by position, a core schema's outline of the arguments.
        self.core = {
            "type": "arguments",
            "arguments_schema": [{"name": name, "schema": {"type": "any"}} for name in self.fields],
        }

    def validate(self, arguments: ArgsKwargs) -> tuple[tuple[()], dict[str, Any]]:
        """The keywords of a call, as the native side asks for them.

        Raises:
            ValidationError: The arguments don't fit.
        """
        named: dict[str, Any] = dict(zip(self.fields, arguments.args, strict=False))
        if len(arguments.args) > len(self.fields):
            kind = custom("arguments", "Arguments are taken by name: the schema gives them no order")
            raise self._error(iter([((), kind, arguments.args)]))
        named.update(arguments.kwargs or {})
        try:
            mistakes = self._mistakes(named)
            first = next(mistakes, None)
            if first is not None:
                raise self._error(itertools.chain([first], mistakes))
        except RecursionError:
            kind = custom("too_deep", "Input is nested too deeply to be validated")
            raise self._error(iter([((), kind, named)])) from None
        for name, default in self._defaults.items():
            if name not in named:
                named[name] = copy.deepcopy(default)
        return (), named

    def _mistakes(self, named: dict[str, Any]) -> Iterator[Mistake]:
        if self._closed:
            for name, value in named.items():
                if name not in self.fields:
                    yield (name,), "extra_forbidden", value
        for error in self._validator.iter_errors(with_text_keys(named)):
            yield from told(error, ())

    def _error(self, mistakes: Iterator[Mistake]) -> ValidationError:
        counted = list(itertools.islice(mistakes, _COUNTED))
        lines = [line(one) for one in counted[:MOST]]
        return leave_out(ValidationError.from_exception_data(self._method, lines), len(counted) - len(lines))


def _check_handler(method: str, root: Schema, signature: inspect.Signature, *, rest: bool) -> dict[str, Any]:
    """The values of arguments that nobody needs to send, for parameters that have no default of their own.

    Raises:
        TypeError: The handler can't take what the schema describes.
    """
    kind = root.get("type", "object")
    if kind != "object":
        raise TypeError(
            f"{method}: request_schema describes {shortly(kind)}, and arguments are an object's properties"
        )
    choices = any(key in root for key in ("oneOf", "anyOf", "allOf", "patternProperties"))
    if (choices or root.get("additionalProperties", False) is not False) and not rest:
        raise TypeError(
            f"{method}: request_schema allows arguments that it doesn't name, the handler has no **kwargs for them"
        )
    properties: dict[str, Any] = root.get("properties", {})
    known = {*properties, *root.get("required", ())}
    for name, parameter in signature.parameters.items():
        if typing.get_origin(parameter.annotation) in (abc.Iterator, abc.AsyncIterator):
            raise TypeError(
                f"{method}: request_schema= describes the arguments of one call, and {name!r} takes a stream of "
                "them: declare their type, Iterator[...]"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{method}: {name!r} is positional-only, and a schema's arguments are given by name")
        if parameter.kind in SINGLE and parameter.default is parameter.empty and name not in known:
            raise TypeError(f"{method}: the handler requires {name!r}, request_schema has no such property")
    return _defaults(method, root, signature, rest=rest)


def _defaults(method: str, root: Schema, signature: inspect.Signature, *, rest: bool) -> dict[str, Any]:
    required = set(root.get("required", ()))
    by_keyword = {name: one for name, one in signature.parameters.items() if one.kind in SINGLE[1:]}
    defaults: dict[str, Any] = {}
    properties: dict[str, Any] = root.get("properties", {})
    for name, described in properties.items():
        parameter = by_keyword.get(name)
        if parameter is None:
            if not rest:
                raise TypeError(f"{method}: request_schema has {name!r}, the handler has no parameter of that name")
        elif parameter.default is parameter.empty and name not in required:
            if not isinstance(described, dict) or "default" not in described:
                raise TypeError(
                    f"{method}: request_schema doesn't require {name!r}: give the handler's parameter a default"
                )
            defaults[name] = described["default"]
    return defaults
