"""Values of calls, as short text and as plain JSON: arrays by shape and dtype, nothing in full that is long."""

from __future__ import annotations

import math
from typing import Any, cast

#: Characters of text that `plain` keeps of one string.
_MAX_TEXT = 2_000
#: Elements that `plain` keeps of one list or dict.
_MAX_ELEMENTS = 100
#: Fields of a record that are named.
_MAX_FIELDS = 12
#: How deep `plain` and `brief` look.
_MAX_DEPTH = 12


def brief(value: Any, limit: int = 60) -> str:
    """One line of at most `limit` characters.

    Examples:
        >>> brief({"a": 1, "b": [1, 2]})
        'a=1, b=[1, 2]'
        >>> brief(list(range(1000)), 20)
        '[0, 1, 2, 3, 4, 5, …'
    """
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in cast("dict[Any, Any]", value)):
        text = ", ".join(f"{key}={_piece(one, limit)}" for key, one in cast("dict[str, Any]", value).items())
    else:
        text = "" if value is None else _piece(value, limit)
    text = text.replace("\n", "\\n")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _piece(value: Any, limit: int, depth: int = 0) -> str:
    array = array_text(value)
    if array is not None:
        return array
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, (list, tuple)):
        parts = _some(cast("list[Any]", value), limit, depth)
        return f"[{', '.join(parts)}]"
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value)
        keys, values = _some(list(pairs), limit, depth), _some(list(pairs.values()), limit, depth)
        return f"{{{', '.join(f'{key}: {one}' for key, one in zip(keys, values, strict=False))}}}"
    if isinstance(value, str) and len(value) > limit:
        return repr(value[:limit]) + "…"
    return repr(value)


def _some(values: list[Any], limit: int, depth: int) -> list[str]:
    """As many as there is room for: each needs two characters at least."""
    return [_piece(value, limit, depth + 1) for value in values[: limit // 2 + 1]]


def array_text(value: Any) -> str | None:
    """What an array or a run of bytes is shown as; `None` for anything else.

    Examples:
        >>> array_text(b"12345")
        '<5 bytes>'
        >>> import numpy as np
        >>> array_text(np.zeros((2, 3), "float32"))
        '<float32 array, 2 by 3>'
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(cast('bytes', value)):,} bytes>"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(shape, tuple) or dtype is None:
        return None
    sizes = " by ".join(str(size) for size in cast("tuple[Any, ...]", shape)) or "scalar"
    return f"<{elements_text(dtype)} array, {sizes}>"


def elements_text(dtype: Any) -> str:
    """What a type of elements is shown as, NumPy's or PyTorch's; of a structured one its fields.

    Examples:
        >>> import numpy as np
        >>> elements_text(np.dtype([("at", "i8"), ("levels", "f4", (5,)), ("symbol", "S8")]))
        'record(at int64, levels float32[5], symbol bytes[8])'
    """
    names = getattr(dtype, "names", None)
    if not isinstance(names, tuple):
        return str(dtype).removeprefix("torch.")
    return record_text([(str(name), *_field(dtype.fields[name][0])) for name in cast("tuple[Any, ...]", names)])


def _field(dtype: Any) -> tuple[str, tuple[int, ...]]:
    shape: tuple[int, ...] = ()
    while dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape = (*shape, *inner)
    if dtype.kind == "S":
        return "bytes", (*shape, dtype.itemsize)
    return ("record" if dtype.names else str(dtype.name)), shape


def record_text(fields: list[tuple[str, str, tuple[int, ...]]]) -> str:
    """What records are shown as, by the names, types and sizes of their fields.

    Examples:
        >>> record_text([("at", "int64", ()), ("levels", "float32", (5, 2))])
        'record(at int64, levels float32[5, 2])'
    """
    parts = [f"{name} {kind}{list(shape) if shape else ''}" for name, kind, shape in fields[:_MAX_FIELDS]]
    if len(fields) > _MAX_FIELDS:
        parts.append(f"… {len(fields) - _MAX_FIELDS} more")
    return f"record({', '.join(parts)})"


def plain(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one way out for each type
    """The value in JSON's types, cut where it is long; what has no such type becomes text.

    Examples:
        >>> plain({"x": [1, float("inf"), b"abc"], 3: None})
        {'x': [1, 'inf', '<3 bytes>'], '3': None}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Beyond this JavaScript rounds.
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}… ({len(value):,} characters)"
    array = array_text(value)
    if array is not None:
        return array
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, (list, tuple)):
        values = cast("list[Any]", value)
        kept = [plain(one, depth + 1) for one in values[:_MAX_ELEMENTS]]
        return kept if len(values) <= _MAX_ELEMENTS else [*kept, f"… ({len(values):,} elements)"]
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value)
        kept = {str(key): plain(one, depth + 1) for key, one in list(pairs.items())[:_MAX_ELEMENTS]}
        return kept if len(pairs) <= _MAX_ELEMENTS else {**kept, "…": f"{len(pairs):,} elements"}
    return repr(value)[:_MAX_TEXT]


def size(count: float) -> str:
    """A number of bytes with its unit.

    Examples:
        >>> size(512), size(64 << 20)
        ('512 B', '64 MiB')
    """
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= one:
            return f"{count / one:.3g} {unit}"
    return f"{count:.0f} B"
