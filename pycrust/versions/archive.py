"""Every version that an endpoint has published, and the handlers that are kept for rollback."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pycrust.handlers.schema_diff import schema_changes, sentences
from pycrust.versions.history import History

if TYPE_CHECKING:
    import weakref

    from pycrust._extension import Handler
    from pycrust.handlers.registration import Registration
    from pycrust.versions.version import State, Version

#: Versions of a method that are remembered, the newest ones.
_REMEMBERED = 2_000
#: Earlier schemas that a live version is compared with, for callers that were built against one of them.
_SCHEMAS = 16


@dataclass(slots=True, eq=False)
class Entry:
    """What is known of one published version."""

    version: Version
    #: What serves it natively: gone once its last call has ended.
    running: weakref.ref[Handler] | None
    #: What it was made of, while it is live or kept.
    registration: Registration | None
    #: Globals that changed while it was live.
    rebound: list[str] = field(default_factory=list[str])


class Archive:
    """The versions of an endpoint's methods.

    Args:
        keep: Replaced handlers of a method that are kept for rollback.
    """

    def __init__(self, keep: int) -> None:
        """Begins empty."""
        self.keep = keep
        self._entries: dict[str, list[Entry]] = {}
        #: Replaced entries whose handlers are kept, by method.
        self._kept: dict[str, list[Entry]] = {}
        #: Entries that may still serve natively.
        self._running: list[Entry] = []
        #: Each method's schemas by their hash, the one that was live last at the end.
        self._schemas: dict[str, dict[int, str]] = {}

    def __contains__(self, method: str) -> bool:
        """Whether a method was ever published."""
        return method in self._entries

    def add(self, entry: Entry) -> None:
        """Remembers a version that has just gone live, or a removal; lets go of what is not kept."""
        entries = self._entries.setdefault(entry.version.method, [])
        before = entries[-1] if entries else None
        if before is not None and before.registration is not None:
            if before.registration is entry.registration:
                before.registration = None  # it was bound to other models only
            elif before.registration.reads is not None:
                before.registration.reads.renew()  # what a rollback is compared with
        kept = self._kept.setdefault(entry.version.method, [])
        if before is not None and before.registration is not None:
            kept.append(before)
        while len(kept) > self.keep:
            kept.pop(0).registration = None
        entries.append(entry)
        del entries[:-_REMEMBERED]
        self._running = [one for one in self._running if _serves(one)]
        self._running.append(entry)
        if not entry.version.removed:
            schemas = self._schemas.setdefault(entry.version.method, {})
            schemas.pop(entry.version.schema_hash, None)
            schemas[entry.version.schema_hash] = entry.version.schema
            if len(schemas) > _SCHEMAS:
                del schemas[next(iter(schemas))]

    def newest(self, method: str) -> Entry:
        """The entry of a method's newest version or removal."""
        return self._entries[method][-1]

    def history(self, method: str) -> History:
        """A method's versions as they are now, the oldest first."""
        entries = self._entries.get(method, [])
        return History(self._now(entry, last=entry is entries[-1]) for entry in entries)

    def _now(self, entry: Entry, *, last: bool) -> Version:
        state: State = "retired"
        if entry.version.removed:
            state = "removed"
        elif last:
            state = "live"
        elif _serves(entry):
            state = "draining"
        return dataclasses.replace(
            entry.version,
            state=state,
            rebound=tuple(entry.rebound),
            kept=not last and entry.registration is not None,
        )

    def find(self, method: str, number: int) -> Version:
        """One version of a method.

        Raises:
            ValueError: There is none of this number; the ones that there are are named.
        """
        for version in self.history(method):
            if version.number == number and not version.removed:
                return version
        raise ValueError(f"{method} has no version {number}: {self._named(method)}")

    def _named(self, method: str) -> str:
        numbers = [entry.version.number for entry in self._entries[method] if not entry.version.removed]
        return f"it has {numbers[0]} to {numbers[-1]}" if numbers else "it has none"

    def before(self, method: str) -> Version:
        """The version that was live before the newest one.

        Raises:
            ValueError: There was none.
        """
        published = [version for version in self.history(method) if not version.removed]
        if len(published) < 2:  # noqa: PLR2004 - the newest and one more
            raise ValueError(f"{method} has only one version, so there is nothing before it")
        return published[-2]

    def kept(self, method: str, number: int | None) -> Entry:
        """The entry whose handler can be published again: of this number, or the newest one that is kept.

        Raises:
            ValueError: The version is live, unknown, or its handler is not kept.
        """
        entries = self._entries[method]
        live = None if entries[-1].version.removed else entries[-1]
        if number is None:
            for entry in reversed(self._kept[method] if live else entries):
                if entry.registration is not None:
                    return entry
            raise ValueError(f"{method} has no earlier version whose handler is kept{self._how_to_keep()}")
        self.find(method, number)
        entry = next(one for one in entries if one.version.number == number and not one.version.removed)
        if entry is live:
            raise ValueError(f"{method} v{number} is the live version")
        if entry.registration is None:
            if live is not None and self._differs_by_models_only(method, entry, live):
                raise ValueError(
                    f"{method} v{number} and the live v{live.version.number} are the same handler with other "
                    "models: roll back the model's slot"
                )
            raise ValueError(f"the handler of {method} v{number} was let go{self._how_to_keep()}")
        return entry

    def handler(self, method: str, number: int) -> Registration:
        """What a version was made of: the live one, or one that is kept.

        Raises:
            ValueError: The version is unknown, or its handler is not kept.
        """
        newest = self._entries[method][-1]
        if newest.version.number == number and newest.registration is not None:
            return newest.registration
        found = self.kept(method, number).registration
        assert found is not None  # noqa: S101 - that is what `kept` finds
        return found

    def _differs_by_models_only(self, method: str, entry: Entry, live: Entry) -> bool:
        entries = self._entries[method]
        between = entries[entries.index(entry) + 1 : entries.index(live) + 1]
        return all(one.version.reason.startswith("model ") for one in between)

    def _how_to_keep(self) -> str:
        kept = "the last one is kept" if self.keep == 1 else f"the last {self.keep} are kept"
        return f": {kept if self.keep else 'none are kept'}, RpcEndpoint(..., keep_versions=n) keeps more"

    def compatibility(self, method: str, schema: str, schema_hash: int) -> dict[str, Any]:
        """What a schema means for callers of the method's earlier ones, each compared with this one itself.

        Returns:
            The hashes of those whose callers go on working, `compatible_schemas`, and of the others, with what
            breaks, `schema_changes`.
        """
        compatible: list[int] = []
        broken: list[tuple[int, list[str]]] = []
        for earlier, text in self._schemas.get(method, {}).items():
            if earlier == schema_hash:
                continue
            breaking = [change for change in schema_changes(text, schema) if change.breaking]
            if breaking:
                broken.append((earlier, sentences(breaking)))
            else:
                compatible.append(earlier)
        return {"compatible_schemas": compatible, "schema_changes": broken}

    def serves(self, model: str, number: int) -> bool:
        """Whether anything still serves natively with this version of a model."""
        return any(one.version.models.get(model) == number and _serves(one) for one in list(self._running))


def _serves(entry: Entry) -> bool:
    return entry.running is not None and entry.running() is not None
