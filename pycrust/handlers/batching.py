"""Handlers that take many calls at once: `register(batch=Batch(...))`."""

from __future__ import annotations

import inspect
import typing
from collections import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pycrust.handlers.signature import Kind

#: What a batch handler's parameter and its result may be declared as.
_LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection)


@dataclass(frozen=True, slots=True)
class Batch:
    """How calls are gathered for a handler that takes a list of them.

    A batch runs as soon as `max_size` calls wait or the first of them has waited for `max_wait_us`; calls that
    come while a batch runs are the next one.

    Args:
        max_size: Calls that one batch has at most, 1 to 65,536.
        max_wait_us: Microseconds that the first call of a batch waits for others; 0 takes what is there.

    Raises:
        ValueError: A value is out of bounds.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("batch-doc")
        >>> @endpoint.register(batch=Batch(max_size=32, max_wait_us=100))
        ... def square(values: list[float]) -> list[float]:
        ...     return [value * value for value in values]
        >>> endpoint["square"](3)
        9.0
    """

    max_size: int = 64
    max_wait_us: float = 200.0

    def __post_init__(self) -> None:
        """Checks the bounds."""
        if not 1 <= self.max_size <= 1 << 16:
            raise ValueError(f"a batch has 1 to 65536 calls, not {self.max_size}")
        if not 0 <= self.max_wait_us <= 60e6:  # noqa: PLR2004 - a minute
            raise ValueError(f"max_wait_us is 0 to 60000000 (a minute), not {self.max_wait_us}")


@dataclass(frozen=True, slots=True)
class EachCall:
    """What one call of a batch is: the signature that its arguments are bound by, and the model, if one is."""

    signature: inspect.Signature
    request_model: type[BaseModel] | None


def each_call(
    method: str, kind: Kind, signature: inspect.Signature, request_model: type[BaseModel] | None
) -> EachCall:
    """What one call of a batch handler brings and gets.

    Args:
        method: The method's name, for errors.
        kind: What calling the handler gives.
        signature: The handler's: one parameter that is a list, and a list as result.
        request_model: What validates one call's arguments.

    Returns:
        The signature of a handler for one of the calls.

    Raises:
        TypeError: The handler takes or gives something else.
    """
    if kind != "function":
        raise TypeError(f"{method}: batch= is for handlers that return their results, not for {kind}s")
    parameters = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 1 or parameters[0].kind not in positional:
        raise TypeError(
            f"{method}: a batch handler has one parameter, the list of its calls' arguments, not "
            f"({', '.join(signature.parameters)})"
        )
    item = _item(method, f"{parameters[0].name!r} takes", parameters[0].annotation)
    if request_model is None and isinstance(item, type) and issubclass(item, BaseModel):
        request_model = item
    if request_model is not None:
        if item is not request_model and item is not inspect.Parameter.empty and item is not Any:
            raise TypeError(
                f"{method}: {parameters[0].name!r} takes a list of {request_model.__name__}, not of {item!r}"
            )
        item = request_model
    return EachCall(
        signature.replace(
            parameters=[parameters[0].replace(annotation=item, default=inspect.Parameter.empty)],
            return_annotation=_item(method, "it returns", signature.return_annotation),
        ),
        request_model,
    )


def _item(method: str, what: str, declared: Any) -> Any:
    """The type inside of a list's."""
    if declared is inspect.Signature.empty or declared is Any:
        return declared
    origin = typing.get_origin(declared) or declared
    if origin not in _LISTS:
        raise TypeError(f"{method}: {what} a list, one for each call of the batch, not {declared!r}")
    items = typing.get_args(declared)
    return items[0] if items else Any


def details(batch: Batch | None) -> Mapping[str, Any]:
    """What the native side needs to know of it."""
    return {"batch": None if batch is None else (batch.max_size, int(batch.max_wait_us))}
