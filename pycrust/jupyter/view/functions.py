"""The notebook's functions, which a recorded call can be made again on by their names."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST = 200
"""Names that a view offers."""


class NotAFunctionError(LookupError):
    """A name that stands for no function; says what to do."""


def namespace() -> Mapping[str, Any]:
    """The notebook's names; empty where there is no notebook."""
    if "IPython" not in sys.modules:
        return {}
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it is loaded already

    shell = cast("Any", get_ipython)()
    return shell.user_ns if shell is not None else {}


def names(known: Mapping[str, Any]) -> list[str]:
    """Names of the functions that were defined in the notebook, in order.

    Examples:
        >>> def mend(a): ...
        >>> mend.__module__ = "__main__"
        >>> names({"mend": mend, "print": print, "_": mend, "number": 1})
        ['mend']
    """
    # Copied in one step: a cell may add names meanwhile.
    found = [name for name, value in dict(known).items() if not name.startswith("_") and _is_own(value)]
    return sorted(found)[:_MOST]


def find(name: str, known: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of this name. The name is looked up; nothing is evaluated.

    Raises:
        NotAFunctionError: There is none.
    """
    if not name:
        raise NotAFunctionError("Write the name of a function that the notebook defines.")
    if name not in known:
        near = difflib.get_close_matches(name, names(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "run the cell that defines it first."
        raise NotAFunctionError(f"The notebook knows no {name!r}: {hint}")
    value = known[name]
    # Not whatever can be called: `quit` can, too.
    if not inspect.isroutine(value) and not isinstance(value, functools.partial):
        raise NotAFunctionError(f"{name} is a value of type {type(value).__name__}: a function is needed.")
    return cast("Callable[..., Any]", value)


def _is_own(value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__ == "__main__"
