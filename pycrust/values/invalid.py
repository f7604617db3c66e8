"""What is told of values that don't validate: the first mistakes, and how many there are.

Two megabytes can hold two million wrong elements. Pydantic takes 0.8 s to find them; listing them by `errors()`
takes 13 s more, writing them as text 7 s, as JSON 1 s. So few are listed, and of many the first ones are read off
the JSON. What is told of them fits into a small answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import ValidationError, from_json

from pycrust.text.clipping import clipped, without_middle
from pycrust.values.misfits import named

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Mistakes that are told, at most.
MOST = 100
#: Mistakes that are listed by Pydantic; of more, JSON is the cheaper way to the first ones.
_FEW = 1_000
#: Mistakes that are written into a message.
_IN_WORDS = 5
#: Bytes of all that are told, of one mistake's text, of one step of its place; and steps of its place.
_ALL, _TEXT, _STEP, _STEPS = 24_576, 8_192, 128, 64
#: Bytes of those that are written into a message, unless the first one alone has more.
_MESSAGE = 8_192
#: Characters of the JSON that are read.
_READ = 65_536

#: Where an error keeps how many mistakes were left out of it, and what was found out about it.
_LEFT_OUT, _FOUND = "_pycrust_left_out", "_pycrust_mistakes"

#: What Pydantic says of a function's arguments, in the words that it has for a model's fields.
_AS_FIELDS = {
    "unexpected_keyword_argument": ("Extra inputs are not permitted", "extra_forbidden"),
    "unexpected_positional_argument": ("Extra inputs are not permitted", "extra_forbidden"),
    "missing_argument": ("Field required", "missing"),
    "missing_keyword_only_argument": ("Field required", "missing"),
    "missing_positional_only_argument": ("Field required", "missing"),
}


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with a value.

    Attributes:
        listed: The first mistakes, each with `loc`, `msg` and `type`.
        count: How many there are in all.
    """

    listed: list[dict[str, Any]]
    count: int

    @classmethod
    def of(cls, error: ValidationError) -> Mistakes:
        """Those that an error tells of; found out once."""
        found: Mistakes | None = getattr(error, _FOUND, None)
        if found is None:
            found = cls(_bounded(error), error.error_count() + getattr(error, _LEFT_OUT, 0))
            setattr(error, _FOUND, found)
        return found

    def __str__(self) -> str:
        """The first few in words, and how many there are."""
        parts = self._in_words()
        told = "; ".join(parts)
        if not parts:
            return f"{self.count:,} values don't fit"
        if self.count > len(parts):
            told += f"; and {self.count - len(parts):,} more"
        left = self.count - len(self.listed)
        if not left:
            return told
        return f"{told} ({self.count:,} in all: the details list {len(self.listed)}, {left:,} more are left out)"

    def _in_words(self) -> list[str]:
        """The first few, none of them cut: a part of a hidden value would not be found in the message."""
        parts: list[str] = []
        room = _MESSAGE
        for one in self.listed[:_IN_WORDS]:
            part = f"{_place(one) or 'value'}: {one['msg']}"
            room -= len(part.encode())
            if parts and room < 0:
                break
            parts.append(part)
        return parts

    def lines(self, title: str) -> str:
        """The mistakes as Pydantic writes them, without the values."""
        lines = [f"{self.count:,} validation errors for {clipped(title, _STEP)}"]
        for one in self.listed:
            lines += [_place(one), f"  {one['msg']} [type={one['type']}]"]
        return "\n".join([*lines, f"… {self.count - len(self.listed):,} more are left out"])


def leave_out(error: ValidationError, number: int) -> ValidationError:
    """The error, which tells of fewer mistakes than there are.

    Args:
        error: The error.
        number: How many it doesn't tell of.
    """
    if number:
        setattr(error, _LEFT_OUT, number)
    return error


def is_heavy(error: BaseException) -> bool:
    """Whether an error tells of so many mistakes that it is not to be listed, nor written as text."""
    return isinstance(error, ValidationError) and error.error_count() > _FEW


def text_of(error: BaseException) -> str:
    """The text of an exception, which tells of the first of very many mistakes only."""
    if isinstance(error, ValidationError) and is_heavy(error):
        return Mistakes.of(error).lines(error.title)
    return str(error)


def lightened(error: BaseException) -> BaseException:
    """The same for a traceback, in which none writes of very many mistakes.

    Formatting a traceback asks each exception of the chain for its text. Where one is heavy, stand-ins of the same
    names and with the same frames take the places of all.
    """
    chain = list(_chain(error))
    if not any(is_heavy(one) for one in chain):
        return error
    copies = {id(one): _stand_in(one) for one in chain}
    for one in chain:
        copy = copies[id(one)]
        copy.__cause__ = copies.get(id(one.__cause__))
        copy.__context__ = copies.get(id(one.__context__))
        copy.__suppress_context__ = one.__suppress_context__
    return copies[id(error)]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and all that it came of."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [one.__cause__, one.__context__]


def _stand_in(error: BaseException) -> BaseException:
    cls = type(error)
    text = text_of(error)
    kind = type(cls.__qualname__, (Exception,), {"__module__": cls.__module__})
    copy = cast("BaseException", kind(text) if text else kind())
    for note in getattr(error, "__notes__", ()):
        copy.add_note(note)
    return copy.with_traceback(error.__traceback__)


def _bounded(error: ValidationError) -> list[dict[str, Any]]:
    """As many mistakes as fit, each cut to what it may have."""
    listed: list[dict[str, Any]] = []
    room = _ALL
    for one in _first(error):
        line = _line(named(error, one["loc"]), one["msg"], one["type"])
        room -= len(str(line).encode())
        if listed and room < 0:
            break
        listed.append(line)
    return listed


def _first(error: ValidationError) -> list[Any]:
    """The first mistakes as Pydantic tells them."""
    if error.error_count() <= _FEW:
        return cast("list[Any]", error.errors(include_url=False, include_context=False, include_input=False)[:MOST])
    text = error.json(include_url=False, include_context=False, include_input=False)
    found: list[Any] = from_json(text[:_READ], allow_partial=True)
    return [one for one in found[:MOST] if one.keys() >= {"loc", "msg", "type"}]


def _line(loc: list[int | str], msg: str, kind: str) -> dict[str, Any]:
    msg, kind = _AS_FIELDS.get(kind, (msg, kind))
    steps = [without_middle(step, _STEP) if isinstance(step, str) else step for step in loc]
    if len(steps) > _STEPS:
        steps = [*steps[: _STEPS // 2], "…", *steps[-_STEPS // 2 :]]
    return {"loc": steps, "msg": clipped(msg, _TEXT), "type": clipped(kind, _STEP)}


def _place(line: dict[str, Any]) -> str:
    return ".".join(map(str, line["loc"]))
