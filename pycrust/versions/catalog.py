"""The methods of an endpoint: what is live, what it was before, and the one step that changes it."""

from __future__ import annotations

import dataclasses
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from pycrust import logs
from pycrust._extension import crossed, release_pending
from pycrust.calls.local import LocalCall
from pycrust.errors import UnknownMethod
from pycrust.handlers.registration import Registration, call_here
from pycrust.handlers.schema_diff import outcome, schema_changes
from pycrust.models.store import ModelChange, ModelStore
from pycrust.process.shield import shielded
from pycrust.text.clock import now
from pycrust.text.lines import PrintedLine
from pycrust.text.names import near_matches
from pycrust.versions import staging
from pycrust.versions.archive import Archive, Entry
from pycrust.versions.events import EventLog
from pycrust.versions.history import Text
from pycrust.versions.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pycrust._extension import Change, Handler
    from pycrust.traffic.recorded import RecordedCall
    from pycrust.versions.events import Event
    from pycrust.versions.history import History
    from pycrust.versions.staging import Stage


class Catalog:
    """The methods of one endpoint.

    Args:
        name: The endpoint's name.
        publish: Makes changes live natively, in one step; gives their version numbers.
        serving: Whether callers can reach the endpoint.
        keep: Replaced handlers of a method that are kept for rollback.
    """

    def __init__(
        self,
        name: str,
        publish: Callable[[Sequence[Change]], list[int]],
        serving: Callable[[], bool],
        keep: int = 1,
    ) -> None:
        """Begins empty."""
        self.name = name
        self.events = EventLog(self._tell)
        self._publish_natively = publish
        self._serving = serving
        #: Keeps the two sides of a publication together: natively live, and recorded here.
        self._lock = threading.RLock()
        #: What is live, by method.
        self._live: dict[str, Registration] = {}
        self.archive = Archive(keep)
        #: The models that handlers are bound to.
        self.store = ModelStore()
        #: Where it comes from, for whoever misses its methods.
        self.origin = ""
        #: The run of a cell, its number and its id, that has registered each method last, changed or not.
        self._cells: dict[str, tuple[int | None, str | None]] = {}
        #: Live methods that were not registered since the endpoint was last made under its name.
        self._stale: set[str] = set()

    def _tell(self, event: Event) -> None:
        """Logs what happens while this serves; in a notebook the cell says it, or the view."""
        if self._serving():
            level = logging.WARNING if event.kind in {"refused", "held"} else logging.INFO
            logs.say(level, event.text, extra={"endpoint": self.name})

    # Changing ---------------------------------------------------------------------------------------------

    def change(self, changes: Sequence[Registration | ModelChange]) -> None:
        """Stages changes in the running cell, or publishes them where there is none.

        Raises:
            ValueError: The cell has registered another function under one of the names.
        """
        stage = staging.current()
        if stage is None:
            self.publish(changes)
        else:
            for change in changes:
                stage.put(self, change)
        self._stale -= {change.method for change in changes}

    def changed(self, changes: Sequence[Registration | ModelChange], line: str) -> str:
        """Makes changes as `change` does; gives the line about them, which a notebook shows once."""
        shown_by_cell = staging.current() is not None and self._serving()
        self.change(changes)
        return PrintedLine(line) if shown_by_cell else Text(line)

    def commit(self) -> None:
        """Publishes what the running cell has staged."""
        stage = staging.current()
        if stage is not None:
            self._commit(stage)

    @shielded
    def _commit(self, stage: Stage) -> None:
        self.publish(stage.take(self))

    @shielded
    def publish(self, changes: Sequence[Registration | ModelChange]) -> list[str]:
        """Makes changes live in one step. Handlers of a changed model go live again, bound to the new one.

        Returns:
            While serving, a line for each method that changed.
        """
        with self._lock:
            given = [change for change in changes if isinstance(change, ModelChange)]
            models = [change for change in given if self.store.is_newer(change)]
            for change in given:
                if change not in models:
                    change.refused()
            registrations = [change for change in changes if isinstance(change, Registration)]
            self._cells |= {one.method: one.cell for one in registrations}
            lines = [self._put_model(change) for change in models]
            todo = [one for one in registrations if one.changes(self._live.get(one.method))]
            todo += self._bound_again({one.slot: one.reason for one in models}, {one.method for one in todo})
            if todo:
                handlers = [self._bound(one) for one in todo]
                numbers = self._publish_natively(
                    [(one.method, handler, self._details(one)) for one, handler in zip(todo, handlers, strict=True)]
                )
                lines += [
                    self._record(one, handler, number)
                    for one, handler, number in zip(todo, handlers, numbers, strict=True)
                ]
            return lines if self._serving() else []

    def _put_model(self, change: ModelChange) -> str:
        self.store.put(change)
        change.published()
        self.events.add("reload", change.slot, change.number, change.text)
        return change.text

    @shielded
    def remove_model(self, slot: str) -> None:
        """Forgets a slot's model.

        Raises:
            ValueError: Live handlers are bound to it.
        """
        with self._lock:
            bound = sorted(method for method, live in self._live.items() if slot in live.models)
            if bound:
                raise ValueError(
                    f"the model {slot!r} is bound to {', '.join(bound)}: remove or register these first"
                )
            self.store.drop(slot)

    def _bound_again(self, models: dict[str, str], besides: set[str]) -> list[Registration]:
        """The live registrations that are bound to one of these models, to be published again."""
        return [
            dataclasses.replace(live, reason=next(models[name] for name in live.models if name in models), note="")
            for live in self._live.values()
            if live.method not in besides and any(name in models for name in live.models)
        ]

    def _bound(self, registration: Registration) -> Handler | None:
        """A handler of this publication's own, so that its end can be seen, with the models of now."""
        if registration.handler is None:
            return None
        return self.store.bind(registration.handler, registration.models)

    def _details(self, registration: Registration) -> dict[str, Any]:
        known = self.archive.compatibility(registration.method, registration.schema, registration.schema_hash)
        return {**registration.details(), **known}

    def _record(self, registration: Registration, handler: Handler | None, number: int) -> str:
        """Notes in the history what has just gone live; gives the line that says so."""
        method = registration.method
        known = self._live.get(method)
        before = self.archive.newest(method).version.number if known else 0
        again = known is not None and known.handler is registration.handler
        kept = known if again else registration
        version = Version(
            method=method,
            number=number,
            source=registration.source,
            doc=registration.doc,
            published=now(),
            cell=registration.cell[0],
            cell_id=registration.cell[1],
            schema=registration.schema,
            schema_hash=registration.schema_hash,
            removed=handler is None,
            signature=registration.signature,
            reason=registration.reason if handler is not None else "removed",
            models=self.store.numbers(registration.models),
        )
        if registration.reads is not None and not again:
            registration.reads.renew()
        self.archive.add(
            Entry(version, weakref.ref(handler) if handler is not None else None, kept if handler else None)
        )
        if handler is None:
            del self._live[method]
            text = f"{self.name}.{method} v{before} removed"
            self.events.add("remove", method, before, text)
            return text
        self._live[method] = registration if not again else kept or registration
        text = f"{self.name}.{method} v{before} → v{number}" if before else f"{self.name}.{method} v{number}"
        if registration.reason != "registered":
            text += f" ({registration.reason})"
        text += registration.note
        if known is not None:
            meant = outcome(schema_changes(known.schema, registration.schema), f"v{before}")
            text += f"; {meant}" if meant else ""
        self.events.add(
            "rollback" if registration.reason.startswith("rollback") else "publish", method, number, text
        )
        return text

    def refused(self, changes: Sequence[Registration | ModelChange], cell: int | None) -> None:
        """A cell failed: what it had registered is dropped."""
        where = f"cell [{cell}]" if cell is not None else "a cell"
        for change in changes:
            if isinstance(change, ModelChange):
                change.refused()
            text = f"{where} failed: {self.name}.{change.title} stays as it was"
            self.events.add("refused", change.title, self._number(change.method), text)

    def rollback(self, name: str, number: int | None) -> str:
        """Publishes an earlier version's handler again, under a new number.

        Returns:
            The line that says so, with the globals that differ from when it was live.

        Raises:
            ValueError: The version is live, unknown, or its handler was let go.
        """
        entry = self._kept(name, number)
        assert entry.registration is not None  # noqa: S101 - that is what `kept` finds
        kept = entry.registration
        self.models(kept.models)
        differing = kept.reads.differing() if kept.reads is not None else []
        note = f"; {', '.join(differing)} differ from when it was live" if len(differing) > 1 else ""
        if len(differing) == 1:
            note = f"; {differing[0]} differs from when it was live"
        reason = f"rollback to v{entry.version.number}"
        change = dataclasses.replace(kept, cell=staging.cell(), reason=reason, note=note)
        return self.changed([change], f"{self.name}.{name}: {reason}{note}")

    @shielded
    def _kept(self, name: str, number: int | None) -> Entry:
        with self._lock:
            return self.archive.kept(name, number)

    # Looking ----------------------------------------------------------------------------------------------

    def visible(self) -> dict[str, Registration]:
        """What the calling code sees, by name: what is live, changed by what its cell has staged."""
        both = {**self._live, **self._staged()}
        return {name: both[name] for name in sorted(both) if both[name].handler is not None}

    def _staged(self) -> dict[str, Registration]:
        stage = staging.current()
        staged = stage.staged(self) if stage else {}
        return {name: change for name, change in staged.items() if isinstance(change, Registration)}

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """The models that the calling code sees, by the names of their slots: those of now, or of its cell.

        Raises:
            ValueError: There is no such slot.
        """
        if not names:
            return {}
        stage = staging.current()
        staged = stage.staged(self) if stage else {}
        changes = [change for change in staged.values() if isinstance(change, ModelChange)]
        return self.store.look(names, changes)

    def staged_model(self, slot: str) -> int:
        """The number of a model that the running cell has staged; 0 if it has not."""
        stage = staging.current()
        for change in stage.staged(self).values() if stage else ():
            if isinstance(change, ModelChange) and change.slot == slot:
                return change.number
        return 0

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
            hint = f"it has {', '.join(visible)}" if visible else f"it has no methods{self.origin}"
        raise UnknownMethod(f"{self.name!r} has no method {name!r}: {hint}", {"near": near})

    def known(self, name: str) -> None:
        """Refuses a name under which nothing is or was registered.

        Raises:
            UnknownMethod: Nothing; near matches are named.
        """
        if name not in self.archive:
            self.registered(name)

    def _number(self, method: str) -> int:
        return self.archive.newest(method).version.number if method in self._live else 0

    def version(self, name: str) -> int:
        """The number of a method's live version; 0 while the first is only staged.

        Raises:
            UnknownMethod: There is no such method.
        """
        number = self._live_number(name)
        if not number:
            self.registered(name)
        return number

    @shielded
    def _live_number(self, name: str) -> int:
        with self._lock:
            return self._number(name)

    def label(self, name: str) -> str:
        """A method's live version as `v3`, or `v3*` if a global that it reads has changed under it."""
        self.look()
        return self._live_label(name)

    @shielded
    def _live_label(self, name: str) -> str:
        with self._lock:
            return self.archive.history(name)[-1].label if name in self._live else "v0"

    def history(self, name: str) -> History:
        """Every version of a method that was published, the oldest first; then what the running cell has staged.

        Raises:
            UnknownMethod: There is and was no such method.
        """
        self.known(name)
        self.look()
        release_pending()
        return self._history(name, self._staged().get(name))

    @shielded
    def _history(self, name: str, staged: Registration | None) -> History:
        with self._lock:
            history = self.archive.history(name)
            if staged is not None and staged.handler is not None and staged.changes(self._live.get(name)):
                history.append(_staged_version(staged, history[-1].number + 1 if history else 1))
            return history

    @shielded
    def rebound(self) -> dict[str, list[str]]:
        """The globals that were bound anew under live versions, by method, as far as `look` has found."""
        with self._lock:
            entries = {method: self.archive.newest(method) for method in self._live}
            return {method: list(entry.rebound) for method, entry in entries.items() if entry.rebound}

    @shielded
    def look(self) -> list[str]:
        """Looks whether globals that live handlers read have changed under them; gives a line for each change."""
        lines: list[str] = []
        with self._lock:
            for method, live in self._live.items():
                entry = self.archive.newest(method)
                differing = live.reads.differing() if live.reads is not None else []
                new = [name for name in differing if name not in entry.rebound]
                if not new:
                    continue
                entry.rebound += new
                text = f"{self.name}.{method} v{entry.version.number}* reads {', '.join(new)}: bound anew since"
                classes = live.reads.classes(new) if live.reads else []
                if classes:
                    again = f"cell [{live.cell[0]}]" if live.cell[0] is not None else "its registration"
                    text += f"; run {again} again to use the new {', '.join(classes)}"
                self.events.add("rebound", method, entry.version.number, text)
                lines.append(text)
        return lines

    def left_out(self, run: int | None, cell: str) -> list[str]:
        """Says once of each live method that an earlier run of a cell has registered and this one has not."""
        with self._lock:
            names = [
                name for name, (by, of) in self._cells.items() if of == cell and by != run and name in self._live
            ]
            for name in names:
                del self._cells[name]
        return [
            f"{self.name}.{name} is still there, though this cell no longer registers it: "
            f"endpoint[{name!r}].remove() ends it"
            for name in names
        ]

    @shielded
    def reloaded(self) -> list[tuple[Registration, Callable[..., Any]]]:
        """Live methods whose module has another function under its name now, with that function."""
        with self._lock:
            found: list[tuple[Registration, Callable[..., Any]]] = []
            for live in self._live.values():
                if live.origin is None or live.fingerprint is None:
                    continue
                function = live.origin.changed(live.fingerprint.function)
                if function is not None:
                    found.append((live, function))
            return found

    def of_service(self, key: str) -> dict[str, Registration]:
        """The visible methods that were registered as one service."""
        return {name: one for name, one in self.visible().items() if key and one.service == key}

    def call(self, method: str, arguments: Any) -> Any:
        """Makes one call in this process: what is given and got passes through MessagePack, as a caller's does.

        Of a handler that streams, gives an iterator over the items.

        Raises:
            UnknownMethod: There is no such method.
        """
        return self.call_registered(self.registered(method), arguments)

    def call_registered(self, registered: Registration, arguments: Any, call: LocalCall | None = None) -> Any:
        """Makes one call of what is registered, live or not, as `call` does.

        Args:
            registered: What is called.
            arguments: Its arguments.
            call: What `current_call()` gives in it, by default a call of its own.
        """
        call = call or self.local_call(registered)
        result = call_here(self.bound(registered), registered.kind, crossed(arguments), call)
        if registered.kind in {"generator", "async_generator"}:
            return (crossed(item) for item in result)
        return crossed(result)

    def local_call(self, registered: Registration, recorded: RecordedCall | None = None) -> LocalCall:
        """What a handler that this process calls knows of its call, which may be a recorded one."""
        live = self._live.get(registered.method)
        version = self._number(registered.method) if live is registered else 0
        batch = registered.batch is not None
        if recorded is not None:
            return LocalCall.again(recorded, version, batch=batch)
        return LocalCall.of(registered.method, version, batch=batch)

    def bound(self, registered: Registration) -> Handler:
        """The handler of what is registered, live or not, bound to the models that the calling code sees."""
        assert registered.handler is not None  # noqa: S101 - only registrations with one are called
        if not registered.models:
            return registered.handler
        return registered.handler.bind_models(self.models(registered.models))

    # Life -------------------------------------------------------------------------------------------------

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
        live, self._live = list(self._live.values()), {}
        self.archive = Archive(self.archive.keep)
        self.events = EventLog(self._tell)
        self.publish(live)


def _staged_version(staged: Registration, number: int) -> Version:
    return Version(
        method=staged.method,
        number=number,
        source=staged.source,
        doc=staged.doc,
        published=now(),
        cell=staged.cell[0],
        cell_id=staged.cell[1],
        schema=staged.schema,
        schema_hash=staged.schema_hash,
        signature=staged.signature,
        reason=staged.reason,
        state="staged",
    )
