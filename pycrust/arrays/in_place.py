"""Arrays built where they are sent from."""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def empty(shape: int | Sequence[int], dtype: Any, take: Callable[[int], Any] | None) -> Any:
    """An array whose content is not defined, over memory from `take`; from NumPy or PyTorch without it.

    Args:
        shape: Elements in each dimension.
        dtype: A NumPy type or its name; a PyTorch type gives a tensor.
        take: Gives an object of so many writable bytes.

    Returns:
        The array or tensor.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(int(size) for size in shape)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(dtype, torch.dtype):
        length = math.prod(sizes) * dtype.itemsize
        if take is None or length == 0:
            return torch.empty(sizes, dtype=dtype)
        return torch.frombuffer(take(length), dtype=dtype).reshape(sizes)
    numpy = importlib.import_module("numpy")
    kind = numpy.dtype(dtype)
    if take is None or kind.hasobject:
        return numpy.empty(sizes, kind)
    return numpy.ndarray(sizes, kind, take(math.prod(sizes) * kind.itemsize))
