"""A model's versions, as a person sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pycrust.text.table import Table

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, as it was when the history was asked for.

    Attributes:
        slot: The slot's name.
        number: From 1.
        kind: The model's type.
        loaded: When it was loaded.
        seconds: How long loading, warming up and validating took.
        state: `staged` until its cell succeeds, `refused` if that failed, `live`, `draining` while calls on it run
            on, `kept` for rollback, `retired` once it is let go, `held` if it is still in memory then.
        holders: Who keeps a `held` one alive, as far as that was found.
        reason: Why it was published.
    """

    slot: str
    number: int
    kind: str
    loaded: dt.datetime
    seconds: float
    state: str
    holders: tuple[str, ...] = ()
    reason: str = "loaded"

    def __str__(self) -> str:
        """One line."""
        held = f", held by {', '.join(self.holders)}" if self.holders else ""
        return f"{self.slot} v{self.number} {self.state}{held}"


class ModelHistory(list[ModelVersion]):
    """The versions of a model, the oldest first: a list that shows itself as a table."""

    def _table(self) -> Table:
        rows = [
            (
                f"v{one.number}",
                one.state + (f" by {', '.join(one.holders)}" if one.holders else ""),
                f"{one.loaded:%Y-%m-%d %H:%M:%S}",
                f"{one.seconds:.2f} s",
                one.kind,
                one.reason,
            )
            for one in self
        ]
        return Table(("version", "state", "loaded", "took", "type", "why"), rows, left={1, 2, 4, 5})

    def __repr__(self) -> str:
        """A table of text."""
        return str(self._table())

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        return self._table().html()
