"""Where a module has a handler's function, so that a reloaded module's new function is found."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pycrust.functions.callables import plain_function
from pycrust.functions.fingerprint import same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pycrust.handlers.options import Options


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """A function of an imported module, and how it was registered."""

    module: str
    qualname: str
    #: The object that the function is bound to, for a method.
    instance: Any
    name: str | None
    options: Options
    names: Mapping[str, Any]

    @classmethod
    def of(
        cls, function: Callable[..., Any], name: str | None, options: Options, names: Mapping[str, Any]
    ) -> Origin | None:
        """Where `function` comes from; `None` if no module has it under its name (a cell's functions, closures)."""
        plain = function.__func__ if isinstance(function, types.MethodType) else function
        if not isinstance(plain, types.FunctionType) or plain.__module__ in {"__main__", None}:
            return None
        instance = function.__self__ if isinstance(function, types.MethodType) else None
        origin = cls(plain.__module__, plain.__qualname__, instance, name, options, names)
        return origin if origin._found() is plain else None

    def _found(self) -> types.FunctionType | None:
        found: Any = sys.modules.get(self.module)
        for part in self.qualname.split("."):
            found = getattr(found, part, None)
        return plain_function(found)

    def changed(self, frozen: Callable[..., Any]) -> Callable[..., Any] | None:
        """The module's function if it is another one than the copy that was made of it; else `None`."""
        found, copy = self._found(), plain_function(frozen)
        if found is None or copy is None or same(found, copy):
            return None
        return found if self.instance is None else types.MethodType(found, self.instance)
