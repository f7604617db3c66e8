"""`exit()` in a handler is an error of its call: the process, and what else it serves, go on."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, NoReturn, cast

from pycrust.calls.current import in_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pycrust.calls.output import Patch


def refuse(what: str) -> NoReturn:
    """Raises, in place of what would end the process.

    Raises:
        RuntimeError: Always; it names the ways that work.
    """
    raise RuntimeError(
        f"{what} ends the process with everything in it, which no call may do: to end the call, return or raise "
        "pycrust.RpcError; to stop serving, endpoint.stop(); to end the process, exit() in a cell or a script"
    )


def patches() -> Iterator[Patch]:
    """What is watched while anything serves: the `exit` and `quit` of Python, and those of IPython."""
    # IPython takes `exit` and `quit` out of the builtins; whoever has kept one can still call it.
    site = sys.modules.get("_sitebuiltins")
    if site is not None:
        yield site.Quitter, "__call__", _guard
    # Not imported for this: without IPython there is no shell.
    shells = sys.modules.get("IPython.core.interactiveshell")
    if shells is None or not shells.InteractiveShell.initialized():
        return
    for cls in cast("list[type]", type(shells.InteractiveShell.instance()).__mro__):
        if "ask_exit" in vars(cls):
            yield cls, "ask_exit", _guard


def _guard(leave: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(leave)
    def guarded(self: Any, *values: Any, **options: Any) -> Any:
        if in_call():
            refuse("exit()")
        return leave(self, *values, **options)

    return guarded
