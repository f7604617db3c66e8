"""How two results differ: paths, values, and tolerances for floats and arrays.

Shadows and replays compare answers with it. It looks at what can cross to a caller: numbers, text, bytes,
lists, maps, and arrays of NumPy or PyTorch. What they are is compared, whatever of it may be shown: of a place
that is hidden, a difference says only that it differs. Of what is not there nobody can tell, and that is said.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pycrust.arrays.absent import Absent
from pycrust.text.clipping import without_middle
from pycrust.text.kinds import kind_of
from pycrust.text.values import elements_text
from pycrust.traffic.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Characters of a value that a difference shows; bytes of a key in its path.
_SHOWN, _KEY = 60, 120

_NUMBER = re.compile(r"\[\d+\]")

#: The default tolerance: what single precision loses in a few operations.
RTOL, ATOL = 1e-6, 1e-9

Kind = Literal["value", "type", "missing", "extra", "shape", "hidden", "redacted", "absent", "cut", "hook"]

#: Why nobody can tell whether a place differs.
_UNTOLD = {
    "redacted": "it is redacted",
    "absent": "its elements were not recorded",
    "cut": "it was not kept whole",
    "hook": "a hook has hidden some of it",
}


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
    """One place where two results differ, or where nobody can tell whether they do.

    Attributes:
        path: Where, from the result itself, which is `$`.
        kind: `value`, `type`, `shape`, `missing` (only expected), `extra` (only found), or `hidden`: it differs,
            and may not be shown. The others are no differences, since what would be compared is not there: it is
            `redacted` for good, an array's elements are `absent`, the answer was `cut`, or a `hook` changed it.
        expected: What the first has there, shortened.
        found: What the second has there, shortened.
    """

    path: str
    kind: Kind
    expected: str = ""
    found: str = ""

    @property
    def certain(self) -> bool:
        """Whether the results do differ here."""
        return self.kind not in _UNTOLD

    @property
    def reason(self) -> str:
        """Why nobody can tell; empty where the results do differ."""
        return _UNTOLD.get(self.kind, "")

    def __str__(self) -> str:
        """One line."""
        if not self.certain:
            return f"{self.path}: can't be compared, {self.reason}"
        if self.kind == "hidden":
            return f"{self.path}: differs, and is redacted"
        if self.kind == "missing":
            return f"{self.path}: {self.expected} is missing"
        if self.kind == "extra":
            return f"{self.path}: {self.found} is new"
        return f"{self.path}: {self.expected} → {self.found}"


class Pair(NamedTuple):
    """Something of both results."""

    expected: Any
    found: Any


def compare(  # noqa: PLR0913 - all but the results are keywords with defaults
    expected: Any,
    found: Any,
    tolerance: Tolerance | None = None,
    *,
    most: int = 20,
    seen: Pair | None = None,
    dropped: bool = False,
) -> list[Difference]:
    """Compares two results, place by place.

    Args:
        expected: The result to compare with.
        found: The result to look at.
        tolerance: How far numbers may be apart; the default one if `None`.
        most: Differences to report, at most; past it the comparison ends. No more places that can't be compared are
            reported either, but they end nothing.
        seen: The same results as they may be shown; `None` if all of them may.
        dropped: Whether fields of the expected result are not there: `[redacted]` stands in their places.

    Returns:
        The differences in order of their places, and then what can't be compared, of a list's items once; none if
        the results are equal.

    Examples:
        >>> [str(difference) for difference in compare({"a": 1, "b": [1.0, 2.0]}, {"a": 1, "b": [1.0, 2.5]})]
        ['$.b[1]: 2.0 → 2.5']
        >>> compare([1.0, float("nan")], [1.0 + 1e-12, float("nan")])
        []
        >>> str(*compare({"pin": 1}, {"pin": 2}, seen=Pair({"pin": "[redacted]"}, {"pin": "[redacted]"})))
        '$.pin: differs, and is redacted'
        >>> str(*compare({"pin": "[redacted]"}, {"pin": 2}, dropped=True))
        "$.pin: can't be compared, it is redacted"
    """
    comparison = _Comparison(tolerance or Tolerance(), most, dropped=dropped)
    comparison.look("$", expected, found, seen)
    return [*comparison.differences, *comparison.untold.values()]


def gone_places(value: Any, path: str, *, dropped: bool, most: int = 20) -> list[Difference]:
    """The places of a value that are not there, as what can't be compared.

    Args:
        value: The value.
        path: What it is.
        dropped: Whether fields of it are not there: `[redacted]` stands in their places.
        most: Places to report, at most.
    """
    return list(itertools.islice(_gone(value, path, dropped=dropped), most))


def _gone(value: Any, path: str, *, dropped: bool) -> Iterator[Difference]:
    if isinstance(value, Absent):
        yield Difference(path, "absent")
    elif dropped and isinstance(value, str) and REDACTED in value:
        yield Difference(path, "redacted")
    elif isinstance(value, Mapping):
        for key, one in cast("Mapping[Any, Any]", value).items():
            yield from _gone(one, _under(path, key), dropped=dropped)
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(cast("list[Any]", value)):
            yield from _gone(one, f"{path}[{number}]", dropped=dropped)


def of_any_item(path: str) -> str:
    """A path without the numbers of lists' items.

    Examples:
        >>> of_any_item("$.logins[3].pin")
        '$.logins[…].pin'
    """
    return _NUMBER.sub("[…]", path)


def _under(path: str, key: Any) -> str:
    """The path of what a map has under a key."""
    if isinstance(key, str) and key.isidentifier():
        return f"{path}.{without_middle(key, _KEY)}"
    return f"{path}[{without_middle(repr(key), _KEY)}]"


class _Comparison:
    def __init__(self, tolerance: Tolerance, most: int, *, dropped: bool) -> None:
        self.tolerance = tolerance
        self.most = most
        self.dropped = dropped
        self.differences: list[Difference] = []
        #: What can't be compared, by its place.
        self.untold: dict[str, Difference] = {}

    def add(self, path: str, kind: Kind, expected: str = "", found: str = "") -> None:
        if len(self.differences) < self.most:
            self.differences.append(Difference(path, kind, expected, found))

    def leave(self, path: str, kind: Kind) -> None:
        """Notes a place of which nobody can tell; that ends nothing."""
        path = of_any_item(path)
        if path in self.untold or len(self.untold) < self.most:
            self.untold[path] = Difference(path, kind)

    def look(self, path: str, expected: Any, found: Any, seen: Pair | None = None) -> None:
        if len(self.differences) >= self.most:
            return
        if self.dropped and _may_stand_for(expected, found):
            self.leave(path, "redacted")
        elif expected is found:
            return
        elif seen is not None and not (_open(expected, seen.expected) and _open(found, seen.found)):
            self.hidden(path, expected, found, seen)
        elif isinstance(found, Absent):
            self.absent(path, expected, found)
        elif is_array(expected) or is_array(found):
            self.arrays(path, expected, found)
        elif isinstance(expected, Mapping) and isinstance(found, Mapping):
            self.maps(path, cast("Mapping[Any, Any]", expected), cast("Mapping[Any, Any]", found), seen)
        elif isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
            self.lists(path, cast("list[Any]", expected), cast("list[Any]", found), seen)
        else:
            self.plain(path, expected, found, seen)

    def plain(self, path: str, expected: Any, found: Any, seen: Pair | None) -> None:
        if _is_number(expected) and _is_number(found):
            if not self.tolerance.covers(expected, found):
                self.add(path, "value", shown(expected), shown(found))
        elif kind_of(expected) is not kind_of(found):
            self.typed(path, expected, found, seen)
        elif not _equal(expected, found):
            self.add(path, "value", shown(expected), shown(found))

    def hidden(self, path: str, expected: Any, found: Any, seen: Pair) -> None:
        """A place that is shown otherwise than it is, of one result or of both."""
        inner = _Comparison(self.tolerance, 1, dropped=self.dropped)
        inner.look(path, expected, found)
        if inner.differences:
            self.add_seen(path, seen)
        for one in inner.untold.values():
            # Not where: names below this place are hidden, too.
            self.leave(path, one.kind)

    def add_seen(self, path: str, seen: Pair) -> None:
        """A place that differs, as far as that may be shown."""
        visible = _Comparison(self.tolerance, self.most, dropped=False)
        if not any(isinstance(one, str) and one == REDACTED for one in seen):
            visible.look(path, seen.expected, seen.found)
        for one in visible.differences:
            self.add(one.path, one.kind, one.expected, one.found)
        if not visible.differences:
            self.add(path, "hidden")

    def absent(self, path: str, expected: Any, found: Absent) -> None:
        """An array of which only type and shape are known; in a redacted file they are a text."""
        if expected == found or expected == repr(found):
            self.leave(path, "absent")
        else:
            self.typed(path, expected, found, None)

    def typed(self, path: str, expected: Any, found: Any, seen: Pair | None) -> None:
        one = seen or Pair(expected, found)
        self.add(path, "type", _typed(one.expected), _typed(one.found))

    def maps(self, path: str, expected: Mapping[Any, Any], found: Mapping[Any, Any], seen: Pair | None) -> None:
        view = seen or Pair(expected, found)
        for key, value in expected.items():
            if key in found:
                inner = seen and Pair(seen.expected[key], seen.found[key])
                self.look(_under(path, key), value, found[key], inner)
            else:
                self.add(_under(path, key), "missing", shown(view.expected[key]))
        for key in found:
            if key not in expected:
                self.add(_under(path, key), "extra", "", shown(view.found[key]))

    def lists(self, path: str, expected: list[Any], found: list[Any], seen: Pair | None) -> None:
        if len(expected) != len(found):
            self.add(path, "shape", f"{len(expected)} items", f"{len(found)} items")
            return
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            inner = seen and Pair(seen.expected[number], seen.found[number])
            self.look(f"{path}[{number}]", one, other, inner)

    def arrays(self, path: str, expected: Any, found: Any) -> None:
        one, other = as_numpy(expected), as_numpy(found)
        if one is None or other is None:
            self.add(path, "type", _typed(expected), _typed(found))
            return
        if one.shape != other.shape:
            self.add(path, "shape", f"shape {one.shape}", f"shape {other.shape}")
            return
        if one.dtype.names is not None and one.dtype.names == other.dtype.names:
            for name in one.dtype.names:
                self.arrays(_under(path, name), one[name], other[name])
            return
        if one.dtype.names != other.dtype.names:
            self.add(path, "type", elements_text(one.dtype), elements_text(other.dtype))
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


def _may_stand_for(expected: Any, found: Any) -> bool:
    """Whether a value has something redacted in the place of what may be the other one."""
    if not isinstance(expected, str) or REDACTED not in expected:
        return False
    # A part of it stays a part of a text, or of what was bytes.
    return expected == REDACTED or isinstance(found, (str, bytes))


def _open(value: Any, seen: Any) -> bool:
    """Whether a value is shown as it is; of a list or map, whether what is in it can be looked at one by one."""
    if value is seen:
        return True
    if isinstance(value, Mapping):
        keys = cast("Mapping[Any, Any]", value).keys()
        return isinstance(seen, Mapping) and keys == cast("Mapping[Any, Any]", seen).keys()
    if isinstance(value, (list, tuple)):
        return isinstance(seen, (list, tuple)) and len(cast("list[Any]", value)) == len(cast("list[Any]", seen))
    if kind_of(value) is not kind_of(cast("object", seen)):
        return False
    return _equal(value, seen) or (value != value and seen != seen)  # noqa: PLR0124 - nan


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
