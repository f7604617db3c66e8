"""What `freeze=True` keeps: a copy of a handler whose globals stay as they are now."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from pycrust.functions.callables import (
    COMPOSITES,
    CannotFreezeError,
    Copies,
    found_through,
    functions_below,
    implementations,
)
from pycrust.functions.globals import followed_to, globals_read, names_in

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE_NAMES = ("__name__", "__builtins__", "__file__", "__package__", "__spec__")


def snapshot(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a callable whose globals, and those of functions below it and of those they name, stay as they are.

    What they write to globals, they write to the snapshot.

    Raises:
        CannotFreezeError: It finds functions that read globals where no copy can take their place.
    """
    made = _Snapshot()
    copy = made.of(function)
    made.bind(function, copy)
    return copy


class _Snapshot(Copies):
    """Copies that share one set of globals for each namespace."""

    def __init__(self) -> None:
        super().__init__(caches=True)
        #: The kept globals by the identity of the namespace, and that.
        self._spaces: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}

    def namespace(self, function: types.FunctionType) -> dict[str, Any]:
        space = function.__globals__
        kept, _ = self._spaces.setdefault(id(space), ({}, space))
        for name in _MODULE_NAMES:
            if name in space:
                kept.setdefault(name, space[name])
        return kept

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        chosen = implementations(function)
        if chosen:
            return self._keep(function, self._dispatching(chosen))
        copy = super()._function(function)
        self._fill(function, copy.__globals__)
        self._check_wrapped(function)
        return copy

    def _fill(self, function: types.FunctionType, kept: dict[str, Any]) -> None:
        """Keeps what a function reads and writes."""
        space = function.__globals__
        loads, stores = names_in(function.__code__)
        for name in (*loads, *sorted(stores)):
            if name in space and name not in kept:
                value = kept[name] = space[name]
                if followed_to(space, value):
                    kept[name] = self.of(value)

    def bind(self, function: Any, copy: Any) -> None:
        """Lets the copy find itself under its own name, to which it is bound once it is registered."""
        name: Any = getattr(function, "__name__", None)
        for one in functions_below(function):
            if one.__name__ == name == one.__qualname__ and id(one.__globals__) in self._spaces:
                self._spaces[id(one.__globals__)][0][name] = copy

    def _dispatching(self, chosen: dict[Any, Any]) -> Any:
        copy = functools.singledispatch(self.of(chosen[object]))
        for cls, implementation in chosen.items():
            copy.register(cls, self._held(implementation))
        return copy

    def copies_cell(self, function: types.FunctionType, content: Any) -> bool:
        return content is function.__dict__.get("__wrapped__") or isinstance(content, COMPOSITES)

    def _method(self, method: types.MethodType) -> types.MethodType:
        for one in found_through(method):
            for function in functions_below(one):
                self._refuse(function, f"which {_name(method)} finds through its object when it runs")
        return super()._method(method)

    def _check_wrapped(self, function: types.FunctionType) -> None:
        """Refuses a decorator that keeps what it decorates neither in its closure nor in its defaults."""
        wrapped = function.__dict__.get("__wrapped__")
        if wrapped is None:
            return
        held = {id(one) for one in _held_by(function)}
        for one in functions_below(wrapped):
            if id(wrapped) not in held and id(one) not in held:
                self._refuse(one, f"which its decorator ({_name(function.__code__)}) keeps in an object of its own")

    def unknown(self, value: Any) -> Any:
        below = functions_below(value)
        for one in below:
            self._refuse(one, f"which is called by {type(value).__qualname__}, an object that is not Python code")
        if not below and not isinstance(value, type):
            raise CannotFreezeError(
                f"freeze=True can't take a snapshot of {value!r}: a {type(value).__qualname__} is not Python code, "
                "so what it reads can't be seen; register a function that calls it"
            )
        return value

    @staticmethod
    def _refuse(function: types.FunctionType, where: str) -> None:
        """Refuses a function that stays late-bound, if it reads anything that can change."""
        read = [name for space, name in globals_read(function) if not isinstance(space.get(name), types.ModuleType)]
        if read:
            raise CannotFreezeError(
                f"freeze=True can't take a snapshot of {function.__qualname__}, {where}: it would go on reading "
                f"the global {read[0]}; make it a function that the handler calls by its name, or give it "
                f"{read[0]} as an argument"
            )


def _held_by(function: types.FunctionType) -> list[Any]:
    """What a function's copy holds copies of, at any depth."""
    held: list[Any] = []
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_bound(cell)]
    for one in (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if one is function.__dict__.get("__wrapped__") or isinstance(one, COMPOSITES):
            held += [one, *functions_below(one)]
    return held


def _is_bound(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _name(value: Any) -> str:
    return getattr(value, "__qualname__", None) or getattr(value, "co_qualname", "") or repr(value)
