"""What an endpoint or a method may be called; the same rules as `native/protocol/src/name.rs`."""

from __future__ import annotations

import difflib
import string
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENDPOINT_LEN = 128
MAX_METHOD_LEN = 256
#: Methods that begin so are answered by the worker itself.
RESERVED_PREFIX = "pycrust."

_FIRST = frozenset(string.ascii_letters + string.digits)
_ALLOWED = _FIRST | frozenset("._-")


def check_endpoint(name: str) -> str:
    """Checks an endpoint's name: 1 to 128 ASCII letters, digits, `.`, `_`, `-`; a letter or digit first.

    Args:
        name: The name to check.

    Returns:
        The name.

    Raises:
        TypeError: It is not a string.
        ValueError: It breaks a rule; the message says which.

    Examples:
        >>> check_endpoint("arm.left")
        'arm.left'
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise TypeError(f"an endpoint's name is a str, not {type(name).__name__}")
    reason = None
    if not name:
        reason = "it is empty"
    elif len(name) > MAX_ENDPOINT_LEN:
        reason = f"it has {len(name)} characters, at most {MAX_ENDPOINT_LEN} are allowed"
    elif bad := next((character for character in name if character not in _ALLOWED), None):
        reason = f"{bad!r} is not an ASCII letter, a digit, '.', '_' or '-'"
    elif name[0] not in _FIRST:
        reason = "it must begin with a letter or a digit"
    if reason:
        raise ValueError(f"{name!r} can't be an endpoint's name: {reason}")
    return name


def check_method(name: str) -> str:
    """Checks a method's name: 1 to 256 bytes of UTF-8, no control characters, outside `pycrust.`.

    Args:
        name: The name to check.

    Returns:
        The name.

    Raises:
        TypeError: It is not a string.
        ValueError: It breaks a rule; the message says which.

    Examples:
        >>> check_method("policy.step")
        'policy.step'
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise TypeError(f"a method's name is a str, not {type(name).__name__}")
    reason = None
    if not name:
        reason = "it is empty"
    elif any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        reason = "it holds a control character or half a surrogate pair"
    elif (size := len(name.encode())) > MAX_METHOD_LEN:
        reason = f"it has {size} bytes, at most {MAX_METHOD_LEN} are allowed"
    elif name.startswith(RESERVED_PREFIX):
        reason = f"names that begin with {RESERVED_PREFIX!r} are answered by the worker itself"
    if reason:
        raise ValueError(f"{name!r} can't be a method's name: {reason}")
    return name


def near_matches(name: str, known: Iterable[str]) -> list[str]:
    """The known names that a caller may have meant by `name`, best first.

    Examples:
        >>> near_matches("ad", ["add", "ping"])
        ['add']
    """
    return difflib.get_close_matches(name, list(known), n=3)
