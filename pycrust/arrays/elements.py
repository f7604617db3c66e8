"""The types of elements that cross, and the packages that have arrays of them."""

from __future__ import annotations

import functools
import importlib
from typing import Any

#: Types of elements that cross, by the names that NumPy and PyTorch give them.
DTYPES = frozenset({
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
})  # fmt: skip


@functools.cache
def optional(name: str) -> Any:
    """An optional package; `None` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@functools.lru_cache(maxsize=256)
def name_of(dtype: Any) -> str:
    """What NumPy or PyTorch calls a type of elements.

    NumPy works a name out anew each time, which takes longer than all else that is done for a small array.
    """
    return str(dtype.name) if hasattr(dtype, "name") else str(dtype).removeprefix("torch.")
