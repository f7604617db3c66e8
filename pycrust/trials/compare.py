"""How two results differ: paths, values, and tolerances for floats and arrays.

Shadows and replays compare answers with it. It looks at what can cross to a caller: numbers, text, bytes,
lists, maps, and arrays of NumPy or PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pycrust.text.kinds import kind_of
from pycrust.traffic.redaction import REDACTED

#: Characters of a value that a difference shows.
_SHOWN = 60

#: The default tolerance: what single precision loses in a few operations.
RTOL, ATOL = 1e-6, 1e-9

Kind = Literal["value", "type", "missing", "extra", "shape", "redacted"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may be apart and still count as equal: `atol + rtol * |expected|`.

    Attributes:
        rtol: The relative part.
        atol: The absolute part.
    """

    rtol: float = RTOL
    atol: float = ATOL

    def __post_init__(self) -> None:
        """Refuses what is no tolerance.

        Raises:
            ValueError: A part is negative or not finite.
        """
        for name in ("rtol", "atol"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is a finite number of at least 0, not {getattr(self, name)}")

    def covers(self, expected: float, found: float) -> bool:
        """Whether two numbers count as equal; nan equals nan."""
        if expected == found or (expected != expected and found != found):  # noqa: PLR0124 - nan
            return True
        if math.isinf(expected) or math.isinf(found):
            return False
        return abs(expected - found) <= self.atol + self.rtol * abs(expected)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two results differ.

    Attributes:
        path: Where, from the result itself, which is `$`.
        kind: `value`, `type`, `shape`, `missing` (only expected), `extra` (only found), or `redacted`: one of them
            is not there to be compared.
        expected: What the first has there, shortened.
        found: What the second has there, shortened.
    """

    path: str
    kind: Kind
    expected: str
    found: str

    def __str__(self) -> str:
        """One line."""
        if self.kind == "redacted":
            return f"{self.path}: can't be compared, it is redacted"
        if self.kind == "missing":
            return f"{self.path}: {self.expected} is missing"
        if self.kind == "extra":
            return f"{self.path}: {self.found} is new"
        return f"{self.path}: {self.expected} → {self.found}"


def compare(expected: Any, found: Any, tolerance: Tolerance | None = None, *, most: int = 20) -> list[Difference]:
    """Compares two results, place by place.

    Args:
        expected: The result to compare with.
        found: The result to look at.
        tolerance: How far numbers may be apart; the default one if `None`.
        most: Differences to report, at most; past it the comparison ends.

    Returns:
        The differences in order of their places; none if the results are equal.

    Examples:
        >>> [str(difference) for difference in compare({"a": 1, "b": [1.0, 2.0]}, {"a": 1, "b": [1.0, 2.5]})]
        ['$.b[1]: 2.0 → 2.5']
        >>> compare([1.0, float("nan")], [1.0 + 1e-12, float("nan")])
        []
    """
    comparison = _Comparison(tolerance or Tolerance(), most)
    comparison.look("$", expected, found)
    return comparison.differences


class _Comparison:
    def __init__(self, tolerance: Tolerance, most: int) -> None:
        self.tolerance = tolerance
        self.most = most
        self.differences: list[Difference] = []

    def add(self, path: str, kind: Kind, expected: str, found: str) -> None:
        if len(self.differences) < self.most:
            self.differences.append(Difference(path, kind, expected, found))

    def look(self, path: str, expected: Any, found: Any) -> None:
        if expected is found or len(self.differences) >= self.most:
            return
        if _is_redacted(expected) is not _is_redacted(found):
            self.add(path, "redacted", "", "")
        elif is_array(expected) or is_array(found):
            self.arrays(path, expected, found)
        elif _is_number(expected) and _is_number(found):
            if not self.tolerance.covers(expected, found):
                self.add(path, "value", shown(expected), shown(found))
        elif isinstance(expected, Mapping) and isinstance(found, Mapping):
            self.maps(path, cast("Mapping[Any, Any]", expected), cast("Mapping[Any, Any]", found))
        elif isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
            self.lists(path, cast("list[Any]", expected), cast("list[Any]", found))
        elif kind_of(cast("object", expected)) is not kind_of(cast("object", found)):
            self.add(path, "type", _typed(expected), _typed(found))
        elif not _equal(expected, found):
            self.add(path, "value", shown(expected), shown(found))

    def maps(self, path: str, expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> None:
        for key, value in expected.items():
            place = f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]"
            if key in found:
                self.look(place, value, found[key])
            else:
                self.add(place, "missing", shown(value), "")
        for key, value in found.items():
            if key not in expected:
                place = f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]"
                self.add(place, "extra", "", shown(value))

    def lists(self, path: str, expected: list[Any], found: list[Any]) -> None:
        if len(expected) != len(found):
            self.add(path, "shape", f"{len(expected)} items", f"{len(found)} items")
            return
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            self.look(f"{path}[{number}]", one, other)

    def arrays(self, path: str, expected: Any, found: Any) -> None:
        one, other = as_numpy(expected), as_numpy(found)
        if one is None or other is None:
            self.add(path, "type", _typed(expected), _typed(found))
            return
        if one.shape != other.shape:
            self.add(path, "shape", f"shape {one.shape}", f"shape {other.shape}")
            return
        import numpy as np  # noqa: PLC0415 - only who has arrays has NumPy

        if one.dtype.kind in "fciub" and other.dtype.kind in "fciub":
            near = np.isclose(other, one, rtol=self.tolerance.rtol, atol=self.tolerance.atol, equal_nan=True)
        else:
            near = np.asarray(one == other)
        apart = int(near.size - np.count_nonzero(near))
        if apart:
            first = np.unravel_index(int(np.argmin(near)), near.shape)
            place = "".join(f"[{int(index)}]" for index in first)
            of = f" ({apart} of {near.size} elements differ)" if near.size > 1 else ""
            self.add(path + place, "value", shown(one[first].item()), shown(other[first].item()) + of)


def is_array(value: Any) -> bool:
    """Whether a value is an array of NumPy, PyTorch or the like."""
    return hasattr(kind_of(value), "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def as_numpy(value: Any) -> Any:
    """A value as a NumPy array, from whichever device; `None` if it is neither an array nor a list of numbers."""
    import numpy as np  # noqa: PLC0415 - only who has arrays has NumPy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return None if array.dtype.kind == "O" else array


def _is_redacted(value: Any) -> bool:
    return isinstance(value, str) and value == REDACTED


def shown(value: Any) -> str:
    """A value in a few characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _typed(value: Any) -> str:
    return f"{shown(value)} ({kind_of(value).__name__})"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a user's __eq__ may do anything
        return False
