"""Arrays in MessagePack, in the form in which openpi puts them.

As in `openpi_client/msgpack_numpy.py` of https://github.com/Physical-Intelligence/openpi (15a9616): a map of four
entries, whose keys are bytes.
"""

from __future__ import annotations

import functools
from typing import Any

import msgpack
import numpy as np


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    return value


def _unpack(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return np.ndarray(buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"])
    return value


Packer = functools.partial(msgpack.Packer, default=_pack)
unpackb = functools.partial(msgpack.unpackb, object_hook=_unpack)
