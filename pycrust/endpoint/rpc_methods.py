"""Methods of a class as handlers: `@rpc_method` marks them, `add_service` collects them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from pycrust.handlers.options import Options, shows_options
from pycrust.handlers.registration import Registration, make_registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pycrust.handlers.options import RegisterOptions
    from pycrust.service.service import Service

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
def rpc_method(name: str | None = None, **options: Unpack[RegisterOptions]) -> Callable[[Function], Function]: ...
@shows_options
def rpc_method(name: Any = None, **options: Unpack[RegisterOptions]) -> Any:
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
        _mark(name, Mark(None, Options.of(options)))
        return name

    mark = Mark(cast("str | None", name), Options.of(options))

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


def service_registrations(
    host: Service, service: object, prefix: str, names: Mapping[str, Any]
) -> list[Registration]:
    """The changes that make an object's marked methods live, in place of those of an earlier object of its class.

    Args:
        host: The endpoint.
        service: The object.
        prefix: Put before each method's name.
        names: Names that annotations may use.

    Raises:
        TypeError: `service` is a class and not an instance.
        ValueError: Nothing is marked.
        Exception: Whatever its `__handover__` raises.
    """
    cls = type(service)
    key = f"{prefix}{cls.__module__}.{cls.__qualname__}"
    made = [
        replace(make_registration(function, prefix + name, options, names, host), service=key)
        for name, function, options in marked_methods(service)
    ]
    if not made:
        raise ValueError(f"{cls.__qualname__} has no method that is marked with @rpc_method")
    before = host.catalog.of_service(key)
    old = next((found for one in before.values() if (found := _instance(one)) not in (None, service)), None)
    if old is not None:
        made[0] = replace(made[0], note=_hand_over(service, old))
    kept = {one.method for one in made}
    return made + [Registration(method) for method in before if method not in kept]


def _instance(registration: Registration) -> object:
    """The object that a registered method is bound to."""
    fingerprint = registration.fingerprint
    return getattr(fingerprint.function, "__self__", None) if fingerprint is not None else None


def _hand_over(service: object, old: object) -> str:
    """Lets a new object take over what an earlier one knows; gives what the line about the swap says of it."""
    take_over: Any = getattr(service, "__handover__", None)
    cls = type(service).__qualname__
    if take_over is not None:
        take_over(old)
        return f"; {cls} took over the earlier object's state"
    state: dict[str, Any] = getattr(old, "__dict__", {})
    if not state:
        return ""
    return (
        f"; the earlier {cls}'s state is let go: {', '.join(sorted(state))} (__handover__(self, old) can take it)"
    )
