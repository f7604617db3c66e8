"""The checks that a call passes through, for a user's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrust._extension import Handler, crossed
from pycrust.handlers.arguments import plan_arguments
from pycrust.handlers.registration import locals_around, method_name
from pycrust.handlers.results import plan_result
from pycrust.handlers.signature import check_callable, resolved_signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel


def validate_arguments(
    function: Callable[..., Any], arguments: Any = None, *, request_model: type[BaseModel] | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a handler would be called with if these arguments arrived.

    Args:
        function: The handler; it is not called.
        arguments: A dict binds by name, a list by position, `None` is no argument, any other value is the
            single positional argument.
        request_model: As in `RpcEndpoint.register`.

    Returns:
        The positional arguments and the keywords, validated.

    Raises:
        pydantic.ValidationError: The arguments don't validate.
        TypeError: They can't be bound, or the function can't be a handler.

    Examples:
        >>> def add(a: int, b: int = 1) -> int:
        ...     return a + b
        >>> validate_arguments(add, ["10"])
        ((10,), {'b': 1})
    """
    method = method_name(function, "handler")
    check_callable(method, function)
    names = locals_around(0)
    plan = plan_arguments(method, function, resolved_signature(method, function, names), request_model, names)

    def received(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, kwargs

    handler = Handler(received, mode=plan.mode, validate=plan.validate, fields=plan.fields, more=plan.more)
    return handler.start(crossed(arguments))


def validate_result(value: Any, declared: Any) -> Any:
    """What a caller would get if a handler with this declared result returned `value`.

    Args:
        value: The result.
        declared: Its type, as in a return annotation or `response_model`.

    Returns:
        The result, validated, serialised, and read again as a Python client reads it.

    Raises:
        pydantic.ValidationError: The value doesn't fit the type.
        TypeError: It can't be serialised; the message names the type and the path to it.

    Examples:
        >>> import datetime
        >>> validate_result(datetime.timedelta(minutes=90), datetime.timedelta)
        'PT1H30M'
    """
    plan = plan_result("handler", declared)
    if plan.validate is not None:
        value = plan.validate(value)
    if plan.serialize is not None:
        value = plan.serialize(value)
    return crossed(value)
