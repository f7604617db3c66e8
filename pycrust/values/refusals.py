"""Why a value can't cross, and what to send instead."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import numbers
import types
from collections.abc import Iterator
from typing import Any, cast

from pycrust.errors import qualified_name
from pycrust.text.kinds import kind_of

#: Kinds of values, and what to send instead of one.
_ADVICE: tuple[tuple[Any, str], ...] = (
    (numbers.Complex, "send [z.real, z.imag], or a NumPy array of complex128"),
    (range, "send list(...) of it"),
    (io.IOBase, "send what .read() gives, or its path"),
    (types.CoroutineType, "nobody awaits it: make the handler `async def`, or await it there"),
    (
        types.AsyncGeneratorType,
        "make the handler itself an async generator, declared as AsyncIterator[...]: it streams",
    ),
    (types.GeneratorType, "send list(...) of it, or make the handler itself a generator: it streams"),
    (Iterator, "send list(...) of it, or yield its items from the handler: it streams"),
    ((types.FunctionType, types.BuiltinFunctionType, types.MethodType), "send what it returns, or its name"),
    (types.ModuleType, "send what is in it"),
    (type, "send an instance of it, or its name"),
    (BaseException, "raise it, or send str(...) of it"),
    (types.EllipsisType, "send None"),
    (slice, "send [start, stop, step]"),
    (dt.tzinfo, "send its name, str(...) of it"),
)

#: Kinds that are known by their name.
_BY_NAME = {
    "NAType": "send None",
    "longdouble": "send float(...) of it, which has fewer digits",
}

#: Methods of others' types that give what can cross, or tell how to get it, the best first.
_CONVERSIONS = (
    ("to_dicts", "send .to_dicts()"),
    ("to_pylist", "send .to_pylist()"),
    ("to_list", "send .to_list()"),
    ("tolist", "send .tolist()"),
    ("to_numpy", "send .to_numpy()"),
    ("to_dict", "send .to_dict()"),
    ("isoformat", "send .isoformat()"),
    ("keys", "send dict(...) of it"),
    ("__array_interface__", "send numpy.asarray(...) of it"),
    ("__array__", "send numpy.asarray(...) of it"),
    ("__iter__", "send list(...) of it"),
)

_NOT_A_TIME = "{name} is no moment in time, and MessagePack has no form for that: send None"


def refusal(value: Any) -> str:
    """Why a value can't cross, and what to send instead.

    Examples:
        >>> refusal(2j)
        'complex has no MessagePack form: send [z.real, z.imag], or a NumPy array of complex128'
        >>> refusal(range(3))
        'range has no MessagePack form: send list(...) of it'
    """
    cls = kind_of(value)
    name = qualified_name(cls)
    if inspect.iscoroutine(value):
        value.close()  # what was never started would warn, in nobody's place, that it was never awaited
    return f"{name} has no MessagePack form: {_advice(value, cls)}"


def _advice(value: Any, cls: type[Any]) -> str:
    if cls.__name__ in {"DataFrame", "LazyFrame"} or (cls.__name__ == "Table" and hasattr(cls, "to_pylist")):
        return _of_a_frame(cls)
    by_kind = next((advice for kinds, advice in _ADVICE if isinstance(value, kinds)), None)
    return _BY_NAME.get(cls.__name__) or by_kind or _by_method(cls)


def _by_method(cls: type[Any]) -> str:
    for method, advice in _CONVERSIONS:
        if hasattr(cls, method):
            return advice
    return "send what is in it as a dict, a dataclass or a Pydantic model, or str(...) of it"


def _of_a_frame(cls: type[Any]) -> str:
    package = cls.__module__.partition(".")[0]
    if package == "pandas":
        return 'send .to_dict("records") for rows, .to_dict("list") for columns, or .to_numpy() for numbers alone'
    if hasattr(cls, "collect"):
        return "send .collect().to_dicts() for rows, or .collect().to_dict(as_series=False) for columns"
    if hasattr(cls, "to_pylist"):
        return "send .to_pylist() for rows, or .to_pydict() for columns"
    return "send .to_dicts() for rows, .to_dict(as_series=False) for columns, or .to_numpy() for numbers alone"


def not_a_time(value: Any) -> TypeError:
    """The error of a NaT, NumPy's or pandas'."""
    return TypeError(_NOT_A_TIME.format(name=f"{qualified_name(kind_of(value))} NaT"))


def labels(dtype: Any) -> str:
    """What to send instead of a NumPy array whose elements are no numbers.

    Args:
        dtype: The type of its elements.
    """
    kind = cast("str", dtype.kind)
    if kind in "Mm":
        return f".astype('int64') for the numbers of its unit ({_unit(dtype)}), and say the unit beside them"
    if kind in "fc":
        return ".astype('float64')" if kind == "f" else ".astype('complex128')"
    if kind == "V" and dtype.names is None:
        return ".tolist(), or .view() of it as numbers"
    return ".tolist()"


def _unit(dtype: Any) -> str:
    return str(dtype).partition("[")[2].rstrip("]") or "generic"
