"""The one grammar that chooses recorded calls, in Python and in the live view.

A filter is a line of terms, separated by spaces; a call matches if every term does. `-` before a term turns it
around. Where a value has spaces, quote it.

| term | matches |
|---|---|
| `add`, `method:add` | calls of this method; `*` stands for any text: `arm.*` |
| `"text"` | the text, in any case, in arguments, result, error, traceback, output or method |
| `status:error`, `status:ok` | calls that ended in an error, or did not |
| `status:invalid_argument`, `status:3` | calls with this status, by name or number |
| `version:3`, `version:2..4` | calls that this version answered |
| `client:NAME`, `client:4711` | calls of clients of this name (with `*`) or process id |
| `>5ms`, `<200us`, `1ms..5ms` | how long it took: as the client measured it, else in the worker |
| `handler:>5ms`, `queue:1ms..2ms` | how long one stage took |
| `since:10s` | calls that ended in the last 10 s |
| `seq:12`, `seq:10..20` | calls by their number in the record |
| `is:stream`, `is:late` | kinds of calls: stream, upload, one-way, latest, idempotent, truncated, late, running |

Times have a unit: `ns`, `us` (or `µs`), `ms`, `s`. Ranges include both ends and may leave one out: `5ms..`.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pycrust._extension import matches
from pycrust.errors import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pycrust.traffic.recorded import RecordedCall

    Test = Callable[[RecordedCall], bool]

#: Characters of a filter, at most: it may come from a browser.
MAX_LENGTH = 1_000

STAGES = ("transit", "queue", "interpreter", "decode", "handler", "encode", "back")
KINDS = ("stream", "one-way", "latest", "idempotent", "truncated", "late", "upload", "running")

#: A running call has no code yet.
_NO_ERRORS: set[Code | None] = {Code.OK, None}

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s)")
_KEY = re.compile(r"([a-z]+):")
#: A quoted text, or anything up to a space in which quoted pieces may stand.
_TERM = re.compile(r'(?:"[^"]*"|[^\s"])+')


class FilterError(ValueError):
    """A filter that can't be read: what is wrong, and where.

    Attributes:
        reason: What is wrong, without the place.
        filter: The whole filter.
        position: Where the wrong piece begins.
        length: How long it is.
    """

    def __init__(self, reason: str, text: str, position: int, length: int) -> None:
        """Points at a piece of `text`."""
        self.reason, self.filter, self.position, self.length = reason, text, position, max(length, 1)
        mark = " " * position + "^" * self.length
        super().__init__(f"{reason}\n    {text}\n    {mark}")


@dataclass(frozen=True)
class Filter:
    """A filter that was read: call it with a call.

    Attributes:
        text: As it was written.
    """

    text: str
    _tests: tuple[Test, ...]

    def __call__(self, call: RecordedCall) -> bool:
        """Whether the call matches."""
        return all(test(call) for test in self._tests)


@dataclass(frozen=True)
class _Piece:
    """A part of a filter, which errors point at."""

    whole: str
    begin: int
    text: str

    def rest(self, skipped: int) -> _Piece:
        return _Piece(self.whole, self.begin + skipped, self.text[skipped:])

    def wrong(self, reason: str) -> FilterError:
        return FilterError(reason, self.whole, self.begin, len(self.text))

    def value(self) -> str:
        """The text without its quotes.

        Raises:
            FilterError: There is none.
        """
        value = self.text.replace('"', "")
        if not value:
            raise _Piece(self.whole, self.begin, self.text or " ").wrong("a value is missing here")
        return value


def parse(text: str) -> Filter:
    """Reads a filter.

    Args:
        text: The filter; empty matches every call.

    Raises:
        FilterError: It can't be read; the message points at what is wrong.

    Examples:
        >>> parse("add status:error >5ms").text
        'add status:error >5ms'
        >>> parse("add >5")
        Traceback (most recent call last):
        pycrust.traffic.filters.FilterError: '5' is no time: write a number and ns, us, ms or s, such as 5ms
            add >5
                 ^
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"a filter has at most {MAX_LENGTH} characters", text[:40] + "…", 40, 1)
    if text.count('"') % 2:
        raise FilterError("this quote is not closed", text, text.rindex('"'), 1)
    return Filter(text, tuple(_term(_Piece(text, found.start(), found[0])) for found in _TERM.finditer(text)))


def _term(piece: _Piece) -> Test:
    if not piece.text.startswith("-"):
        return _positive(piece)
    if piece.text == "-":
        raise piece.wrong("a term is missing after '-'")
    test = _positive(piece.rest(1))
    return lambda call: not test(call)


def _positive(piece: _Piece) -> Test:
    text = piece.text
    if text.startswith('"'):
        return _contains(piece.value())
    if text[0] in "<>" or (".." in text and _TIME.match(text.lstrip("."))):
        return _within(piece, lambda call: call.took_ns)
    found = _KEY.match(text)
    if found is None:
        return _method(piece)
    key, rest = found[1], piece.rest(found.end())
    if key in STAGES:
        return _within(rest, lambda call: call.stages_ns.get(key))
    make = _KEYS.get(key)
    if make is None:
        known = ", ".join(f"{name}:" for name in (*_KEYS, *STAGES))
        raise _Piece(piece.whole, piece.begin, key).wrong(
            f"{key}: is no term; there are {known} and a method of that name is found by method:{text}"
        )
    return make(rest)


def _method(piece: _Piece) -> Test:
    matches = _matcher(piece.value())
    return lambda call: matches(call.method)


def _matcher(pattern: str) -> Callable[[str], bool]:
    return lambda text: matches(pattern, text)


def _contains(text: str) -> Test:
    wanted = text.casefold()
    return lambda call: wanted in call.text.casefold()


def _status(piece: _Piece) -> Test:
    value = piece.value().lower()
    if value == "error":
        return lambda call: call.code not in _NO_ERRORS
    by_name = {code.name.lower(): code for code in Code} | {str(int(code)): code for code in Code}
    code = by_name.get(value.replace("-", "_"))
    if code is None:
        names = ", ".join(code.name.lower() for code in Code)
        raise piece.wrong(f"{value!r} is no status: write error, {names}, or a number from 0 to 16")
    return lambda call: call.code == code


def _client(piece: _Piece) -> Test:
    pattern = piece.value()
    if pattern.isdecimal():
        return lambda call: call.client_pid == int(pattern) or call.client == pattern
    matches = _matcher(pattern)
    return lambda call: matches(call.client)


def _since(piece: _Piece) -> Test:
    after = time.time_ns() - _time(piece)
    return lambda call: call.ended_unix_ns >= after


def _is(piece: _Piece) -> Test:
    value = piece.value().lower().replace("_", "-")
    if value not in KINDS:
        raise piece.wrong(f"{value!r} is no kind of call: there are {', '.join(KINDS)}")
    return lambda call: value in call.kinds


def _number(pick: Callable[[RecordedCall], int]) -> Callable[[_Piece], Test]:
    def make(piece: _Piece) -> Test:
        low, high = _range(piece, _whole)
        return lambda call: (low is None or pick(call) >= low) and (high is None or pick(call) <= high)

    return make


_KEYS: dict[str, Callable[[_Piece], Test]] = {
    "method": _method,
    "status": _status,
    "version": _number(lambda call: call.version),
    "client": _client,
    "since": _since,
    "seq": _number(lambda call: call.seq),
    "is": _is,
}


def _within(piece: _Piece, pick: Callable[[RecordedCall], int | None]) -> Test:
    """`>5ms`, `<5ms`, `1ms..5ms`; calls of which the time is not known don't match."""
    first = piece.text[:1]
    if first and first in "<>":
        equal = 1 if piece.text[1:2] == "=" else 0
        bound = _time(piece.rest(1 + equal))
        if first == ">":
            return lambda call: (took := pick(call)) is not None and took >= bound + 1 - equal
        return lambda call: (took := pick(call)) is not None and took <= bound - 1 + equal
    if ".." not in piece.text:
        raise piece.wrong("write >, < or a range before a time: >5ms, <200us, 1ms..5ms")
    low, high = _range(piece, _time)
    return lambda call: (
        (took := pick(call)) is not None and ((low is None or took >= low) and (high is None or took <= high))
    )


def _range(piece: _Piece, read: Callable[[_Piece], int]) -> Sequence[int | None]:
    """`3`, `2..4`, `2..` or `..4`."""
    if ".." not in piece.text:
        value = read(piece)
        return value, value
    before, _, after = piece.text.partition("..")
    if not before and not after:
        raise piece.wrong("a range needs at least one end: 1ms..5ms, 1ms.. or ..5ms")
    low = read(_Piece(piece.whole, piece.begin, before)) if before else None
    high = read(piece.rest(len(before) + 2)) if after else None
    if low is not None and high is not None and low > high:
        raise piece.wrong(f"this range is empty: its end is below its beginning; write {after}..{before}")
    return low, high


def _time(piece: _Piece) -> int:
    value = piece.value()
    found = _TIME.fullmatch(value)
    # Of many digits a float makes infinity.
    amount = float(found[1]) * _UNITS[found[2]] if found else math.inf
    if math.isinf(amount):
        raise piece.wrong(f"{value!r} is no time: write a number and ns, us, ms or s, such as 5ms")
    return round(amount)


def _whole(piece: _Piece) -> int:
    value = piece.value().removeprefix("v")
    if not value.isdecimal() or len(value) > 20:  # noqa: PLR2004 - digits of the largest 64-bit number
        raise piece.wrong(f"{value!r} is no whole number")
    return int(value)
