"""Where a registration goes first: to the running notebook cell's transaction, or straight to publication.

Without a notebook there is no cell, and every registration publishes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pycrust.handlers.registration import Registration
    from pycrust.models.store import ModelChange


class Publisher(Protocol):
    """What a transaction needs of an endpoint."""

    name: str

    def publish(self, changes: Sequence[Registration | ModelChange]) -> list[str]:
        """Makes changes live in one step; gives a line for each live method that changed."""
        ...

    def refused(self, changes: Sequence[Registration | ModelChange], cell: int | None) -> None:
        """The cell that had registered these failed."""
        ...


class Stage(Protocol):
    """Registrations that wait for their cell to succeed."""

    @property
    def cell(self) -> tuple[int | None, str | None]:
        """The number and the id of the cell."""
        ...

    def put(self, endpoint: Publisher, registration: Registration | ModelChange) -> None:
        """Adds a registration, in place of an earlier one of the same method."""
        ...

    def staged(self, endpoint: Publisher) -> dict[str, Registration | ModelChange]:
        """What this stage and those around it hold for an endpoint, by method."""
        ...

    def take(self, endpoint: Publisher) -> list[Registration | ModelChange]:
        """Hands over what is held for an endpoint, to be published now."""
        ...


def _no_cell() -> Stage | None:
    return None


#: Gives the stage of the cell that the calling code belongs to; `pycrust.jupyter` has its own put here.
of_notebook: Callable[[], Stage | None] = _no_cell


def cell() -> tuple[int | None, str | None]:
    """The number and the id of the notebook cell that this code belongs to, as far as there are any."""
    stage = current()
    return stage.cell if stage else (None, None)


def current() -> Stage | None:
    """The stage of the cell that this code belongs to; `None` outside of one: publish at once."""
    return of_notebook()
