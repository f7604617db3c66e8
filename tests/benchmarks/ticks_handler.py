"""The handlers that are measured with ticks; apart, since only they need NumPy."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from pycrust import DType

TICK = np.dtype([("at", "i8"), ("price", "f8"), ("size", "u4"), ("side", "u1")], align=True)


def turnover(ticks: Annotated[np.ndarray, DType(TICK)]) -> float:
    """What they are worth, of records."""
    return float((ticks["price"] * ticks["size"]).sum())


def turnover_of_maps(ticks: list[Any]) -> float:
    """What they are worth, of maps."""
    return sum(tick["price"] * tick["size"] for tick in ticks)
