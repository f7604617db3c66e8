"""Methods of a class as handlers: `@rpc_method` marks them, `add_service` collects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from pycrust.registration import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Function = TypeVar("Function", bound="Callable[..., Any]")

_MARK = "__pycrust_method__"


@dataclass(frozen=True, slots=True)
class Mark:
    """What `@rpc_method` leaves on a function."""

    name: str | None
    options: Options


@overload
def rpc_method(name: Function, /) -> Function: ...
@overload
def rpc_method(
    name: str | None = None,
    *,
    request_model: Any = None,
    response_model: Any = None,
    concurrency: int | None = None,
    warmup: Any = None,
    context: Any = None,
    loop: Any = "worker",
    batch: Any = None,
    record: bool = True,
) -> Callable[[Function], Function]: ...
def rpc_method(name: Any = None, **options: Any) -> Any:
    """Marks a method for `RpcEndpoint.add_service` to collect.

    Args:
        name: The method's name for callers; its own by default.
        **options: As in `RpcEndpoint.register`.

    Returns:
        The function unchanged, or a decorator that returns it unchanged.

    Examples:
        >>> class Arm:
        ...     def __init__(self):
        ...         self.angle = 0.0
        ...
        ...     @rpc_method
        ...     def turn(self, by: float) -> float:
        ...         self.angle += by
        ...         return self.angle
        >>> [name for name, _, _ in marked_methods(Arm())]
        ['turn']
    """
    if callable(name):
        _mark(name, Mark(None, Options(**options)))
        return name

    mark = Mark(cast("str | None", name), Options(**options))

    def decorate(function: Function) -> Function:
        _mark(function, mark)
        return function

    return decorate


def _mark(function: Any, mark: Mark) -> None:
    # A static or class method hands out the function inside, which is what the mark is read from.
    setattr(getattr(function, "__func__", function), _MARK, mark)


def marked_methods(service: object) -> Iterator[tuple[str, Callable[..., Any], Options]]:
    """The marked methods of an object, bound, in order of their definition; those of base classes first.

    Raises:
        TypeError: `service` is a class and not an instance.
    """
    if isinstance(service, type):
        raise TypeError(f"add_service takes an instance: {service.__qualname__}(), not the class")
    seen: set[str] = set()
    for cls in reversed(type(service).__mro__):
        for attribute in vars(cls):
            if attribute in seen:
                continue
            bound = getattr(service, attribute, None) if _is_marked(type(service), attribute) else None
            if bound is None:
                continue
            seen.add(attribute)
            mark: Mark = getattr(bound, _MARK)
            yield mark.name or attribute, bound, mark.options


def _is_marked(cls: type, attribute: str) -> bool:
    # On the class, so that no property of the instance is run.
    found = getattr(cls, attribute, None)
    return callable(found) and isinstance(getattr(found, _MARK, None), Mark)
