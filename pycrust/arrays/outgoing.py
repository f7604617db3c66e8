"""What an array is, for the native encoder."""

from __future__ import annotations

import array
import mmap
import sys
from typing import Any

from pycrust.arrays.elements import DTYPES, name_of, optional
from pycrust.arrays.records import Layout, layout_of
from pycrust.text.kinds import kind_of
from pycrust.values.refusals import labels

#: The exporter of the bytes, the type of the elements, the shape, big-endian, first dimension fastest.
Described = tuple[Any, str | Layout, tuple[int, ...], bool, bool]


def describe(value: Any) -> Described | None:
    """What an array is, for the native encoder; `None` for anything else.

    Raises:
        TypeError: It is an array that can't cross; the message says why and what to do.

    Examples:
        >>> import array
        >>> bytes_, *rest = describe(array.array("d", [1.0, 2.0]))
        >>> rest
        ['float64', (2,), False, False]
    """
    cls = kind_of(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _describe_ndarray(value, numpy)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _describe_tensor(value, torch)
    if issubclass(cls, (array.array, mmap.mmap)):
        return _describe_buffer(memoryview(value))
    if cls is memoryview:
        plain = value.format in {"B", "b", "c"} and value.ndim == 1
        return None if plain else _describe_buffer(value)
    if hasattr(cls, "__dlpack__") and hasattr(cls, "__dlpack_device__"):
        numpy = optional("numpy")
        if numpy is not None:
            return _describe_ndarray(numpy.from_dlpack(value), numpy)
    return None


def _describe_ndarray(given: Any, numpy: Any) -> Described:
    if isinstance(given, numpy.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: send .filled(value), or the mask beside it")
    plain = numpy.asarray(given)
    if plain.dtype.names is not None:
        return _describe_records(plain, numpy)
    name = name_of(plain.dtype)
    if name not in DTYPES:
        raise TypeError(f"an array of dtype {plain.dtype} can't cross: send {labels(plain.dtype)}")
    big_endian = plain.dtype.byteorder == ">" or (plain.dtype.byteorder == "=" and sys.byteorder == "big")
    column_major = not plain.flags.c_contiguous and bool(plain.flags.f_contiguous)
    ordered = plain.T if column_major else plain
    shape = tuple(int(size) for size in plain.shape)
    if not ordered.flags.c_contiguous:
        if name != "bfloat16":
            # Its elements are put in order where they are copied to.
            return ordered, name, shape, big_endian and plain.itemsize > 1, False
        ordered = numpy.ascontiguousarray(ordered)
    return ordered.reshape(-1).view(numpy.uint8), name, shape, big_endian and plain.itemsize > 1, column_major


def _describe_records(plain: Any, numpy: Any) -> Described:
    layout = layout_of(plain.dtype)
    shape = tuple(int(size) for size in plain.shape)
    column_major = not plain.flags.c_contiguous and bool(plain.flags.f_contiguous)
    ordered = plain.T if column_major else plain
    if not ordered.flags.c_contiguous:
        # Its records are put in order where they are copied to; what is in them is nothing to the copy.
        return ordered.view(f"V{plain.itemsize}"), layout, shape, False, False
    return ordered.reshape(-1).view(numpy.uint8), layout, shape, False, column_major


def _describe_tensor(given: Any, torch: Any) -> Described:
    if given.layout is not torch.strided or given.is_quantized:
        raise TypeError(f"a tensor of layout {given.layout} can't cross: send .to_dense() or .dequantize()")
    if given.device.type != "cpu":
        raise TypeError(f"a tensor on {given.device} can't cross: send .cpu(), which copies it once")
    name = str(given.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise TypeError(f"a tensor of {given.dtype} can't cross: convert it with .to() to a type of numbers")
    plain = given.detach().resolve_conj().resolve_neg()
    shape = tuple(int(size) for size in plain.shape)
    if plain.numel() == 0:
        return b"", name, shape, False, False
    big_endian = sys.byteorder == "big"
    if not plain.is_contiguous() and name != "bfloat16":
        return plain.numpy(), name, shape, big_endian, False
    return plain.contiguous().reshape(-1).view(torch.uint8).numpy(), name, shape, big_endian, False


def _describe_buffer(view: memoryview) -> Described:
    order, kind = (view.format[0], view.format[1:]) if view.format[0] in "@=<>!" else ("@", view.format)
    bits = 8 * view.itemsize
    name = {"?": "bool", "e": "float16", "f": "float32", "d": "float64", "Zf": "complex64", "Zd": "complex128"}.get(
        kind
    )
    if name is None and kind in tuple("bhilqn"):
        name = f"int{bits}"
    elif name is None and kind in tuple("cBHILQN"):
        name = f"uint{bits}"
    if name not in DTYPES:
        raise TypeError(f"a buffer of format {view.format!r} can't cross")
    big_endian = bits > 8 and (order in ">!" or (order in "@=" and sys.byteorder == "big"))  # noqa: PLR2004 - a byte
    shape = tuple(view.shape or ())
    plain = view if view.c_contiguous else memoryview(view.tobytes())
    # Without elements there is nothing to cast.
    return (plain.cast("B") if view.nbytes else b""), str(name), shape, big_endian, False
