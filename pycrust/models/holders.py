"""Who keeps an object alive, in words that a notebook's user can act on.

It is asked only when a replaced model outlives its last call, since each look at the collector's objects takes
tens of milliseconds in a large process, with the interpreter held.
"""

from __future__ import annotations

import gc
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Holders that are named.
_MOST = 6
_WITH_CODE = (types.FrameType, types.GeneratorType, types.CoroutineType)
_PACKAGE = str(Path(__file__).parents[1])
#: Looks at all of the collector's objects, at most.
_MOST_LOOKS = 6
#: Frames of a traceback or a thread that are looked at.
_MOST_FRAMES = 64


def who_holds(thing: object) -> list[str]:
    """Names what refers to an object: `Out[12]`, `_`, globals, tracebacks, closures, frames, attributes.

    Args:
        thing: The object.

    Returns:
        At most six holders; empty if none was found.

    Examples:
        >>> class Model: ...
        >>> def keep(model):
        ...     return lambda: model
        >>> kept = keep(Model())
        >>> who_holds(kept())
        ['the closure of keep.<locals>.<lambda>']
    """
    found: dict[str, None] = {}
    for name in _everywhere(thing):
        found[name] = None
        if len(found) == _MOST:
            break
    return list(found)


def _everywhere(thing: object) -> Iterator[str]:
    yield from _in_namespace(thing)
    yield from _in_tracebacks(thing)
    named = False
    for name in _by_collector(thing):
        named = True
        yield name
    if not named:
        yield from _in_running_frames(thing)


def _in_namespace(thing: object) -> Iterator[str]:
    """The user's names, and IPython's record of results."""
    namespace, results = _namespace()
    for number, value in list(results.items()):
        if value is thing:
            yield f"Out[{number}]"
    for name, value in list(namespace.items()):
        if value is thing and not (name[:1] == "_" and name[1:].isdigit()):
            yield name if set(name) == {"_"} else f"the global {name!r}"


def _namespace() -> tuple[dict[str, Any], dict[Any, Any]]:
    """The user's namespace and results in IPython; `__main__`'s elsewhere."""
    shells: Any = sys.modules.get("IPython.core.interactiveshell")
    if shells is not None and shells.InteractiveShell.initialized():
        namespace: dict[str, Any] = shells.InteractiveShell.instance().user_ns
        return namespace, namespace.get("_oh", {})
    return vars(sys.modules["__main__"]), {}


def _in_tracebacks(thing: object) -> Iterator[str]:
    """Frames of the last error that nobody caught."""
    seen: set[int] = set()
    for name in ("last_exc", "last_value", "last_traceback"):
        last = getattr(sys, name, None)
        traceback = last.__traceback__ if isinstance(last, BaseException) else last
        for _ in range(_MOST_FRAMES):
            if not isinstance(traceback, types.TracebackType):
                break
            frame = traceback.tb_frame
            if id(frame) not in seen and any(value is thing for value in frame.f_locals.values()):
                yield f"the last error's traceback (sys.{name}, in {frame.f_code.co_name})"
            seen.add(id(frame))
            traceback = traceback.tb_next


def _by_collector(thing: object) -> Iterator[str]:
    """What the garbage collector knows to refer to it; through containers and cells one or two steps further."""
    looks = [0]
    for holder in _referrers(thing, looks):
        yield from _described(holder, thing, looks, "")


def _referrers(thing: object, looks: list[int]) -> list[Any]:
    if looks[0] >= _MOST_LOOKS:
        return []
    looks[0] += 1
    return [holder for holder in gc.get_referrers(thing) if not _is_own(holder)]


def _is_own(holder: Any) -> bool:
    """Whether a holder is this package's own code at work."""
    for name in ("f_code", "gi_code", "cr_code"):
        code = getattr(holder, name, None) if issubclass(kind_of(holder), _WITH_CODE) else None
        if isinstance(code, types.CodeType):
            return code.co_filename.startswith(_PACKAGE)
    return False


def _described(holder: Any, thing: object, looks: list[int], inside: str) -> Iterator[str]:  # noqa: C901, PLR0912 - one case for each kind of holder
    namespace, results = _namespace()
    if holder is namespace or holder is results:
        if inside:
            yield from (f"{inside} {name!r}" for name, value in list(holder.items()) if value is thing)
        return
    if isinstance(holder, types.CellType):
        for cells in _referrers(holder, looks):
            if isinstance(cells, tuple):
                for function in _referrers(cast("object", cells), looks):
                    if isinstance(function, types.FunctionType):
                        yield f"the closure of {function.__qualname__}"
    elif isinstance(holder, types.FrameType):
        yield f"a frame of {holder.f_code.co_name}"
    elif isinstance(holder, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
        yield f"the {kind_of(cast('object', holder)).__name__} {holder.__qualname__}"
    elif isinstance(holder, types.MethodType):
        yield f"the bound method {holder.__func__.__qualname__}"
    elif isinstance(holder, dict):
        yield from _of_dict(cast("dict[Any, Any]", holder), thing, looks, inside)
    elif isinstance(holder, (list, tuple, set, frozenset)):
        yield from _of_container(cast("Any", holder), inside)
    elif not isinstance(holder, (types.ModuleType, type)):
        yield f"an object of type {kind_of(holder).__name__}"


def _of_dict(holder: dict[Any, Any], thing: object, looks: list[int], inside: str) -> Iterator[str]:
    keys = [key for key, value in list(holder.items()) if value is thing]
    name = holder.get("__name__")
    if isinstance(name, str) and sys.modules.get(name) is not None and vars(sys.modules[name]) is holder:
        yield from (f"{inside or 'the global'} {name}.{key}" for key in keys)
        return
    for owner in _referrers(holder, looks):
        if getattr(owner, "__dict__", None) is holder:
            yield from (f"the attribute {key!r} of an object of type {kind_of(owner).__name__}" for key in keys)
            return
    if not inside:
        yield from _of_container(holder, inside)


def _of_container(holder: Any, inside: str) -> Iterator[str]:
    """A list or the like: whoever has it, one step further."""
    kind = kind_of(holder).__name__
    if inside:
        yield f"a {kind}"
        return
    namespace, results = _namespace()
    named = [
        f"the {kind} {name!r}" for name, value in list(namespace.items()) if value is holder and name[:1] != "_"
    ]
    named += [f"the {kind} Out[{number}]" for number, value in list(results.items()) if value is holder]
    yield from named
    if not named:
        yield f"a {kind}"


def _in_running_frames(thing: object) -> Iterator[str]:
    """Functions that run now, on any thread."""
    for frame in list(sys._current_frames().values()):  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - there is no other way
        inner: types.FrameType | None = frame
        for _ in range(_MOST_FRAMES):
            if inner is None:
                break
            if inner.f_code.co_filename != __file__ and not inner.f_globals.get("__name__", "").startswith(
                "pycrust."
            ):
                names = [name for name, value in inner.f_locals.items() if value is thing]
                yield from (f"{name!r} in the running {inner.f_code.co_name}()" for name in names)
            inner = inner.f_back
