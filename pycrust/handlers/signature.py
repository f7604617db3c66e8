"""A handler's signature with its annotations resolved to types."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections import abc
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Kinds of parameters that take one argument each.
SINGLE = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


Kind = Literal["function", "generator", "coroutine", "async_generator"]

#: What a handler that streams may be declared to return.
_STREAMS = (abc.Iterator, abc.Iterable, abc.Generator, abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator)


def check_callable(method: str, function: Callable[..., Any]) -> Kind:
    """What calling the function gives: a result, a generator, a coroutine or an async generator.

    Raises:
        TypeError: `function` is no function.
    """
    if not callable(function):
        raise TypeError(f"{method}: a handler is a function, not {type(function).__name__}")
    if isinstance(function, type):
        raise TypeError(
            f"{method}: {function.__qualname__} is a class; register a function, or mark the class's methods "
            "with @rpc_method and pass an instance to add_service()"
        )
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = cast("Any", inner).func
    if not isinstance(inner, (types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
        inner = getattr(inner, "__call__", inner)  # noqa: B004 - the bound method itself is inspected
    if inspect.iscoroutinefunction(inner):
        return "coroutine"
    if inspect.isasyncgenfunction(inner):
        return "async_generator"
    return "generator" if inspect.isgeneratorfunction(inner) else "function"


def check_bound(method: str, function: Callable[..., Any], signature: inspect.Signature) -> None:
    """Refuses a method of a class that no object was given for.

    Raises:
        TypeError: It is one.
    """
    owner, _, name = getattr(function, "__qualname__", "").rpartition(".")
    first = next(iter(signature.parameters), "")
    if isinstance(function, types.MethodType) or not owner or owner.endswith("<locals>"):
        return
    if first in {"self", "cls"}:
        cls = owner.rpartition(".")[2]
        raise TypeError(
            f"{method}: {cls}.{name} is a method, and there is no object to call it on: mark it with @rpc_method "
            f"in its class and pass an object to add_service({cls}()), or register one object's method, "
            f"register({cls}().{name})"
        )


def item_type(method: str, annotation: Any) -> Any:
    """The type of a stream's items, from the return annotation of the handler that makes them.

    Raises:
        TypeError: It is declared to return no stream.
    """
    if annotation is inspect.Signature.empty or annotation is Any:
        return annotation
    origin = typing.get_origin(annotation) or annotation
    if origin not in _STREAMS:
        raise TypeError(
            f"{method}: it yields, so its return type is an Iterator[...] or AsyncIterator[...] of the items, "
            f"not {annotation!r}"
        )
    items = typing.get_args(annotation)
    return items[0] if items else Any


def uploaded_type(method: str, signature: inspect.Signature, kind: Kind) -> Any:
    """The type of the arguments that a caller streams; `inspect.Signature.empty` if it streams none.

    Raises:
        TypeError: The handler takes an iterator that it can't be given.
    """
    found = [
        parameter
        for parameter in signature.parameters.values()
        if (typing.get_origin(parameter.annotation) or parameter.annotation) in (abc.Iterator, abc.AsyncIterator)
    ]
    if not found:
        return inspect.Signature.empty
    if len(signature.parameters) > 1:
        raise TypeError(f"{method}: {found[0].name!r} takes what the caller streams, so it is the only parameter")
    origin = typing.get_origin(found[0].annotation) or found[0].annotation
    wanted = abc.AsyncIterator if kind in {"coroutine", "async_generator"} else abc.Iterator
    if origin is not wanted:
        takes = f"{found[0].name!r} is an {wanted.__name__}"
        raise TypeError(f"{method}: in {kind.replace('_', ' ')} handlers, {takes}")
    items = typing.get_args(found[0].annotation)
    return items[0] if items else Any


def resolved_signature(method: str, function: Callable[..., Any], names: Mapping[str, Any]) -> inspect.Signature:
    """Reads a signature and resolves its annotations, also those that are strings.

    Args:
        method: The method's name, for errors.
        function: The handler.
        names: Names beyond the function's globals that annotations may use: the locals of its definition.

    Returns:
        A signature in which every annotation is a type.

    Raises:
        TypeError: There is no signature, or an annotation can't be resolved.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{method}: the signature can't be read: {error}") from error
    hints = _hints(method, function, names)
    parameters = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
    ]
    returns = hints.get("return", signature.return_annotation)
    return signature.replace(parameters=parameters, return_annotation=returns)


def stand_in(signature: inspect.Signature, function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function of this signature, for Pydantic to read in place of any kind of callable."""

    def handler() -> None:
        """Is read, never called."""

    handler.__name__ = getattr(function, "__name__", type(function).__name__)
    handler.__qualname__ = getattr(function, "__qualname__", handler.__name__)
    handler.__module__ = getattr(function, "__module__", None) or type(function).__module__
    handler.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - inspect reads it
    empty = inspect.Parameter.empty
    handler.__annotations__ = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.annotation is not empty
    }
    return handler


def _hints(method: str, function: Callable[..., Any], names: Mapping[str, Any]) -> dict[str, Any]:
    source: Any = function
    while isinstance(source, functools.partial):
        source = cast("Any", source).func
    if not hasattr(source, "__annotations__"):
        source = type(source).__call__  # an object with __call__
        if not hasattr(source, "__annotations__"):
            return {}  # a built-in
    try:
        return typing.get_type_hints(source, localns={**names, **closure_names(source)}, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{method}: an annotation names {error.name!r}, which isn't defined; define it before registering"
        ) from error
    except Exception as error:
        raise TypeError(f"{method}: an annotation can't be resolved: {error}") from error


def closure_names(function: Any) -> dict[str, Any]:
    """What a function's free variables are bound to, those that are bound already."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    found: dict[str, Any] = {}
    for name, cell in (
        zip(getattr(code, "co_freevars", ()), function.__closure__ or (), strict=True) if code else ()
    ):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # an empty cell: the name is bound later
            continue
    return found
