"""How results are compared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pycrust.trials.compare import Tolerance, compare


def lines(expected, found, **tolerance) -> list[str]:
    return [str(difference) for difference in compare(expected, found, Tolerance(**tolerance))]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, 1.0),
        (0.1 + 0.2, 0.3),
        (math.nan, math.nan),
        (math.inf, math.inf),
        ("a", "a"),
        (b"a", b"a"),
        (None, None),
        ([1, (2, 3)], (1, [2, 3])),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        (np.arange(3.0), np.arange(3.0) + 1e-12),
        (np.arange(3), [0, 1, 2]),
        (np.array([math.nan]), np.array([math.nan])),
    ],
)
def test_equal(expected, found):
    assert compare(expected, found) == []


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (1, 2, ["$: 1 → 2"]),
        (1.0, 1.1, ["$: 1.0 → 1.1"]),
        (math.inf, 1.0, ["$: inf → 1.0"]),
        (True, 1, ["$: True (bool) → 1 (int)"]),
        ("a", b"a", ["$: 'a' (str) → b'a' (bytes)"]),
        ([1, 2], [1], ["$: 2 items → 1 items"]),
        ({"a": 1, "b": 2}, {"a": 2, "c d": 3}, ["$.a: 1 → 2", "$.b: 2 is missing", "$['c d']: 3 is new"]),
        ({"x": [{"y": 1}]}, {"x": [{"y": "1"}]}, ["$.x[0].y: 1 (int) → '1' (str)"]),
        (np.zeros((2, 3)), np.zeros((3, 2)), ["$: shape (2, 3) → shape (3, 2)"]),
        (np.zeros((2, 2)), np.array([[0, 0], [1, 2.0]]), ["$[1][0]: 0.0 → 1.0 (2 of 4 elements differ)"]),
        (np.zeros(1), "a", ["$: shape (1,) → shape ()"]),
        (np.zeros(1), {"a": 1}, ["$: array([0.]) (ndarray) → {'a': 1} (dict)"]),
    ],
)
def test_different(expected, found, said):
    assert lines(expected, found) == said


def test_tolerances():
    assert lines(100.0, 101.0, rtol=0.02) == []
    assert lines(100.0, 101.0, rtol=0.0, atol=0.5) == ["$: 100.0 → 101.0"]
    assert lines(np.array([100.0]), np.array([101.0]), rtol=0.02) == []
    with pytest.raises(ValueError, match="rtol is a finite number"):
        Tolerance(rtol=-1.0)


def test_the_report_is_bounded():
    found = compare(list(range(1_000)), list(range(1, 1_001)), most=5)
    assert [difference.path for difference in found] == [f"$[{number}]" for number in range(5)]
    assert len(str(compare("a" * 10_000, "b")[0])) < 200
