"""A call's options that a handler has parameters of the same names for: nobody can know which of them is meant."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Seconds after which it is looked again what parameters a method has: another version may have been published.
_FRESH_S = 1.0


class TakenOptions:
    """What a client knows of the parameters of an endpoint's methods."""

    def __init__(self) -> None:
        """Knows nothing."""
        self._until = 0.0
        self._parameters: dict[str, frozenset[str]] = {}

    def is_due(self, method: str) -> bool:
        """Whether the endpoint is to be asked, by one of many callers at once."""
        if method.startswith("pycrust.") or time.monotonic() < self._until:
            return False
        self._until = time.monotonic() + _FRESH_S
        return True

    def learn(self, methods: Iterable[dict[str, Any]]) -> None:
        """Takes what `pycrust.methods` answers."""
        self._parameters = {str(one["name"]): _parameters(one["schema"]) for one in methods}

    def check(self, method: str, given: Iterable[str]) -> None:
        """Refuses options that may be meant for the handler.

        Args:
            method: The method's name.
            given: The names of the options that were given.

        Raises:
            TypeError: The handler has a parameter of such a name.
        """
        taken = [name for name in given if name in self._parameters.get(method, ())]
        if taken:
            name = taken[0]
            raise TypeError(
                f"{name}=… may be meant for the call or for {method!r}, which has a parameter of that name: "
                f"client.request({method!r}, {name}=…) takes the call's, .call({name}=…) of that the handler's"
            )


def _parameters(schema: str) -> frozenset[str]:
    found: Any = json.loads(schema) if schema else {}
    return frozenset(found.get("request", {}).get("properties", ()))
