"""Waiting for a module that somebody else may import."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class Awaited(MetaPathFinder):
    """Does something to a module once it is imported, at once if it is.

    Args:
        name: The module's full name.
        then: Called with the module.
    """

    def __init__(self, name: str, then: Callable[[ModuleType], object]) -> None:
        """Begins to wait."""
        self._name = name
        self._then = then
        found = sys.modules.get(name)
        if found is not None:
            then(found)
        else:
            sys.meta_path.insert(0, self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - what the import system gives
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        """Lets the others find the module that is waited for, and looks at it afterwards."""
        if fullname != self._name:
            return None
        self.give_up()
        spec = importlib.util.find_spec(fullname)
        loader = cast("Any", spec.loader if spec is not None else None)
        if loader is None:
            return spec
        execute = loader.exec_module

        def then(module: ModuleType) -> None:
            execute(module)
            self._then(module)

        loader.exec_module = then
        return spec

    def give_up(self) -> None:
        """Waits no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
