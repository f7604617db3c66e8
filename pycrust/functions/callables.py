"""What a callable is made of: the Python functions below decorators, partials, caches, methods and objects.

Everything that a version does with functions (freezing them, marking what they read, telling them apart) goes
through here, so that none of it misses one that another finds.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, cast

from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Functions that one callable is followed to, at most.
_MOST = 256
#: The globals of what `functools` wraps functions in.
_LIBRARY: Any = vars(functools)
_PARTIALS: tuple[Any, ...] = (functools.partial, functools.partialmethod)
_CACHE: Any = type(functools.lru_cache(lambda: None))
#: What is a callable of functions wherever it is found: in a closure, a default or an argument.
COMPOSITES = (
    types.FunctionType,
    types.MethodType,
    functools.partial,
    functools.partialmethod,
    functools.singledispatchmethod,
    staticmethod,
    classmethod,
    _CACHE,
)
#: Written in C, so that there is nothing in them that could change.
_FIXED = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)


def functions_below(value: Any) -> list[types.FunctionType]:
    """The Python functions that calling `value` may run: itself, what it wraps, holds or finds through its object.

    Functions that they name as globals are not among them.

    Examples:
        >>> def scaled(x, by): ...
        >>> [function.__name__ for function in functions_below(functools.partial(scaled, by=2))]
        ['scaled']
    """
    found: list[types.FunctionType] = []
    waiting, seen, held = [value], set[Any](), list[Any]()
    while waiting and len(found) < _MOST:
        one = waiting.pop(0)
        key = (id(one.__func__), id(one.__self__)) if isinstance(one, types.MethodType) else id(one)
        if key in seen:
            continue
        seen.add(key)
        held.append(one)  # so that no other takes its identity
        if isinstance(one, types.FunctionType) and one.__globals__ is not _LIBRARY:
            found.append(one)
        waiting += _parts(one)
    return found


def _parts(value: Any) -> Iterator[Any]:
    """What calling `value` runs, one level below it."""
    if isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield value.__func__
        yield from found_through(value)
    elif isinstance(value, (functools.partial, functools.partialmethod)):
        made = cast("Any", value)
        yield made.func
        yield from (one for one in (*made.args, *made.keywords.values()) if isinstance(one, COMPOSITES))
    elif isinstance(value, (staticmethod, classmethod)):
        yield cast("Any", value).__func__
    elif isinstance(value, functools.singledispatchmethod):
        yield cast("Any", value).dispatcher
    else:
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        call = call_of(value)
        yield from (one for one in (_attribute(value, wrapped), call) if one is not None)


def _attribute(value: Any, wrapped: Any) -> Any:
    """What an object wraps; a descriptor, as a compiled wrapper has, is asked."""
    if wrapped is None or isinstance(wrapped, COMPOSITES):
        return cast("Any", wrapped)
    return getattr(value, "__wrapped__", None)


def _parts_of_function(function: types.FunctionType) -> Iterator[Any]:
    wrapped = function.__dict__.get("__wrapped__")
    held = [*_contents(function), *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    yield from (one for one in held if one is wrapped or isinstance(one, COMPOSITES))
    if wrapped is not None:
        yield wrapped
    yield from implementations(function).values()


def _contents(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # empty, until the name is bound
            continue


def implementations(function: Any) -> dict[Any, Any]:
    """What a `singledispatch` function chooses from, by class; empty for any other."""
    registry = getattr(function, "registry", None)
    if not isinstance(registry, types.MappingProxyType) or not hasattr(function, "dispatch"):
        return {}
    return dict(cast("Any", registry))


def call_of(value: Any) -> types.MethodType | None:
    """The bound `__call__` of an object, if it is written in Python."""
    call = inspect.getattr_static(kind_of(value), "__call__", None)
    return types.MethodType(call, value) if isinstance(call, types.FunctionType) else None


def found_through(method: types.MethodType) -> Iterator[Any]:
    """What a method may find by name through the object that it is bound to: other methods, held functions."""
    if not isinstance(method.__func__, types.FunctionType):
        return
    owner = method.__self__
    for name in _names(method.__func__.__code__):
        one = inspect.getattr_static(owner, name, None)
        if isinstance(one, property):
            one = one.fget
        if isinstance(one, types.FunctionType):
            yield types.MethodType(one, owner)
        elif isinstance(one, COMPOSITES):
            yield one


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)


class CannotFreezeError(TypeError):
    """A callable that holds something of which no snapshot can be taken: what, and why."""


class Copies:
    """Copies of callables, which stay what they are when their originals are changed in place, as by autoreload.

    Globals stay late-bound and a closure's cells stay shared, as Python users expect.

    Args:
        caches: Whether functions with a cache are copied, too. The copy begins with an empty cache of its own,
            which the original's `cache_clear()` doesn't reach.
    """

    def __init__(self, *, caches: bool = False) -> None:
        """Has copied nothing yet."""
        self._caches = caches
        #: Copies by the identity of their originals, which are beside them to keep that.
        self._made: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any) -> Any:
        """The copy of a callable; the callable itself where there is nothing in it to copy."""
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, types.FunctionType):
            return self._function(value)
        return self._keep(value, self._composite(value))

    def _keep(self, value: Any, made: Any) -> Any:
        self._made[id(value)] = (value, made)
        return made

    def _composite(self, value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
        kind: Any = kind_of(value)
        if isinstance(value, types.MethodType):
            return self._method(value)
        if kind in _PARTIALS:
            return self._partial(value)
        if kind in {staticmethod, classmethod}:
            return cast("Any", kind)(self.of(value.__func__))
        if kind is _CACHE:
            return self._cached(value) if self._caches else value
        if kind is functools.singledispatchmethod:
            copied = copy.copy(value)
            copied.dispatcher, copied.func = self.of(value.dispatcher), self.of(value.func)
            return copied
        call = call_of(value)
        if call is not None:
            return self._method(call)
        return value if isinstance(value, _FIXED) else self.unknown(value)

    def _partial(self, value: Any) -> Any:
        keywords = {name: self._held(one) for name, one in value.keywords.items()}
        copied: Any = kind_of(value)(self.of(value.func), *map(self._held, value.args), **keywords)
        copied.__dict__.update({**value.__dict__, **copied.__dict__})
        return copied

    def _cached(self, value: Any) -> Any:
        return functools.lru_cache(**value.cache_parameters())(self.of(value.__wrapped__))

    def _held(self, value: Any) -> Any:
        """A value that a callable holds, copied if it is made of functions."""
        return self.of(value) if isinstance(value, COMPOSITES) else value

    def _method(self, method: types.MethodType) -> types.MethodType:
        return types.MethodType(self.of(method.__func__), method.__self__)

    def unknown(self, value: Any) -> Any:
        """What is taken for a callable that is not written in Python and may change all the same."""
        return value

    def namespace(self, function: types.FunctionType) -> dict[str, Any]:
        """The globals of a function's copy."""
        return function.__globals__

    def copies_cell(self, function: types.FunctionType, content: Any) -> bool:
        """Whether a cell is copied with its content: not those that a function may bind anew."""
        return content is function.__dict__.get("__wrapped__") or isinstance(
            content, (functools.partialmethod, functools.singledispatchmethod)
        )

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        cells = [self._cell(function, cell) for cell in function.__closure__ or ()]
        made = types.FunctionType(
            function.__code__,
            self.namespace(function),
            function.__name__,
            function.__defaults__,
            tuple(cells) if function.__closure__ is not None else None,
        )
        copy_metadata(function, made)
        self._keep(function, made)
        # Only now, since a function may hold itself.
        for cell, original in zip(cells, function.__closure__ or (), strict=True):
            if cell is not original:
                cell.cell_contents = self.of(original.cell_contents)
        made.__defaults__ = function.__defaults__ and tuple(map(self._held, function.__defaults__))
        if function.__kwdefaults__ is not None:
            made.__kwdefaults__ = {name: self._held(one) for name, one in function.__kwdefaults__.items()}
        if "__wrapped__" in made.__dict__:
            made.__dict__["__wrapped__"] = self.of(made.__dict__["__wrapped__"])
        return made

    def _cell(self, function: types.FunctionType, cell: types.CellType) -> types.CellType:
        try:
            return types.CellType() if self.copies_cell(function, cell.cell_contents) else cell
        except ValueError:  # empty, until the name is bound
            return cell


def copy_metadata(function: Any, made: types.FunctionType) -> types.FunctionType:
    """Gives a copy the names, the annotations and the documentation of its original."""
    made.__dict__.update(function.__dict__)
    made.__annotations__ = dict(function.__annotations__)
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    made.__doc__ = function.__doc__
    return made


def plain_function(function: Any) -> types.FunctionType | None:
    """The Python function inside of a bound method, a partial, a cache or an object; `None` where there is none."""
    while not isinstance(function, types.FunctionType):
        if not callable(function) and not isinstance(function, COMPOSITES):
            return None
        function = next(iter(_parts(function)), None)
    return function


def frozen_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy that keeps its code and defaults when `function` is changed in place."""
    return Copies().of(function)
