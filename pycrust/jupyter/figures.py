"""Pyplot in handlers: a call has figures of its own, and those that are open at its end are kept with it."""

from __future__ import annotations

import functools
import sys
import traceback
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pycrust.calls import output

if TYPE_CHECKING:
    from collections.abc import Iterator

_Managers = OrderedDict[Any, Any]

#: The open figures of the call that runs here.
_of_call: ContextVar[_Managers | None] = ContextVar("pycrust_figures", default=None)


class Figures:
    """Pyplot's open figures, in the place of its own mapping: those of the running call, or of everybody else.

    Of a generator, each step from one `yield` to the next has figures of its own.

    Args:
        others: The figures that no handler made.
    """

    def __init__(self, others: _Managers) -> None:
        """Begins with what is open."""
        self._others = others

    def _here(self) -> _Managers:
        if not output.in_handler():
            return self._others
        own = _of_call.get()
        if own is None:
            own = _Managers()
            _of_call.set(own)
            output.at_end(functools.partial(_show, own))
        return own

    def __getattr__(self, name: str) -> Any:
        """Whatever else a mapping can do."""
        return getattr(self._here(), name)

    def __getitem__(self, number: Any) -> Any:
        """The figure of this number."""
        return self._here()[number]

    def __setitem__(self, number: Any, manager: Any) -> None:
        """Opens a figure."""
        self._here()[number] = manager

    def __delitem__(self, number: Any) -> None:
        """Closes a figure."""
        del self._here()[number]

    def __contains__(self, number: object) -> bool:
        """Whether a figure is open."""
        return number in self._here()

    def __iter__(self) -> Iterator[Any]:
        """The numbers of the open figures."""
        return iter(self._here())

    def __reversed__(self) -> Iterator[Any]:
        """The same, the newest first."""
        return reversed(self._here())

    def __len__(self) -> int:
        """How many are open."""
        return len(self._here())


def _show(own: _Managers) -> None:
    """At the end of a call, as at the end of a cell: shows its open figures and closes them."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    _of_call.set(own)
    try:
        if own and pyplot is not None:
            # Other ones show nothing under a cell, either.
            if "inline" in pyplot.get_backend():
                pyplot.show()
            pyplot.close("all")
    except Exception:  # noqa: BLE001 - a figure that can't be drawn costs the call nothing but the figure
        output.keep("stderr", traceback.format_exc())
    finally:
        own.clear()
        _of_call.set(None)
