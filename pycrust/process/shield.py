"""Changes of state that an interrupt must not cut in two."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pycrust._extension import shielded as run_shielded

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def shielded(change: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Makes a function run on a thread of its own, where no `KeyboardInterrupt` can be raised in the midst of it.

    One that comes meanwhile is raised when the function has ended. It must be short, take its locks itself, and be
    called without them.

    Examples:
        >>> import threading
        >>> shielded(threading.current_thread)() is threading.current_thread()
        False
    """

    @functools.wraps(change)
    def whole(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return run_shielded(change, *args, **kwargs)

    return whole
