"""Text that is too long to travel or to be read: cut, so that it shows that something is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Names of an enumeration that are told.
_NAMES = 20


def clipped(text: str, most: int) -> str:
    """The beginning of a text, as UTF-8 has a form for it.

    Args:
        text: The text; a half of a surrogate pair in it, which has no form, is written as an escape.
        most: Bytes of UTF-8 that it may have; `…` is added to what is cut.

    Examples:
        >>> clipped("short", 8), clipped("rather long", 8)
        ('short', 'rather l…')
    """
    # No more than can be kept is looked at: a text may have millions of characters.
    data = text[: most + 1].encode("utf-8", "backslashreplace")
    return data.decode() if len(data) <= most else f"{data[:most].decode('utf-8', 'ignore')}…"


def without_middle(text: str, most: int) -> str:
    """The beginning and the end of a text: of a long name, both tell it from others.

    Args:
        text: The text.
        most: Bytes of UTF-8 that it may have, about.

    Examples:
        >>> without_middle("the_name_of_a_field_that_nobody_reads", 12)
        'the_na…_reads'
    """
    data = text[: most + 1].encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return data.decode()
    half = most // 2
    end = text[-half:].encode("utf-8", "backslashreplace")[-half:]
    return f"{data[:half].decode('utf-8', 'ignore')}…{end.decode('utf-8', 'ignore')}"


def enumerated(names: Sequence[str]) -> str:
    """Names separated by commas; of many, the first ones and how many more there are.

    Examples:
        >>> enumerated(["a", "b"])
        'a, b'
        >>> enumerated([f"n{number}" for number in range(500)])[-25:]
        ', n19, … 480 more of them'
    """
    text = ", ".join(without_middle(name, 128) for name in names[:_NAMES])
    return text if len(names) <= _NAMES else f"{text}, … {len(names) - _NAMES:,} more of them"
