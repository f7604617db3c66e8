"""What a version of a handler is: frozen code, and the record that its history keeps."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a method's history. It holds text, no objects of the handler's: those can be freed.

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

    def __str__(self) -> str:
        """One line."""
        where = f", cell [{self.cell}]" if self.cell is not None else ""
        what = "removed" if self.removed else f"v{self.number}"
        return f"{self.method} {what}, {self.published:%Y-%m-%d %H:%M:%S}{where}"


def now() -> dt.datetime:
    """The time of a publication, in the local zone."""
    return dt.datetime.now().astimezone()


def source_of(function: Callable[..., Any]) -> str:
    """A handler's source text, or `""` where there is none to read."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = cast("Any", inner).func
    try:
        return inspect.getsource(inner)
    except (OSError, TypeError):
        return ""


def doc_line(function: Callable[..., Any]) -> str:
    """The first line of a handler's docstring."""
    text = inspect.getdoc(function) if not isinstance(function, functools.partial) else None
    return text.strip().splitlines()[0] if text and text.strip() else ""


def frozen_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy that keeps its code and defaults when `function` is changed in place (autoreload does that).

    Globals stay late-bound and the closure's cells stay shared, as Python users expect.
    """
    if isinstance(function, types.MethodType):
        copy = frozen_copy(function.__func__)
        return types.MethodType(copy, function.__self__)
    if not isinstance(function, types.FunctionType):
        return function
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    if function.__kwdefaults__ is not None:
        copy.__kwdefaults__ = dict(function.__kwdefaults__)
    copy.__dict__.update(function.__dict__)
    copy.__annotations__ = dict(function.__annotations__)
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    return copy
