"""What a version of a handler is: the record that its history keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

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
