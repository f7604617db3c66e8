"""The models that an endpoint's handlers are bound to, by their slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pycrust._extension import Handler
from pycrust.errors import Unavailable
from pycrust.text.names import near_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: In place of a model that was unloaded before the next one is loaded.
SUSPENDED = object()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ModelChange:
    """One change of an endpoint: a slot's new model. It is staged and published as a registration is."""

    slot: str
    number: int
    model: Any = field(repr=False)
    #: Why the handlers that are bound to it are published again.
    reason: str
    #: The line that says so.
    text: str
    #: Told when it is live; must not fail.
    published: Callable[[], None] = field(repr=False)
    #: Told when its cell has failed.
    refused: Callable[[], None] = field(repr=False)

    @property
    def method(self) -> str:
        """Its key among the changes of a cell, which no method can have."""
        return f"\0{self.slot}"

    @property
    def title(self) -> str:
        """What a user is told that it is."""
        return f"model {self.slot}"

    @property
    def handler(self) -> None:
        """It has none: a later one of its cell takes its place."""
        return

    def changes(self, _before: object) -> bool:
        """Always: a model that was loaded again is another one."""
        return True


class ModelStore:
    """The current model of each slot. Its owner's lock guards every change.

    A handler that is published gets a dict of its own with the models of that moment: a call sees these and no
    others, until it ends.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._models: dict[str, ModelChange] = {}

    def put(self, change: ModelChange) -> None:
        """Makes a model the one that handlers are bound to from now on."""
        self._models[change.slot] = change

    def is_newer(self, change: ModelChange) -> bool:
        """Whether a change is not older than what is live: a reload may overtake what its cell has staged."""
        return change.slot not in self._models or change.number >= self._models[change.slot].number

    def drop(self, slot: str) -> None:
        """Forgets a slot's model."""
        self._models.pop(slot, None)

    def is_suspended(self, slot: str) -> bool:
        """Whether a slot's model was unloaded and the next one is not there yet."""
        return slot in self._models and self._models[slot].model is SUSPENDED

    def bind(self, handler: Handler, names: Sequence[str]) -> Handler:
        """A new handler that gets the models of now; one that refuses if a model is unloaded."""
        for name in names:
            if name not in self._models or self.is_suspended(name):
                return Handler(_refusal(name), mode="raw")
        return handler.bind_models({name: self._models[name].model for name in names} if names else None)

    def numbers(self, names: Iterable[str]) -> dict[str, int]:
        """The versions of the models of now."""
        present = [name for name in names if name in self._models and not self.is_suspended(name)]
        return {name: self._models[name].number for name in present}

    def look(self, names: Sequence[str], staged: Sequence[ModelChange]) -> dict[str, Any]:
        """The models of now, or of what is staged.

        Raises:
            ValueError: There is no such slot.
        """
        known = {**self._models, **{change.slot: change for change in staged}}
        for name in names:
            if name not in known:
                near = near_matches(name, known)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(
                    f"there is no model slot {name!r}: {hint}endpoint.model({name!r}, load=...) makes one"
                )
            if known[name].model is SUSPENDED:
                _refusal(name)()
        return {name: known[name].model for name in names}


def _refusal(slot: str) -> Callable[..., Any]:
    """A handler that says that a model is being loaded."""

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise Unavailable(f"the model {slot!r} is unloaded and the next one is not loaded yet; try again")

    return refuse
