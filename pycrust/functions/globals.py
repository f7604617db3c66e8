"""Globals that a handler reads: they stay late-bound, so a version can change without being published.

What each was when the version went live is remembered without keeping it alive: plain values are kept as they
are, other objects by a weak reference.
"""

from __future__ import annotations

import builtins
import sys
import types
import typing
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pycrust.functions.callables import COMPOSITES, functions_below, plain_function
from pycrust.functions.fingerprint import same
from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Names that one handler's code may be followed through.
_MOST_NAMES = 256
_MOST_DEPTH = 6
_PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None), type(Ellipsis), range})
#: Characters or bytes of a plain value that is kept to compare with.
_MOST_KEPT = 4_096


class Reads:
    r"""The globals that a handler and the functions below it read, and what they were.

    Args:
        function: The handler.
        annotations: Types that it was registered with; classes among them that a global names count as read.

    Examples:
        >>> namespace = {"offset": 1}
        >>> exec("def f(a):\n    return a + offset", namespace)
        >>> reads = Reads(namespace["f"])
        >>> namespace["offset"] = 2
        >>> reads.differing()
        ['offset']
    """

    def __init__(self, function: Callable[..., Any], annotations: Iterable[Any] = ()) -> None:
        """Looks at what the names are bound to now."""
        plain = plain_function(function)
        own: dict[str, Any] = plain.__globals__ if plain is not None else {}
        read = globals_read(function)
        read += [(own, cls.__name__) for cls in _classes(annotations) if own.get(cls.__name__) is cls]
        # Its own name is bound to it only once `register` has returned.
        mine = getattr(function, "__name__", None)
        #: Where each name is bound, by the identity of its namespace.
        self._read = {(name, id(space)): space for space, name in read if name != mine}
        self.names = sorted({name for name, _ in self._read})
        #: Classes that a module has under its name: after a reload it has another one there.
        self._classes = {_place(cls): cls for cls in _classes(annotations) if own.get(cls.__name__) is not cls}
        self._classes.pop("", None)
        self._seen: dict[tuple[str, int], _Seen] = {}
        self.renew()

    def _bound(self) -> Iterator[tuple[tuple[str, int], Any]]:
        for key in sorted(self._read):
            space = self._read[key]
            if key[0] in space:
                yield key, space[key[0]]

    def values(self) -> Iterator[tuple[str, Any]]:
        """What the names are bound to now."""
        return ((name, value) for (name, _), value in self._bound())

    def differing(self) -> list[str]:
        """Names that are bound to something else now. A name that was bound later is no difference."""
        for key, value in self._bound():
            if key not in self._seen:
                self._seen[key] = _Seen.of(value)
        differing = {
            name: None
            for (name, space), seen in self._seen.items()
            if name not in self._read[name, space] or not seen.is_still(self._read[name, space][name])
        }
        return [*differing, *self.redefined()]

    def redefined(self) -> list[str]:
        """Classes, as `module.Class`, that the handler validates with and that their modules define anew by now."""
        now = {name: _at_place(cls) for name, cls in self._classes.items()}
        return [name for name, cls in now.items() if isinstance(cls, type) and cls is not self._classes[name]]

    def classes(self, names: Iterable[str]) -> list[str]:
        """Which of these names are classes'."""
        classes = {name for name, value in self.values() if isinstance(value, type)} | self._classes.keys()
        return [name for name in names if name in classes]

    def renew(self) -> None:
        """Takes what the names are bound to now as what they were."""
        self._seen = {key: _Seen.of(value) for key, value in self._bound()}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a name was bound to."""

    kind: type[Any]
    #: The value itself if it is plain, a weak reference where there can be one, else `None`.
    value: Any
    identity: int

    @classmethod
    def of(cls, value: Any) -> _Seen:
        kind = kind_of(value)
        if kind in _PLAIN and not (isinstance(value, (str, bytes)) and len(value) > _MOST_KEPT):
            return cls(kind, value, id(value))
        if _is_simple(value):
            return cls(kind, value, id(value))
        try:
            return cls(kind, weakref.ref(value), id(value))
        except TypeError:
            return cls(kind, None, id(value))

    def is_still(self, value: Any) -> bool:
        if kind_of(self.value) is weakref.ReferenceType:
            return self.value() is value
        if self.value is not None:
            return same(self.value, value)
        return self.kind is kind_of(value) and self.identity == id(value)


def _place(cls: type[Any]) -> str:
    """Where a class is found by its name, as `module.Class`; empty if it is not, or is a cell's own."""
    module: str = cls.__module__
    return f"{module}.{cls.__qualname__}" if module != "__main__" and _at_place(cls) is cls else ""


def _at_place(cls: type[Any]) -> Any:
    """What a class's module has under its name now."""
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return found


def _classes(annotations: Iterable[Any], depth: int = 0) -> Iterator[type[Any]]:
    """The classes that annotations are made of."""
    for annotation in annotations:
        if isinstance(annotation, type):
            yield cast("type[Any]", annotation)
            if depth < _MOST_DEPTH:
                fields = getattr(cast("Any", annotation), "__pydantic_fields__", {})
                yield from _classes([field.annotation for field in fields.values()], depth + 1)
        if depth < _MOST_DEPTH:
            yield from _classes(typing.get_args(annotation), depth + 1)


def _is_simple(value: Any) -> bool:
    """Whether a value is a function that holds nothing.

    It is kept, since the same text run again makes another one, which does the same.
    """
    return (
        isinstance(value, types.FunctionType)
        and value.__closure__ is None
        and value.__defaults__ is None
        and value.__kwdefaults__ is None
    )


def globals_read(value: Any) -> list[tuple[dict[str, Any], str]]:
    """The globals that a callable reads, each with its namespace: in functions below it, and in those they name.

    Names that a function writes itself (`global counter`) are its own state and are left out.
    """
    found: dict[tuple[int, str], dict[str, Any]] = {}
    written: set[tuple[int, str]] = set()
    followed: set[types.CodeType] = set()
    waiting = functions_below(value)
    while waiting and len(found) < _MOST_NAMES:
        function = waiting.pop(0)
        if function.__code__ in followed:
            continue
        followed.add(function.__code__)
        space = function.__globals__
        loads, stores = names_in(function.__code__)
        written |= {(id(space), name) for name in stores}
        for name in loads:
            if (id(space), name) in found or (name not in space and hasattr(builtins, name)):
                continue
            found[id(space), name] = space
            waiting += followed_to(space, space.get(name))
    return [(space, name) for (identity, name), space in found.items() if (identity, name) not in written]


def followed_to(space: dict[str, Any], value: Any) -> list[types.FunctionType]:
    """The functions below what a global is bound to, if one of them is of the same globals; else none."""
    if not isinstance(value, COMPOSITES):
        return []
    below = functions_below(value)
    return below if any(one.__globals__ is space for one in below) else []


def names_in(code: types.CodeType) -> tuple[list[str], set[str]]:
    """Names of globals that a code object, and those inside of it, load and store."""
    import dis  # noqa: PLC0415 - 10 ms, which a handler without globals need not cost

    loads: dict[str, None] = {}
    stores: set[str] = set()
    for instruction in dis.get_instructions(code) if code.co_names else ():
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            loads[instruction.argval] = None
        elif instruction.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
            stores.add(instruction.argval)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            more, written = names_in(const)
            loads.update(dict.fromkeys(more))
            stores |= written
    return list(loads), stores
