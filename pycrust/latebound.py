"""Globals that a handler reads: they stay late-bound, so a version can change without being published.

What each was when the version went live is remembered without keeping it alive: plain values are kept as they
are, other objects by a weak reference.
"""

from __future__ import annotations

import builtins
import types
import typing
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pycrust.kinds import kind_of
from pycrust.unchanged import same
from pycrust.versions import copy_of, plain_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Names that one handler's code may be followed through.
_MOST_NAMES = 256
_MOST_DEPTH = 6
_PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None), type(Ellipsis), range})
#: Characters or bytes of a plain value that is kept to compare with.
_MOST_KEPT = 4_096


class Reads:
    r"""The globals that a handler and the functions that it names read, and what they were.

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
        self._globals: dict[str, Any] = plain.__globals__ if plain is not None else {}
        # Its own name is bound to it only once `register` has returned.
        read = set(names_read(plain)) if plain is not None else set[str]()
        read |= {cls.__name__ for cls in _classes(annotations) if self._globals.get(cls.__name__) is cls}
        self.names = sorted(name for name in read if plain is None or name != plain.__name__)
        self._seen: dict[str, _Seen] = {}
        self.renew()

    def values(self) -> Iterator[tuple[str, Any]]:
        """What the names are bound to now."""
        for name in self.names:
            if name in self._globals:
                yield name, self._globals[name]

    def differing(self) -> list[str]:
        """Names that are bound to something else now. A name that was bound later is no difference."""
        for name, value in self.values():
            if name not in self._seen:
                self._seen[name] = _Seen.of(value)
        return [
            name
            for name, seen in self._seen.items()
            if name not in self._globals or not seen.is_still(self._globals[name])
        ]

    def renew(self) -> None:
        """Takes what the names are bound to now as what they were."""
        self._seen = {name: _Seen.of(value) for name, value in self.values()}


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


def _classes(annotations: Iterable[Any], depth: int = 0) -> Iterator[type[Any]]:
    """The classes that annotations are made of."""
    for annotation in annotations:
        if isinstance(annotation, type):
            yield cast("type[Any]", annotation)
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


def names_read(function: types.FunctionType) -> list[str]:
    """Names of globals that a function reads, itself or through functions of the same globals that it names.

    Names that it writes itself (`global counter`) are its own state and are left out.
    """
    namespace = function.__globals__
    found: dict[str, None] = {}
    written: set[str] = set()
    followed: set[types.CodeType] = set()
    waiting = [function.__code__]
    while waiting and len(found) < _MOST_NAMES:
        code = waiting.pop()
        if code in followed:
            continue
        followed.add(code)
        loads, stores = _names_of(code)
        written |= stores
        waiting += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        for name in loads:
            if name in found or (name not in namespace and hasattr(builtins, name)):
                continue
            found[name] = None
            value = namespace.get(name)
            if isinstance(value, types.FunctionType) and value.__globals__ is namespace:
                waiting.append(value.__code__)
    return [name for name in found if name not in written]


def _names_of(code: types.CodeType) -> tuple[list[str], set[str]]:
    """Names of globals that a code object loads, and that it stores."""
    import dis  # noqa: PLC0415 - 10 ms, which a handler without globals need not cost

    if not code.co_names:
        return [], set()
    loads: dict[str, None] = {}
    stores: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            loads[instruction.argval] = None
        elif instruction.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
            stores.add(instruction.argval)
    return list(loads), stores


def snapshot(function: types.FunctionType) -> types.FunctionType:
    """A copy of a function whose globals, and those of the functions that it names, stay as they are now.

    What it and they write to globals, they write to the snapshot.
    """
    names = names_read(function)
    namespace = function.__globals__
    kept = {name: namespace[name] for name in names if name in namespace}
    for name in ("__name__", "__builtins__", "__file__", "__package__", "__spec__"):
        if name in namespace:
            kept[name] = namespace[name]
    for code_name in _all_stored(function):
        if code_name in namespace:
            kept[code_name] = namespace[code_name]
    for name, value in list(kept.items()):
        if isinstance(value, types.FunctionType) and value.__globals__ is namespace and value is not function:
            kept[name] = copy_of(value, kept)
    copy = copy_of(function, kept)
    if kept.get(function.__name__) is function:
        kept[function.__name__] = copy
    return copy


def _all_stored(function: types.FunctionType) -> set[str]:
    """Names that a function writes, itself or in functions inside of it."""
    stored: set[str] = set()
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        stored |= _names_of(code)[1]
        waiting += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return stored
