"""Arguments that don't fit, explained: parameters by their names, and the mistakes that everyone makes once.

The native side comes here only when binding or validating the arguments of a call has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic_core import ArgsKwargs, ValidationError

from pycrust.text.clipping import enumerated, without_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Bytes of one step of a place that are looked at: the names of a union's choices can be long, a key far longer.
_STEP = 4_096
#: Where an exception keeps what is known of the arguments.
_ATTRIBUTE = "_pycrust_misfit"


def explain(
    error: BaseException,
    mode: str,
    fields: Sequence[str],
    validate: Callable[[Any], Any] | None,
    arguments: object,
) -> None:
    """Leaves with an exception what its reader needs to mend the call.

    Args:
        error: What binding or validating the arguments has raised.
        mode: How they are bound (`pycrust.handlers.arguments`).
        fields: The names of the parameters, or of the model's fields, in order.
        validate: What they are validated with.
        arguments: The arguments as they came.
    """
    if not isinstance(error, (ValidationError, TypeError)):
        return  # a validator's own
    advice = _advice(mode, fields, validate, arguments)
    setattr(error, _ATTRIBUTE, (tuple(fields) if mode == "args" else (), advice))
    if advice:
        error.add_note(advice)


def advice_of(error: BaseException) -> str:
    """What to do about arguments that don't fit; nothing where that is not known."""
    return getattr(error, _ATTRIBUTE, ((), ""))[1]


def named(error: BaseException, loc: Sequence[str | int]) -> list[str | int]:
    """Where in the arguments something is wrong, its first step a parameter's name instead of its position."""
    names: tuple[str, ...] = getattr(error, _ATTRIBUTE, ((), ""))[0]
    steps = [_plain(step) for step in loc]
    if steps and isinstance(steps[0], int) and steps[0] < len(names):
        steps[0] = names[steps[0]]
    return steps


def _plain(step: str | int) -> str | int:
    """A step without what this package adds to a union's choices (`structs.accept_arrays`)."""
    if not isinstance(step, str):
        return step
    step = without_middle(step, _STEP)
    prefix = "function-before[array_to_dict(), "
    while prefix in step:
        before, _, rest = step.partition(prefix)
        inner, _, after = rest.partition("]")
        step = f"{before}{inner}{after}"
    return step


def _advice(mode: str, fields: Sequence[str], validate: Callable[[Any], Any] | None, arguments: object) -> str:
    if mode == "none":
        return "send none: &() in Rust, call(method) in Python"
    if validate is None or not fields:
        return ""
    if isinstance(arguments, (list, dict)) and _fits(validate, _alone(mode, fields[0], cast("Any", arguments))):
        kind = "an array" if isinstance(arguments, list) else "a map"
        bound = "by position" if isinstance(arguments, list) else "by name"
        return (
            f"{kind} holds all the arguments, {bound}; this one as a whole fits {fields[0]!r}: send it as one "
            "argument, in a tuple of one, &(value,) in Rust, call(method, value) in Python"
        )
    if mode != "args" and isinstance(arguments, list) and len(cast("list[Any]", arguments)) == 1:
        inner = cast("list[Any]", arguments)[0]
        if isinstance(inner, dict) and _fits(validate, inner):
            return (
                f"the fields ({enumerated(fields)}) are the arguments: send the struct itself, &value instead of "
                "&(value,) in Rust, call(method, **fields) in Python"
            )
    return ""


def _alone(mode: str, field: str, value: Any) -> Any:
    """What is validated when a value is the first argument and the only one."""
    return ArgsKwargs((value,)) if mode == "args" else {field: value}


def _fits(validate: Callable[[Any], Any], arguments: Any) -> bool:
    try:
        validate(arguments)
    except Exception:  # noqa: BLE001 - validators run a user's code; that the call fails is decided already
        return False
    return True
