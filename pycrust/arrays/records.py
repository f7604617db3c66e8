"""Records: NumPy's structured types, and what crosses of them."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any

from pycrust.arrays.elements import DTYPES, optional
from pycrust.text.values import record_text
from pycrust.values.refusals import labels

if TYPE_CHECKING:
    from collections.abc import Callable

#: A field: name, type of its numbers (`bytes` for a string), offset, sizes, whether it is big-endian.
Field = tuple[str, str, int, tuple[int, ...], bool]
#: What is in a record: its bytes, and its fields.
Layout = tuple[int, tuple[Field, ...]]

_STRING = "bytes"


@functools.lru_cache(maxsize=256)
def layout_of(dtype: Any) -> Layout:
    """What is in a structured type of NumPy's.

    Raises:
        TypeError: A field can't cross; the message names it, and says what to do.

    Examples:
        >>> import numpy as np
        >>> layout_of(np.dtype([("levels", ">f4", 5), ("symbol", "S8")]))
        (28, (('levels', 'float32', 0, (5,), True), ('symbol', 'bytes', 20, (8,), False)))
    """
    return int(dtype.itemsize), tuple(_field(str(name), *dtype.fields[name][:2]) for name in dtype.names)


def _field(name: str, dtype: Any, offset: int) -> Field:
    base, shape = dtype, ()
    while base.subdtype is not None:
        base, inner = base.subdtype
        shape = (*shape, *inner)
    sizes = tuple(int(size) for size in shape)
    if base.kind == "S":
        return name, _STRING, int(offset), (*sizes, int(base.itemsize)), False
    if base.name not in DTYPES:
        raise TypeError(f"the field {name!r} of dtype {base} can't cross: {_advice(name, base)}")
    big_endian = base.byteorder == ">" or (base.byteorder == "=" and sys.byteorder == "big")
    return name, str(base.name), int(offset), sizes, big_endian and base.itemsize > 1


def _advice(name: str, dtype: Any) -> str:
    """What to do about a field that is no number."""
    if dtype.names is not None:
        inner = ", ".join(f"{name}_{one}" for one in dtype.names[:2])
        return f"give its fields names of their own in the record that it is in ({inner}, …)"
    if dtype.kind == "U":
        return f"make it bytes, such as 'S{dtype.itemsize // 4}', by .astype() of the records"
    if dtype.kind == "O":
        return (
            "make it numbers, or bytes of one length such as 'S8'; of a pandas frame, "
            f".to_records(index=False, column_dtypes={{{name!r}: 'S8'}})"
        )
    if dtype.kind in "Mm":
        return "make it 'i8' by .astype() of the records, for the numbers of its unit, and say the unit beside them"
    return f"send {labels(dtype)}"


@functools.lru_cache(maxsize=256)
def dtype_of(layout: Layout) -> Any:
    """NumPy's structured type of records.

    Raises:
        TypeError: A field needs a package that is not installed.

    Examples:
        >>> dtype_of((12, (("at", "int64", 0, (), False), ("side", "uint8", 8, (), False))))
        dtype({'names': ['at', 'side'], 'formats': ['<i8', 'u1'], 'offsets': [0, 8], 'itemsize': 12})
    """
    numpy = optional("numpy")
    if numpy is None:
        raise TypeError("an array of records came, which needs NumPy: pip install numpy")
    size, fields = layout
    return numpy.dtype(
        {
            "names": [field[0] for field in fields],
            "formats": [_format(field, numpy) for field in fields],
            "offsets": [field[2] for field in fields],
            "itemsize": size,
        }
    )


def _format(field: Field, numpy: Any) -> Any:
    name, kind, _, shape, big_endian = field
    if kind == _STRING:
        return (f"S{shape[-1]}", shape[:-1])
    if kind == "bfloat16":
        extra = optional("ml_dtypes")
        if extra is None:
            raise TypeError(f"the field {name!r} is bfloat16, which NumPy has no type for: pip install ml_dtypes")
        base = numpy.dtype(extra.bfloat16)
    else:
        base = numpy.dtype(kind)
    return (base.newbyteorder(">" if big_endian else "<"), shape)


def text_of(layout: Layout) -> str:
    """Records as they are shown.

    Examples:
        >>> text_of((12, (("at", "int64", 0, (), False), ("levels", "uint16", 8, (2,), False))))
        'record(at int64, levels uint16[2])'
    """
    return record_text([(name, kind, shape) for name, kind, _, shape, _ in layout[1]])


def schema_of(layout: Layout) -> dict[str, Any]:
    """What the JSON Schema says of records: of each field its name, type, offset, and its sizes if it has some."""
    fields = [[name, kind, offset, *([list(shape)] if shape else [])] for name, kind, offset, shape, _ in layout[1]]
    return {"dtype": fields, "itemsize": layout[0]}


def difference(expected: Layout, found: Layout) -> str | None:
    """What the first field that differs is, and is not; `None` if all have their names, types and places.

    The order of bytes and of the names is left alone, and so is whether bytes are a string.

    Examples:
        >>> price, short = ("price", "float64", 0, (), False), ("price", "float32", 0, (), False)
        >>> difference((8, (price,)), (4, (short,)))
        "the field 'price' is float32, not float64"
    """
    there = {field[0]: field for field in found[1]}
    for field in expected[1]:
        name = field[0]
        if name not in there:
            return f"the field {name!r} is missing"
        if _plain(there[name]) != _plain(field):
            return f"the field {name!r} is {_field_text(there[name])}, not {_field_text(field)}"
    wanted = {field[0] for field in expected[1]}
    for name in there:
        if name not in wanted:
            return f"the field {name!r} is not expected"
    return _place_difference(expected, found, there)


def _place_difference(expected: Layout, found: Layout, there: dict[str, Field]) -> str | None:
    hint = "; np.dtype(..., align=True) has the gaps of a C struct" if expected[0] < found[0] else ""
    for name, _, offset, _, _ in expected[1]:
        if there[name][2] != offset:
            return f"the field {name!r} begins at byte {there[name][2]}, not {offset}{hint}"
    if expected[0] != found[0]:
        return f"a record has {found[0]} bytes, not {expected[0]}{hint}"
    return None


def _plain(field: Field) -> tuple[str, tuple[int, ...]]:
    _, kind, _, shape, _ = field
    return ("uint8" if kind == _STRING else kind), shape


def _field_text(field: Field) -> str:
    return record_text([("", field[1], field[3])]).removeprefix("record(").removesuffix(")").strip()


@functools.lru_cache(maxsize=256)
def fitted(expected: Layout, dtype: Any) -> tuple[str | None, Any]:
    """How records of this type differ, as `difference` says it; otherwise the type to see them as, if another.

    That type has the same memory, with fields in the expected order, and strings where they are expected.

    Raises:
        TypeError: A field can't cross.
    """
    found = layout_of(dtype)
    differs = difference(expected, found)
    if differs is not None:
        return differs, None
    there = {field[0]: field for field in found[1]}
    target = (expected[0], tuple((*field[:4], there[field[0]][4]) for field in expected[1]))
    return None, None if target == found else dtype_of(target)


def without_fields(array: Any, hides: Callable[[str], bool]) -> Any:
    """Records without the fields that are hidden, in a copy without their bytes; `None` if no field is left."""
    kept = [name for name in array.dtype.names if not hides(name)]
    if len(kept) == len(array.dtype.names):
        return array
    if not kept:
        return None
    copy = importlib.import_module("numpy").empty(array.shape, [(name, array.dtype[name]) for name in kept])
    for name in kept:
        copy[name] = array[name]
    return copy


def structured(given: Any) -> Any:
    """NumPy's type of a list of fields or of a type of its own."""
    return importlib.import_module("numpy").dtype(given)
