"""Model slots as the view shows them: the live version, how it is doing, and what memory it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_MOST = 20
"""Slots that are shown."""

_MOST_PARTS = 1_000
"""Arrays that are looked at for one model's memory."""


class Models:
    """Looks at the slots of one endpoint; what memory a version takes is found out once."""

    def __init__(self) -> None:
        """Nothing has been looked at."""
        #: By slot: the version that was looked at, and its bytes.
        self._bytes: dict[str, tuple[int, int | None]] = {}

    def rows(self, slots: Mapping[str, Any]) -> list[list[Any]]:
        """One row a slot, in the order that `src/parts/models.js` reads.

        Args:
            slots: The endpoint's slots by their names.
        """
        return [self._row(name, slots[name]) for name in sorted(slots)[:_MOST]]

    def _row(self, name: str, slot: Any) -> list[Any]:
        history = list(slot.history)
        live = next((one for one in reversed(history) if one.state == "live"), None)
        shown = live or (history[-1] if history else None)
        if shown is None:
            return [name, 0, "loading", "", None, ""]
        others = [one for one in history if one is not shown and one.state in {"staged", "draining", "held"}]
        notes = [
            f"v{one.number} {one.state}" + (f" by {', '.join(one.holders)}" if one.holders else "")
            for one in others
        ]
        taken = self._taken(name, shown.number, slot) if live is not None else None
        notes.append(f"loaded in {shown.seconds:.2f} s")
        return [name, shown.number, shown.state, shown.kind, taken, " · ".join(notes)]

    def _taken(self, name: str, version: int, slot: Any) -> int | None:
        known = self._bytes.get(name)
        if known is None or known[0] != version:
            try:
                taken = slot.apply(memory)
            except Exception:  # noqa: BLE001 - a model may do anything when it is looked at
                taken = None
            known = self._bytes[name] = (version, taken)
        return known[1]


def memory(model: Any) -> int | None:
    """Bytes of a model's parameters and buffers, or of its arrays; `None` if it has none that can be seen.

    Examples:
        >>> import numpy as np
        >>> memory({"w": np.zeros((2, 3)), "b": [np.zeros(3)]}), memory("no arrays")
        (72, None)
    """
    seen: dict[int, int] = {}
    _add(model, seen, 0)
    return sum(seen.values()) if seen else None


def _add(value: Any, seen: dict[int, int], depth: int) -> None:
    """Notes the arrays in `value`, each once: layers may share their weights."""
    if len(seen) >= _MOST_PARTS or depth > 4:  # noqa: PLR2004 - models are not nested deeper in plain containers
        return
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        seen[id(value)] = size
    elif callable(getattr(value, "parameters", None)) and callable(getattr(value, "buffers", None)):
        for part in (*value.parameters(), *value.buffers()):
            _add(part, seen, depth + 1)
    elif isinstance(value, Mapping):
        for part in cast("Mapping[Any, Any]", value).values():
            _add(part, seen, depth + 1)
    elif isinstance(value, list | tuple):
        for part in cast("list[Any]", value):
            _add(part, seen, depth + 1)
    elif depth == 0:
        _add(getattr(value, "__dict__", None), seen, depth + 1)
