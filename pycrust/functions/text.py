"""What a function is to whoever reads of it: its source, its signature, a line of documentation."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from pycrust.functions.callables import plain_function

if TYPE_CHECKING:
    from collections.abc import Callable

#: Characters of a signature in a history.
_SIGNATURE = 100


def source_of(function: Callable[..., Any]) -> str:
    """A handler's source text, or `""` where there is none to read."""
    try:
        return inspect.getsource(plain_function(function) or function)
    except (OSError, TypeError):
        return ""


def signature_text(method: str, function: Callable[..., Any]) -> str:
    """A method's name with its parameters as they are written, shortened to one line."""
    try:
        text = f"{method}{inspect.signature(function)}"
    except (TypeError, ValueError):
        text = method
    return text if len(text) <= _SIGNATURE else f"{text[: _SIGNATURE - 1]}…"


def doc_line(function: Callable[..., Any]) -> str:
    """The first line of a handler's docstring."""
    text = inspect.getdoc(function) if not isinstance(function, functools.partial) else None
    return text.strip().splitlines()[0] if text and text.strip() else ""
