"""What a version of a handler is: frozen code, and the record that its history keeps."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pycrust.functions.callables import plain_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Characters of a signature in a history.
_SIGNATURE = 100

State = Literal["staged", "live", "draining", "retired", "removed"]


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a method's history, as it was when the history was asked for.

    It holds text, no objects of the handler's: those can be freed.

    Attributes:
        method: The method's name.
        number: From 1, one more with each publication.
        source: The handler's source text, or `""` where there is none.
        doc: The first line of its docstring.
        published: When it went live.
        cell: The number of the notebook cell that registered it, or `None`.
        cell_id: That cell's id in JupyterLab, or `None`.
        schema: The JSON Schemas of request and response as JSON text.
        schema_hash: 64 bits that tell this schema from another.
        removed: Whether this entry is the method's removal.
        signature: The handler's name and parameters as text.
        reason: Why it was published: `registered`, `rollback to v2`, `policy v3`, `removed`, `reloaded`.
        models: The versions of the models that it is bound to, by the names of their slots.
        state: `staged` until its cell succeeds, `live`, `draining` while calls that started on it run on,
            `retired`, and `removed` of a removal.
        rebound: Globals that the handler reads and that were bound to something else while it was live.
        kept: Whether the handler is kept, so that `rollback` can publish it again.
    """

    method: str
    number: int
    source: str = field(repr=False)
    doc: str = field(repr=False)
    published: dt.datetime
    cell: int | None
    cell_id: str | None = field(repr=False)
    schema: str = field(repr=False)
    schema_hash: int = field(repr=False)
    removed: bool = False
    signature: str = field(default="", repr=False)
    reason: str = "registered"
    models: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    state: State = "live"
    rebound: tuple[str, ...] = ()
    kept: bool = field(default=False, repr=False)

    @property
    def label(self) -> str:
        """`v3`, or `v3*` if a global that the handler reads has changed under it."""
        return f"v{self.number}{'*' if self.rebound else ''}"

    def __str__(self) -> str:
        """One line."""
        where = f", cell [{self.cell}]" if self.cell is not None else ""
        what = "removed" if self.removed else self.label
        return f"{self.method} {what}, {self.published:%Y-%m-%d %H:%M:%S}{where}"


def now() -> dt.datetime:
    """The time of a publication, in the local zone."""
    return dt.datetime.now().astimezone()


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
