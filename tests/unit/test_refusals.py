"""Why a value can't cross: what it is, where it is, and what to send instead, which then crosses."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pycrust._extension import crossed, encode


async def coroutine() -> int:
    return 1


async def async_generator():
    yield 1


FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})

#: A value, its class as it is named, the advice, and the advice followed.
REFUSED: list[tuple[Any, str, str, Any]] = [
    (1 + 2j, "complex", "[z.real, z.imag]", [1.0, 2.0]),
    (np.complex64(1j), "numpy.complex64", "[z.real, z.imag]", [0.0, 1.0]),
    (range(3), "range", "list(...)", [0, 1, 2]),
    ({"a": 1}.keys(), "dict_keys", "list(...)", ["a"]),
    (iter([1]), "list_iterator", "list(...)", [1]),
    ((n for n in [1]), "generator", "list(...)", [1]),
    (len, "builtin_function_or_method", "its name", "len"),
    (coroutine, "function", "what it returns", 1),
    (ValueError("x"), "ValueError", "str(...)", "x"),
    (int, "type", "its name", "int"),
    (slice(1, 2), "slice", "[start, stop, step]", [1, 2, None]),
    (..., "ellipsis", "None", None),
    (pd.NA, "NAType", "None", None),
    (FRAME, "pandas.DataFrame", '.to_dict("records")', FRAME.to_dict("records")),
    (FRAME, "pandas.DataFrame", '.to_dict("list")', FRAME.to_dict("list")),
    (FRAME["a"], "pandas.Series", ".to_list()", [1, 2]),
    (FRAME.index, "pandas.RangeIndex", ".to_list()", [0, 1]),
    (np.array(["a"]), "<U1", ".tolist()", ["a"]),
    (np.array([None, "a"], object), "object", ".tolist()", [None, "a"]),
    (np.array([3], "M8[ns]"), "datetime64[ns]", ".astype('int64')", np.array([3])),
    (np.array([1], "longdouble"), "float128", ".astype('float64')", np.array([1.0])),
    (object(), "object", "a dict", {}),
]


@pytest.mark.parametrize(("value", "name", "advice", "followed"), REFUSED, ids=range(len(REFUSED)))
def test_a_refusal_says_what_where_and_what_to_do(value, name, advice, followed):
    with pytest.raises(TypeError) as caught:
        crossed({"a": [value]})
    text = str(caught.value)
    assert text.startswith("can't serialise the value at $['a'][0]: ")
    assert name in text
    assert advice in text
    crossed({"a": [followed]})


def test_an_open_file(tmp_path):
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(TypeError, match=r"TextIOWrapper.*\.read\(\).*its path"),
    ):
        encode(file)


def test_a_coroutine_that_nobody_awaits_is_named_and_closed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match="nobody awaits it: make the handler `async def`"):
            encode([coroutine()])
        gc.collect()
    with pytest.raises(TypeError, match="async generator"):
        encode(async_generator())


def test_integers_cross_up_to_128_bits():
    for value in (2**64, -(2**63) - 1, 2**128 - 1, -(2**127)):
        assert crossed([value]) == [value]
    for value in (2**128, -(2**127) - 1):
        with pytest.raises(ValueError, match=r"\$\[0\]: an int outside .* send it as str"):
            crossed([value])
