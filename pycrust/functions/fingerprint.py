"""Whether a registration would change anything.

Running a cell again makes new function objects of the same code. Such a registration publishes nothing new,
if the code, the defaults, the closure, the types and the options are all equal. In doubt it is a change: a
version more is noise, a version less would be wrong.
"""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pycrust.functions.callables import implementations
from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None), type(Ellipsis), range})
_MAX_DEPTH = 8
_CACHE = type(functools.lru_cache(lambda: None))
#: What callables of these kinds are made of.
_HOLDERS: dict[type[Any], tuple[str, ...]] = {
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    functools.singledispatchmethod: ("dispatcher",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What two registrations are compared by."""

    function: Any
    #: The annotations, resolved: a class that was defined again is another class.
    hints: Mapping[str, Any]
    #: Everything else that `register` was given, and the schema's text.
    options: tuple[Any, ...]

    def equals(self, other: Fingerprint) -> bool:
        """Whether registering the one after the other would change nothing."""
        return (
            same(self.function, other.function)
            and same(dict(self.hints), dict(other.hints))
            and same(self.options, other.options)
        )


def same(first: Any, second: Any, depth: int = 0) -> bool:  # noqa: C901, PLR0911 - one return for each kind
    """Whether two values are the same to a handler: identical, or equal in everything that it could see.

    Examples:
        >>> same(lambda x: x + 1, lambda x: x + 1), same(lambda x: x + 1, lambda x: x + 2)
        (True, False)
    """
    if first is second:
        return True
    kind = kind_of(first)
    if kind is not type(second) or depth > _MAX_DEPTH:
        return False
    if kind in _PLAIN:
        return repr(first) == repr(second)  # tells 0.0 from -0.0, and finds nan equal to itself
    if kind is types.FunctionType:
        return _same_function(first, second, depth)
    if kind is types.MethodType:
        return first.__self__ is second.__self__ and same(first.__func__, second.__func__, depth + 1)
    if kind is types.CodeType:
        return _code_key(first) == _code_key(second)
    if kind in _HOLDERS:
        return all(same(getattr(first, part), getattr(second, part), depth + 1) for part in _HOLDERS[kind])
    if kind is _CACHE:
        return first.cache_parameters() == second.cache_parameters() and same(
            first.__wrapped__, second.__wrapped__, depth + 1
        )
    if kind in {tuple, list}:
        return _same_items(first, second, depth)
    if kind is dict:
        return list(first) == list(second) and _same_items(list(first.values()), list(second.values()), depth)
    if kind is types.CellType:
        return same(_contents(first), _contents(second), depth + 1)
    return _same_annotation(first, second)


def _same_items(first: Any, second: Any, depth: int) -> bool:
    return len(first) == len(second) and all(
        same(one, other, depth + 1) for one, other in zip(first, second, strict=True)
    )


def _same_function(first: types.FunctionType, second: types.FunctionType, depth: int) -> bool:
    return (
        first.__globals__ is second.__globals__
        and _code_key(first.__code__) == _code_key(second.__code__)
        and same(first.__defaults__, second.__defaults__, depth + 1)
        and same(first.__kwdefaults__, second.__kwdefaults__, depth + 1)
        and _same_closures(first, second, depth)
    )


def _same_closures(first: types.FunctionType, second: types.FunctionType, depth: int) -> bool:
    chosen, others_chosen = implementations(first), implementations(second)
    if chosen or others_chosen:
        # What else it holds are caches.
        return same(chosen, others_chosen, depth + 1)
    cells, others = first.__closure__ or (), second.__closure__ or ()
    for cell, other in zip(cells, others, strict=True):
        one, two = _contents(cell), _contents(other)
        # A function that refers to itself through its closure stays equal to its re-run self.
        if (one is first and two is second) or same(one, two, depth + 1):
            continue
        return False
    return True


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # empty, until the name is bound


def _same_annotation(first: Any, second: Any) -> bool:
    """Equality of what annotations are made of; any other object is only the same as itself."""
    module: str = type(first).__module__
    if module.split(".", 1)[0] not in {"typing", "types", "pydantic", "annotated_types", "typing_extensions"}:
        return False
    try:
        return (first == second) is True
    except Exception:  # noqa: BLE001 - a user's __eq__ may do anything
        return False


def _code_key(code: types.CodeType) -> tuple[Any, ...]:
    """What makes one code object behave like another, whatever file and lines it came from."""
    return (
        code.co_code,
        tuple(_const_key(const) for const in code.co_consts),
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_name,
        code.co_exceptiontable,
    )


def _const_key(const: Any) -> Any:
    if isinstance(const, types.CodeType):
        return _code_key(const)
    if isinstance(const, tuple):
        return tuple(_const_key(item) for item in cast("tuple[Any, ...]", const))
    if isinstance(const, frozenset):
        return frozenset(_const_key(item) for item in cast("frozenset[Any]", const))
    return type(const), repr(const)
