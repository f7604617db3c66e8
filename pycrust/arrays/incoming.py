"""Arrays over bytes that came, without a copy: NumPy's, and PyTorch's."""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
from typing import Any

from pycrust._extension import Buffer
from pycrust.arrays.elements import optional
from pycrust.arrays.records import Layout, dtype_of

#: Formats of the buffer protocol for elements of native size and order.
_FORMATS = {
    "bool": "?",
    "uint8": "B",
    "int8": "b",
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}


def view(buffer: Buffer, dtype: str | Layout, shape: tuple[int, ...], big_endian: bool, column_major: bool) -> Any:  # noqa: FBT001 - called by the native decoder, by position
    """An array over bytes that came, without a copy: read-only.

    Returns:
        A NumPy array, of a structured type for records; where NumPy is not installed, a `memoryview` of the same
        shape. A bfloat16 array needs `ml_dtypes`, or is a PyTorch tensor as `to_torch` makes it.

    Raises:
        TypeError: Nothing that is installed has a form for it.
    """
    numpy = optional("numpy")
    if not isinstance(dtype, str):
        kind = dtype_of(dtype)
        return numpy.ndarray(shape, kind, buffer, 0, None, "F" if column_major else "C")
    if numpy is None:
        if column_major or big_endian is not (sys.byteorder == "big") or dtype not in _FORMATS:
            raise TypeError(f"an array of {dtype} came, which needs NumPy: pip install numpy")
        flat: Any = memoryview(buffer)
        return flat.cast(_FORMATS[dtype], list(shape)) if flat and shape else flat
    if dtype == "bfloat16":
        extra = optional("ml_dtypes")
        if extra is None:
            return _bfloat16(buffer, shape, big_endian=big_endian, column_major=column_major)
        kind = numpy.dtype(extra.bfloat16)
        kind = kind.newbyteorder(">") if big_endian else kind
    else:
        kind = _numpy_dtype(dtype, big_endian)
    return numpy.ndarray(shape, kind, buffer, 0, None, "F" if column_major else "C")


@functools.cache
def _numpy_dtype(name: str, big_endian: bool) -> Any:  # noqa: FBT001 - a cache's key
    return importlib.import_module("numpy").dtype(name).newbyteorder(">" if big_endian else "<")


def _bfloat16(buffer: Buffer, shape: tuple[int, ...], *, big_endian: bool, column_major: bool) -> Any:
    torch = optional("torch")
    if torch is None:
        raise TypeError("an array of bfloat16 came, which NumPy has no type for: pip install ml_dtypes, or torch")
    numpy = importlib.import_module("numpy")
    halves = numpy.ndarray(shape, ">u2" if big_endian else "<u2", buffer, 0, None, "F" if column_major else "C")
    tensor = None if big_endian else _over_private(halves, torch.int16, torch)
    if tensor is None:
        tensor = torch.from_numpy(halves.astype("=i2", order="C"))
    return tensor.view(torch.bfloat16)


def to_torch(value: Any, device: Any = None) -> Any:
    """A PyTorch tensor of an array that came.

    A large one on the CPU is not copied: it lies in shared memory, and writing into it in place gives this process
    copies of the pages that are written. PyTorch has no read-only tensors, so nothing can refuse that; neither the
    caller nor a NumPy view of the same argument sees it. A small one, or one that is asked for again while the
    first lives, is a copy. To another device it is copied at once, from shared memory.

    Args:
        value: A NumPy array (such as an argument), or a tensor.
        device: Where the tensor is to be, `"cuda"` for example; the CPU by default.

    Returns:
        The tensor.

    Raises:
        ModuleNotFoundError: PyTorch is not installed.
        TypeError: It is an array of records.
    """
    torch: Any = sys.modules.get("torch") or importlib.import_module("torch")
    plain = value
    if getattr(plain.dtype, "names", None) is not None:
        raise TypeError("PyTorch has no tensors of records: take a NumPy array, and make tensors of its fields")
    if device is None and type(getattr(plain, "base", None)) is Buffer:
        tensor = _over_private(plain, _torch_dtype(plain.dtype), torch)
        if tensor is not None:
            return tensor
    if isinstance(value, torch.Tensor):
        return value if device is None else value.to(device)
    if device is None or torch.device(device).type == "cpu":
        native = plain.astype(plain.dtype.newbyteorder("="), order="C", copy=True)
        if native.dtype.name == "bfloat16":
            return torch.from_numpy(native.view("i2")).view(torch.bfloat16)
        return torch.from_numpy(native)
    numpy = importlib.import_module("numpy")
    source = numpy.ascontiguousarray(plain.astype(plain.dtype.newbyteorder("="), copy=False))
    kind = getattr(torch, plain.dtype.name)
    if source.size == 0:
        return torch.empty(plain.shape, dtype=kind, device=device)
    # A writable stand-in over the same bytes, which nobody but this copy sees: PyTorch warns of read-only ones.
    stand_in = (ctypes.c_char * source.nbytes).from_address(source.ctypes.data)
    return torch.frombuffer(stand_in, dtype=kind).reshape(plain.shape).to(device)


def _over_private(plain: Any, dtype: Any, torch: Any) -> Any:
    """A tensor over the bytes of an array that came, without a copy; `None` where they have to be copied."""
    buffer = plain.base
    if dtype is None or plain.nbytes != len(buffer):
        return None
    flags = plain.flags
    # Either way they are all of the buffer's bytes, in their order.
    rows = flags.c_contiguous
    private = buffer.private() if rows or flags.f_contiguous else None
    if private is None:
        return None
    flat = torch.frombuffer(private, dtype=dtype)
    return flat.view(plain.shape) if rows else flat.view(plain.shape[::-1]).permute(*reversed(range(plain.ndim)))


@functools.cache
def _torch_dtype(dtype: Any) -> Any:
    """PyTorch's type for a NumPy type of native order; `None` for others."""
    return getattr(importlib.import_module("torch"), dtype.name, None) if dtype.isnative else None
