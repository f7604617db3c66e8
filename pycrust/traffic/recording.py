"""`endpoint.recording`: what of the traffic is recorded, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrust.text.statistics import counted
from pycrust.text.values import size
from pycrust.traffic.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pycrust._extension import Worker
    from pycrust.traffic.redaction import Hook


class Recording:
    """The recorder of an endpoint's calls. Call it to change its settings; it shows what they are.

    Calls are recorded in full up to a rate and sampled above it. Failed calls and slow ones have a rate of their
    own, so that a flood of others doesn't hide them.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("recording-doc")
        >>> endpoint.recording(calls_per_second=500, redact=["password"])
        <recording recording-doc: 0 calls, 0 B, all of them up to 500 calls/s and 64 MiB/s>
        >>> endpoint.recording.pause()
        >>> endpoint.recording
        <recording recording-doc: paused, 0 calls, 0 B>
    """

    def __init__(self, name: str, worker: Callable[[], Worker]) -> None:
        """Made by the endpoint."""
        self._name = name
        self._worker = worker
        self._redact: tuple[str, ...] = ()
        self._drop: tuple[str, ...] = ()
        self._hook: Hook | None = None
        self._redaction = Redaction()
        #: What was changed, for the worker of a forked child.
        self._changes: dict[str, Any] = {}
        #: How often settings were changed: who shows them looks at it first.
        self.changes = 0

    def __call__(  # noqa: PLR0913 - all are keywords
        self,
        *,
        on: bool | None = None,
        max_calls: int | None = None,
        max_bytes: int | None = None,
        max_payload: int | None = None,
        max_arrays: int | None = None,
        calls_per_second: int | None = None,
        bytes_per_second: int | None = None,
        slow_ms: float | None = None,
        redact: Iterable[str] | None = None,
        redact_hook: Hook | None = None,
        drop: Iterable[str] | None = None,
    ) -> Recording:
        """Changes settings; what is left out stays.

        Args:
            on: Whether calls are recorded.
            max_calls: Calls that are kept, the last ones.
            max_bytes: Bytes that they may hold together.
            max_payload: Bytes of one payload that are kept; of a longer one, its beginning.
            max_arrays: Bytes of arrays among one call's arguments up to which they are kept whole, 0 by default: of
                more, and of results, only types and shapes are. Keeping them costs a copy before the call's answer,
                and counts as bytes. Kept, they are shown as pictures, and the call can be made again.
            calls_per_second: Up to this rate every call is recorded, above it a sample.
            bytes_per_second: The same for bytes of payloads.
            slow_ms: Calls that take at least so long are sampled with the failed ones, apart from the others.
            redact: Names of fields that are not shown, wherever they are in arguments, results, errors and
                metadata; `*` stands for any text. Structs that come as arrays are named by the annotations;
                of an array that these say nothing about, nothing is shown. Texts that repeat a hidden argument
                (messages, tracebacks, output) are shown without it. An empty list shows all. Calls are made again
                with the true values, and replays and shadows compare the true answers: of a hidden field they say
                only that it differs.
            redact_hook: `hook(method, part, value)` gives what is shown in place of a value; the part is
                `"arguments"`, `"result"`, `"error"` or `"metadata"`.
            drop: Names of fields that are not even stored: what is recorded from now on is without them. Calls that
                miss arguments can't be made again, and answers that miss fields can't be compared: replays and
                shadows count both apart from those that agree or differ, and name the fields.

        Raises:
            ValueError: A number is out of bounds.
        """
        hidden = () if redact is None else _names("redact", redact)
        changes: dict[str, Any] = {
            "on": on,
            "max_calls": max_calls,
            "max_bytes": max_bytes,
            "max_payload": max_payload,
            "max_arrays": max_arrays,
            "calls_per_second": calls_per_second,
            "bytes_per_second": bytes_per_second,
            "drop": None if drop is None else list(_names("drop", drop)),
            "slow_ns": None if slow_ms is None else round(slow_ms * 1e6),
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        for name, value in changes.items():
            if name != "drop" and value < 0:
                raise ValueError(f"{name} is at least 0, not {value}")
        self._redact = self._redact if redact is None else hidden
        self._drop = tuple(changes.get("drop", self._drop))
        self._hook = redact_hook or self._hook
        # The worker tells calls without asking Python: it hides the same, and what only a hook knows, all of it.
        changes |= {"redact": [*self._redact, *self._drop], "hooked": self._hook is not None}
        self._worker().set_recording(changes)
        self._changes |= changes
        # What is not stored shows nowhere else: in earlier calls, and in what replays give.
        self._redaction = Redaction((*self._redact, *self._drop), self._hook)
        self.changes += 1
        return self

    def pause(self) -> None:
        """Records nothing until `resume()`; what is recorded stays."""
        self(on=False)

    def resume(self) -> None:
        """Records again."""
        self(on=True)

    def clear(self) -> None:
        """Forgets the recorded calls."""
        self._worker().forget_recorded()

    @property
    def redaction(self) -> Redaction:
        """What is hidden."""
        return self._redaction

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by the names that changing them takes."""
        settings = self._worker().set_recording({})
        settings["slow_ms"] = settings.pop("slow_ns") / 1e6
        del settings["hooked"]
        return {**settings, "redact": list(self._redact)}

    @property
    def state(self) -> dict[str, Any]:
        """How it is doing.

        `calls` and `bytes` that are held, `recorded` and `skipped` calls since the beginning, `share` of ordinary
        calls that are recorded at the moment, number of the `last` call, and whether it is `on`.
        """
        return {**self._worker().recorder(), "on": self._worker().set_recording({})["on"]}

    def forked(self) -> None:
        """In a forked child: the same settings for its own worker."""
        self._worker().set_recording(self._changes)

    def __repr__(self) -> str:
        """One line."""
        state, settings = self.state, self.settings
        held = f"{counted(state['calls'], 'call')}, {size(state['bytes'])}"
        if not state["on"]:
            return f"<recording {self._name}: paused, {held}>"
        limits = f"{settings['calls_per_second']:,} calls/s and {size(settings['bytes_per_second'])}/s"
        share = "all of them up to" if state["share"] == 1 else f"{state['share']:.2%} of the calls, all below"
        return f"<recording {self._name}: {held}, {share} {limits}>"


def _names(option: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"{option} is a list of names: write {option}=[{names!r}]")
    return tuple(names)
