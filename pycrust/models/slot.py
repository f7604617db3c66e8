"""Model slots: a named model that can be loaded again while handlers answer with it.

A handler that is registered with `models=["policy"]` gets the slot's model as a keyword. Each publication of it is
bound to the model of that moment, so a call sees one model from its start to its end; a reload publishes the
handlers again, bound to the new model, in one step.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pycrust._extension import release_pending
from pycrust.functions.fingerprint import same
from pycrust.models.history import ModelHistory, ModelVersion
from pycrust.models.holders import who_holds
from pycrust.models.reload import Reload, without_frames
from pycrust.models.store import SUSPENDED, ModelChange
from pycrust.process.realtime import frozen
from pycrust.process.shield import shielded
from pycrust.process.threads import Thread
from pycrust.text.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrust.models.recipe import Recipe
    from pycrust.versions.catalog import Catalog

#: Seconds that a model may live on after its last call before it is asked who holds it.
_GRACE = 0.25
#: Seconds between two looks whether the last call on a replaced model has ended: the first, and the longest.
_PAUSES = 0.002, 0.25
#: Versions of a model that are remembered.
_REMEMBERED = 1_000


@dataclass(slots=True, eq=False)
class _Record:
    """What a slot knows of one of its versions."""

    version: ModelVersion
    #: The model itself while it is live, draining or kept.
    model: Any = field(repr=False)
    recipe: Recipe
    ref: weakref.ref[Any] | None
    state: Literal["staged", "refused", "live", "draining", "kept", "retired", "held"] = "staged"
    holders: list[str] = field(default_factory=list[str])
    #: What it was loaded with.
    arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    was_live: bool = False
    #: The reload that waits for this one to be let go.
    reload: Reload | None = None
    #: What makes it live: while it is staged, its cell or whoever publishes it has it.
    change: weakref.ref[ModelChange] | None = None
    #: When its last call had ended.
    drained_at: float = 0.0

    @property
    def gone(self) -> bool:
        return self.ref is None or self.ref() is None


def _reference(model: Any) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(model)
    except TypeError:
        return None  # a dict or the like can't be watched


class ModelSlot:
    """A named model of an endpoint. It never shows or gives away the model itself, so that nothing pins it.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("model-doc", fresh=True)
        >>> gain = endpoint.model("gain", load=lambda factor=2.0: [factor])
        >>> @endpoint.register(models=["gain"])
        ... def scale(x: float, gain) -> float:
        ...     return gain[0] * x
        >>> endpoint["scale"](3.0)
        6.0
        >>> gain.reload(5.0).result()
        2
        >>> endpoint["scale"](3.0), gain.version
        (15.0, 2)
    """

    def __init__(self, catalog: Catalog, name: str, recipe: Recipe, forget: Callable[[ModelSlot], None]) -> None:
        """Made by `endpoint.model`."""
        self.name = name
        self._catalog = catalog
        self._forget = forget
        #: How the next model is made: as the live one was, unless it is told otherwise.
        self._recipe = recipe
        #: Guards what follows. Taken after the catalog's lock where both are.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._records: list[_Record] = []
        self._numbers = 0
        self._waiting: deque[tuple[Reload, Recipe, tuple[Any, ...], dict[str, Any]]] = deque()
        self._thread: threading.Thread | None = None
        #: Whether a reload runs at the moment.
        self.busy = False

    # Looking ----------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The live model's version; 0 before the first one is live."""
        return next((one.version.number for one in reversed(self._records) if one.state == "live"), 0)

    @property
    def known(self) -> bool:
        """Whether there is a version of it, live or to be."""
        return any(one.state != "refused" for one in self._records)

    @property
    def history(self) -> ModelHistory:
        """Every version of the model, the oldest first."""
        release_pending()
        return self._history()

    @shielded
    def _history(self) -> ModelHistory:
        with self._lock:
            self._look()
            return ModelHistory(
                dataclasses.replace(one.version, state=one.state, holders=tuple(one.holders))
                for one in self._records
            )

    @shielded
    def look(self) -> None:
        """Looks whether a model that was held is freed now."""
        with self._lock:
            self._look()

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """Gives what `function` makes of the live model: to evaluate it without taking hold of it."""
        return function(self._catalog.models([self.name])[self.name])

    def __repr__(self) -> str:
        """One line."""
        live = next((one for one in reversed(self._records) if one.state == "live"), None)
        if live is None:
            return f"<model {self._catalog.name}.{self.name} · not live yet>"
        version = live.version
        return (
            f"<model {self._catalog.name}.{self.name} v{version.number} · {version.kind} · "
            f"loaded in {version.seconds:.2f} s>"
        )

    # Changing ---------------------------------------------------------------------------------------------

    def reload(self, *args: Any, load: Callable[..., Any] | None = None, **kwargs: Any) -> Reload:
        """Loads the model again on a thread of its own, and swaps it in if everything succeeds.

        Loading, warming up and validating run beside the traffic. Then the handlers that are bound to the slot go
        live again in one step with the new model; calls that had started end with the old one, which is let go
        after the last of them. If anything fails, the old one serves on. Reloads of one slot run one after the
        other.

        Args:
            *args: Arguments for `load`.
            load: Takes the place of the slot's `load`, from now on if the reload succeeds.
            **kwargs: Keywords for `load`.

        Returns:
            The reload: wait for it, look at its state and its error, cancel it.

        Raises:
            TypeError: `load` is no function.
        """
        recipe = dataclasses.replace(self._recipe, load=load) if load is not None else self._recipe
        recipe.check(self.name)
        return self._enqueue(recipe, args, kwargs)

    @shielded
    def _enqueue(self, recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reload:
        with self._lock:
            reload = Reload(self.name)
            self._waiting.append((reload, recipe, args, kwargs))
            self._wake()
        return reload

    def rollback(self, number: int | None = None) -> str:
        """Makes a replaced model live again, under a new number.

        Args:
            number: Its version; the last one that is kept by default.

        Returns:
            The line that says so.

        Raises:
            ValueError: Its weights were not kept.
        """
        change = self._rolled_back(number)
        return self._catalog.changed([change], change.text)

    @shielded
    def _rolled_back(self, number: int | None) -> ModelChange:
        with self._lock:
            kept = [
                one
                for one in self._records
                if one.state in {"draining", "kept"} and one.recipe.keep and one.model is not None
            ]
            record = next((one for one in reversed(kept) if number is None or one.version.number == number), None)
            if record is None:
                which = f"v{number}" if number is not None else "an earlier version"
                raise ValueError(
                    f"the weights of {which} of {self.name!r} are not kept: endpoint.model(..., keep=1) keeps "
                    "those of the last one; or load them again with reload()"
                )
            return self._new(record.model, record.recipe, 0.0, f"rollback to v{record.version.number}")

    @shielded
    def remove(self) -> None:
        """Lets go of the model and forgets the slot.

        Raises:
            ValueError: Live handlers are bound to it; they are named.
        """
        self._catalog.remove_model(self.name)
        with self._lock:
            for one in self._records:
                if one.state in {"live", "kept"}:
                    one.state, one.recipe = "draining", dataclasses.replace(one.recipe, keep=0)
            self._recipe = dataclasses.replace(self._recipe, keep=0)
            self._wake()
        self._forget(self)

    def forked(self) -> None:
        """In a forked child, which has none of the parent's threads: reloads that waited there are the parent's."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting.clear()
        self._thread = None

    def configure(self, recipe: Recipe) -> None:
        """Takes another recipe. One with another `load` loads now; if that fails, everything stays.

        Its model is published as its cell's registrations are.

        Raises:
            ModelRefusedError: `validate` has said no.
            BaseException: Whatever the recipe's functions raise.
        """
        known = self._seen()
        if known is not None and same(known.recipe.load, recipe.load):
            self._keep_on(known, recipe)
            return
        if known is not None and recipe.policy == "unload_first":
            reload = self._enqueue(recipe, (), {}).wait()
            if reload.error is not None:
                raise reload.error
            return
        begun = time.monotonic()
        model = recipe.make(lambda _state: None, (), {})
        self._catalog.change([self._new(model, recipe, time.monotonic() - begun, "loaded")])

    @shielded
    def _keep_on(self, record: _Record, recipe: Recipe) -> None:
        """The same `load`: what it has loaded stays."""
        with self._lock:
            record.recipe = self._recipe = recipe

    def _seen(self) -> _Record | None:
        """The version that the calling code sees: what its cell has staged, or what is live."""
        staged = self._catalog.staged_model(self.name)
        for one in reversed(self._records):
            if one.version.number == staged if staged else one.state == "live":
                return one
        return None

    @shielded
    def _new(self, model: Any, recipe: Recipe, seconds: float, reason: str, **known: Any) -> ModelChange:
        """The next version, staged; `known` is what its record is to say besides."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
            version = ModelVersion(
                self.name, number, type(model).__qualname__, now(), seconds, "staged", reason=reason
            )
            record = _Record(version, None, recipe, _reference(model), **known)
            self._records.append(record)
            del self._records[:-_REMEMBERED]
        before = self.version
        arrow = f"v{before} → v{number}" if before else f"v{number}"
        why = f" ({reason})" if reason != "loaded" else ""
        change = ModelChange(
            slot=self.name,
            number=number,
            model=model,
            reason=f"model {self.name} v{number}",
            text=f"{self._catalog.name} model {self.name} {arrow}{why}",
            published=lambda: self._went_live(record, model),
            refused=lambda: self._was_refused(record),
        )
        record.change = weakref.ref(change)
        return change

    def _was_refused(self, record: _Record) -> None:
        """The cell that has staged a version failed."""
        with self._lock:
            record.state = "refused"

    def _went_live(self, record: _Record, model: Any) -> None:
        """A version is live now: what was before it drains. Called when it is published, under that lock."""
        with self._lock:
            for one in self._records:
                if one.state == "live":
                    one.state = "draining"
                    one.reload, record.reload = record.reload, None
            record.state, record.was_live, record.model = "live", True, model
            self._recipe = record.recipe
            self._wake()

    # The thread -------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Makes the slot's thread look around, and starts it if there is none; the lock is held."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._main, name=f"pycrust-model-{self.name}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _main(self) -> None:
        """Runs reloads one after the other, and sees to what was replaced, while there is either."""
        pause = _PAUSES[0]
        while True:
            with self._lock:
                job = self._waiting.popleft() if self._waiting else None
            if job is not None:
                self.busy = True
                self._run(*job)
                self.busy = False
                del job
                pause = _PAUSES[0]
            self._see_to_replaced()
            with self._lock:
                if self._waiting:
                    continue
                if not any(one.state == "draining" for one in self._records):
                    self._thread = None
                    return
                self._changed.wait(pause)
            pause = min(2 * pause, _PAUSES[1])

    def _run(self, reload: Reload, recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """One reload; whatever it raises is its end, and what was live serves on."""
        begun = time.monotonic()
        try:
            if recipe.policy == "unload_first" and self.version:
                self._unload_first(reload)
            model = recipe.make(reload._step, args, kwargs)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the two belong together
            change = self._new(
                model, recipe, time.monotonic() - begun, "loaded", reload=reload, arguments=(args, kwargs)
            )
            del model
            reload.version = change.number
            self._catalog.publish([change])
        except BaseException as error:  # noqa: BLE001 - a MemoryError or a SystemExit of load() is its end, too
            self._failed(reload, error)
        else:
            replaced = any(one.reload is reload for one in self._records if one.state == "draining")
            reload._set("draining" if replaced else "done")  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
            for one in self._records:
                if one.reload is reload and one.state == "live":
                    one.reload = None

    def _failed(self, reload: Reload, error: BaseException) -> None:
        without_frames(error)
        number = self.version
        what = f"{type(error).__name__}: {error}"
        text = f"{self._catalog.name} model {self.name} stays v{number}: {what}"
        if self._catalog.store.is_suspended(self.name):
            text = self._restore(what)
        self._catalog.events.add("refused", self.name, number, text)
        reload._fail(error)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above

    def _unload_first(self, reload: Reload) -> None:
        """Takes the live model out of service and lets go of it, so that there is room for the next one."""
        number = self.version
        reload._step("waiting")  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
        self._catalog.publish(
            [
                ModelChange(
                    slot=self.name,
                    number=number,
                    model=SUSPENDED,
                    reason=f"model {self.name} unloaded",
                    text=f"{self._catalog.name} model {self.name} v{number} unloaded to make room for the next one",
                    published=self._suspended,
                    refused=lambda: None,
                )
            ]
        )
        pause = _PAUSES[0]
        while any(one.state == "draining" for one in self._records):
            self._see_to_replaced()
            time.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])

    def _suspended(self) -> None:
        with self._lock:
            for one in self._records:
                if one.state == "live":
                    one.state = "draining"

    def _restore(self, what: str) -> str:
        """After a failed reload that unloaded first: loads again what was live. Gives the line that says so."""
        last = next(one for one in reversed(self._records) if one.was_live)
        recipe, (args, kwargs) = last.recipe, last.arguments
        begun = time.monotonic()
        try:
            model = recipe.load(*args, **kwargs)
            change = self._new(model, recipe, time.monotonic() - begun, "loaded again", arguments=(args, kwargs))
            del model
            self._catalog.publish([change])
        except BaseException as error:  # noqa: BLE001 - as in `_run`
            return (
                f"{self._catalog.name} model {self.name} is out of service: {what}; what was live could not be "
                f"loaded again: {type(error).__name__}: {error}"
            )
        return f"{self._catalog.name} model {self.name} v{change.number} is what was live, loaded again: {what}"

    # What was replaced ------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Sees what has changed by itself; the lock is held."""
        kept = [one for one in self._records if one.state == "kept"]
        for one in kept[: len(kept) - self._recipe.keep]:
            one.state = "draining"
            self._wake()
        for one in self._records:
            if one.state == "staged" and one.change is not None and one.change() is None:
                one.state = "refused"  # whoever was about to publish it was interrupted
            if one.state == "held" and one.gone:
                one.state, one.holders = "retired", []
                text = f"{self._catalog.name} model {self.name} v{one.version.number} is freed now"
                self._catalog.events.add("freed", self.name, one.version.number, text)

    def _see_to_replaced(self) -> None:
        """Lets go of models whose last call has ended; on the slot's thread, which holds no lock meanwhile.

        Unloading and looking for holders run code of the user's, and take their time.
        """
        release_pending()
        with self._lock:
            self._look()
            replaced = [one for one in self._records if one.state in {"draining", "kept"}]
            newest = replaced[len(replaced) - self._recipe.keep :] if self._recipe.keep else []
        for one in replaced:
            if one.state == "draining" and not self._catalog.archive.serves(self.name, one.version.number):
                self._drained(one, keep=one in newest and one.recipe.keep > 0)

    def _drained(self, one: _Record, *, keep: bool) -> None:
        """The last call on a replaced model has ended."""
        with self._lock:
            if keep and one.model is not None:
                one.state = "kept"
                self._settled(one)
                self._look()  # it takes the place of an older one
                return
            model, one.model = one.model, None
            # A rollback shares its model with the version that it goes back to.
            if model is not None and any(other.model is model for other in self._records):
                model = one.ref = None
        if model is not None:
            if one.recipe.unload is not None:
                self._unload(one, model)
            del model
        if one.gone:
            one.state = "retired"
            self._settled(one)
        elif not one.drained_at:
            one.drained_at = time.monotonic()
        elif time.monotonic() - one.drained_at > _GRACE:
            self._find_holders(one)

    def _find_holders(self, one: _Record) -> None:
        frozen.collect()
        model = one.ref() if one.ref is not None else None
        if model is None:
            one.state = "retired"
        else:
            one.state = "held"
            one.holders = who_holds(model)
            who = ", ".join(one.holders) or "something that could not be found"
            text = f"{self._catalog.name} model {self.name} v{one.version.number} is still in memory: held by {who}"
            self._catalog.events.add("held", self.name, one.version.number, text)
        del model
        self._settled(one)

    def _settled(self, one: _Record) -> None:
        reload, one.reload = one.reload, None
        if reload is not None:
            reload._set("done")  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above

    def _unload(self, one: _Record, model: Any) -> None:
        try:
            assert one.recipe.unload is not None  # noqa: S101 - asked before
            one.recipe.unload(model)
        except BaseException as error:  # noqa: BLE001 - the model goes all the same
            without_frames(error)
            text = (
                f"{self._catalog.name} model {self.name} v{one.version.number}: unload raised "
                f"{type(error).__name__}: {error}"
            )
            self._catalog.events.add("held", self.name, one.version.number, text)
