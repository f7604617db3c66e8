"""The methods of an endpoint: what is live, what it was before, and the one step that changes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pycrust import staging
from pycrust._binding import decode, encode
from pycrust.errors import UnknownMethod
from pycrust.naming import near_matches
from pycrust.registration import call_here
from pycrust.versions import Version, now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pycrust._binding import Change
    from pycrust.registration import Registration


class Catalog:
    """The methods of one endpoint.

    Args:
        name: The endpoint's name.
        publish: Makes changes live natively, in one step; gives their version numbers.
        serving: Whether callers can reach the endpoint.
    """

    def __init__(
        self, name: str, publish: Callable[[Sequence[Change]], list[int]], serving: Callable[[], bool]
    ) -> None:
        """Begins empty."""
        self.name = name
        self._publish_natively = publish
        self._serving = serving
        #: Keeps the two sides of a publication together: natively live, and recorded here.
        self._lock = threading.RLock()
        #: What is live, by method.
        self._live: dict[str, Registration] = {}
        self._history: dict[str, list[Version]] = {}
        #: Live methods that were not registered since the endpoint was last made under its name.
        self._stale: set[str] = set()

    def change(self, registrations: Sequence[Registration]) -> None:
        """Stages registrations in the running cell, or publishes them where there is none.

        Raises:
            ValueError: The cell has registered another function under one of the names.
        """
        stage = staging.current()
        if stage is None:
            self.publish(registrations)
        else:
            for registration in registrations:
                stage.put(self, registration)
        self._stale -= {registration.method for registration in registrations}

    def commit(self) -> None:
        """Publishes what the running cell has staged."""
        stage = staging.current()
        if stage is not None:
            self.publish(stage.take(self))

    def publish(self, registrations: Sequence[Registration]) -> list[str]:
        """Makes registrations live in one step.

        Returns:
            While serving, a line for each method that changed.
        """
        with self._lock:
            changes = [one for one in registrations if one.changes(self._live.get(one.method))]
            if not changes:
                return []
            numbers = self._publish_natively([(one.method, one.handler, one.details()) for one in changes])
            lines = [self._record(one, number) for one, number in zip(changes, numbers, strict=True)]
            return lines if self._serving() else []

    def _record(self, registration: Registration, number: int) -> str:
        """Notes in the history what has just gone live; gives the line that says so."""
        method = registration.method
        before = self._history[method][-1].number if method in self._live else 0
        self._history.setdefault(method, []).append(
            Version(
                method=method,
                number=number,
                source=registration.source,
                doc=registration.doc,
                published=now(),
                cell=registration.cell[0],
                cell_id=registration.cell[1],
                schema=registration.schema,
                schema_hash=registration.schema_hash,
                removed=registration.handler is None,
            )
        )
        if registration.handler is None:
            del self._live[method]
            return f"{self.name}.{method} v{before} removed"
        self._live[method] = registration
        return f"{self.name}.{method} v{before} → v{number}" if before else f"{self.name}.{method} v{number}"

    def visible(self) -> dict[str, Registration]:
        """What the calling code sees, by name: what is live, changed by what its cell has staged."""
        stage = staging.current()
        staged = stage.staged(self) if stage else {}
        both = {**self._live, **staged}
        return {name: both[name] for name in sorted(both) if both[name].handler is not None}

    def registered(self, name: str) -> Registration:
        """What the calling code sees under a name.

        Raises:
            UnknownMethod: Nothing; near matches are named.
        """
        visible = self.visible()
        if name in visible:
            return visible[name]
        near = near_matches(name, visible)
        if near:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        else:
            hint = f"it has {', '.join(visible)}" if visible else "it has no methods"
        raise UnknownMethod(f"{self.name!r} has no method {name!r}: {hint}", {"near": near})

    def version(self, name: str) -> int:
        """The number of a method's live version; 0 while the first is only staged.

        Raises:
            UnknownMethod: There is no such method.
        """
        with self._lock:
            if name in self._live:
                return self._history[name][-1].number
        self.registered(name)
        return 0

    def history(self, name: str) -> list[Version]:
        """Every version of a method that was published, the oldest first.

        Raises:
            UnknownMethod: There is and was no such method.
        """
        with self._lock:
            if name in self._history:
                return list(self._history[name])
        self.registered(name)
        return []

    def call(self, method: str, arguments: Any) -> Any:
        """Makes one call in this process: what is given and got passes through MessagePack, as a caller's does.

        Of a handler that streams, gives an iterator over the items.

        Raises:
            UnknownMethod: There is no such method.
        """
        registered = self.registered(method)
        return self.call_registered(registered, arguments)

    def call_registered(self, registered: Registration, arguments: Any) -> Any:
        """Makes one call of what is registered, live or not, as `call` does."""
        assert registered.handler is not None  # noqa: S101 - only registrations with one are called
        result = call_here(registered.handler, registered.kind, decode(encode(arguments)))
        if registered.kind in {"generator", "async_generator"}:
            return (decode(encode(item)) for item in result)
        return decode(encode(result))

    def made_again(self) -> None:
        """Marks what is live now, until it is registered again."""
        self._stale |= set(self._live)

    @property
    def stale(self) -> list[str]:
        """Live methods that were not registered since the endpoint was last made under its name."""
        return sorted(self._stale & set(self._live))

    def forked(self) -> None:
        """In a forked child: registers everything with the child's own worker, from version 1."""
        self._lock = threading.RLock()
        live, self._live, self._history = list(self._live.values()), {}, {}
        self.publish(live)
