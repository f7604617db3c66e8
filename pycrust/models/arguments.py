"""Parameters of a handler that get models, not arguments of the call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pycrust.functions.callables import copy_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_models(method: str, models: Sequence[str]) -> None:
    """Refuses what is no list of slots' names.

    Raises:
        TypeError: It is no list of strings.
        ValueError: A name is there twice.
    """
    if isinstance(models, str) or not all(isinstance(name, str) for name in models):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise TypeError(f"{method}: models is a list of slots' names, such as ['policy'], not {models!r}")
    if len(set(models)) != len(models):
        raise ValueError(f"{method}: models names a slot twice: {', '.join(models)}")


def without_models(method: str, signature: inspect.Signature, models: Sequence[str]) -> inspect.Signature:
    """A handler's signature as its callers see it.

    Args:
        method: The method's name, for errors.
        signature: The whole signature.
        models: Names of the parameters that get models.

    Returns:
        The signature without them. Parameters that stand behind a model become keyword-only, so that arguments
        by position can't take its place.

    Raises:
        TypeError: The handler can't be given a model by keyword.

    Examples:
        >>> def act(policy, state, *, scale=1.0): ...
        >>> print(without_models("act", inspect.signature(act), ["policy"]))
        (*, state, scale=1.0)
    """
    if not models:
        return signature
    parameters = signature.parameters
    has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in models:
        parameter = parameters.get(name)
        if parameter is None and has_kwargs:
            continue
        if parameter is None or parameter.kind not in _BY_NAME:
            raise TypeError(f"{method}: the model {name!r} is given as the keyword {name}: add it as a parameter")
    kept: list[inspect.Parameter] = []
    behind = False
    for name, parameter in parameters.items():
        if name in models:
            behind = behind or parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        elif behind and parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(f"{method}: *{name} would take the model's place: move the models behind it")
        elif behind and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            kept.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
        else:
            kept.append(parameter)
    kept.sort(key=lambda parameter: parameter.kind)
    return signature.replace(parameters=kept)


def by_position(signature: inspect.Signature) -> inspect.Signature:
    """A signature whose one parameter is given by position; any other one as it is."""
    parameters = list(signature.parameters.values())
    if len(parameters) != 1 or parameters[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return signature
    positional = parameters[0].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return signature.replace(parameters=[positional])


def model_first(
    function: Callable[..., Any], signature: inspect.Signature, models: Sequence[str]
) -> Callable[..., Any]:
    """A handler that takes its one argument by position, also where models stand before it."""
    argument = next((name for name in signature.parameters if name not in models), None)
    if argument is None:
        return function
    first = next(iter(signature.parameters)) == argument
    if first and signature.parameters[argument].kind is not inspect.Parameter.KEYWORD_ONLY:
        return function

    def placed(request: Any, **bound: Any) -> Any:
        return function(**{argument: request}, **bound)

    return copy_metadata(function, placed)
