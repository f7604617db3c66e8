"""Forward references inside of models: those that can be resolved now are, and what is not defined is named."""

from __future__ import annotations

import inspect
import typing
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, cast, is_typeddict

from pydantic import BaseModel
from pydantic.errors import PydanticUndefinedAnnotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def resolve_references(method: str, annotations: Iterable[Any], names: Mapping[str, Any]) -> None:
    """Completes the models among annotations, and those that these name.

    Args:
        method: The method's name, for errors.
        annotations: The types that a handler was registered with.
        names: Names beyond a model's module that its references may use.

    Raises:
        TypeError: A model names what isn't defined.
    """
    seen: set[int] = set()
    for annotation in annotations:
        _resolve(method, annotation, names, seen)


def _resolve(method: str, annotation: Any, names: Mapping[str, Any], seen: set[int]) -> None:
    if id(annotation) in seen:
        return
    seen.add(id(annotation))
    for argument in typing.get_args(annotation):
        _resolve(method, argument, names, seen)
    if not isinstance(annotation, type) or not _has_fields(annotation):
        return
    for hint in _hints(method, annotation, names).values():
        _resolve(method, hint, names, seen)
    if issubclass(annotation, BaseModel):
        _complete(method, annotation, names)


def _has_fields(cls: Any) -> bool:
    """Whether its annotations are read when a validator is made, and not resolved yet."""
    if issubclass(cls, BaseModel):
        return not cls.__pydantic_complete__
    # The last of these are named tuples'.
    return is_dataclass(cls) or is_typeddict(cls) or getattr(cls, "_fields", None) is not None


def _hints(method: str, cls: type[Any], names: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, localns={**names, cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise _undefined(method, cls, error.name) from error
    except Exception:  # noqa: BLE001 - annotations run a user's code; Pydantic says more about it
        return {}


def _complete(method: str, model: type[BaseModel], names: Mapping[str, Any]) -> None:
    around = vars(inspect.getmodule(model) or object)
    try:
        model.model_rebuild(_types_namespace={**around, **names})
    except PydanticUndefinedAnnotation as error:
        raise _undefined(method, model, error.name) from error


def _undefined(method: str, cls: Any, name: str | None) -> TypeError:
    owner = cast("type[Any]", cls).__qualname__
    return TypeError(f"{method}: {owner} names {name!r}, which isn't defined; define it before registering")
