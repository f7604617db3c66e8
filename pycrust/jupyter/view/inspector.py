"""What a view's inspector asks for, answered from the endpoint's recorded calls: the list, one call, its replay."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pycrust.filters import FilterError, parse
from pycrust.jupyter.view import replays
from pycrust.jupyter.view.values import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pycrust.recorded import RecordedCall
    from pycrust.running import RunningCall

    Send = Callable[[dict[str, Any], list[bytes]], None]

MOST_ROWS = 50
"""Calls in the list."""

_MOST_TEXT = 20_000
"""Characters of a traceback or of a handler's output that are sent."""

_MOST_CALLS = 2_000
"""Calls that one look for new ones takes in; where more came, the oldest of them are passed over."""

_TOOK = 6
"""Where a row says how long the call took."""

_WORTH_SHOWING_NS = 300_000_000
"""Calls that have been running for so long are listed while they run."""


@dataclass
class _Watch:
    """What one view wants to be told of."""

    address: dict[str, Any]
    text: str
    #: The last calls that match with their rows, the newest last.
    calls: deque[tuple[RecordedCall, list[Any]]] = field(default_factory=lambda: deque(maxlen=MOST_ROWS))
    #: The number up to which calls were looked at.
    seen: int = 0
    sent: dict[str, Any] | None = None

    def add(self, calls: Iterable[RecordedCall]) -> None:
        self.calls.extend((call, _row(call)) for call in calls)

    def rows(self) -> list[list[Any]]:
        """The newest first, with the round trips of those whose client has told meanwhile."""
        for call, row in self.calls:
            row[_TOOK] = call.took_ns
        return [row.copy() for _, row in reversed(self.calls)]


class Running:
    """A call that still runs, with what a filter and the list look at."""

    code = None
    round_trip_ns = None
    kinds = frozenset({"running"})
    seq = 0

    def __init__(self, call: RunningCall) -> None:
        """Of what `endpoint.running()` gave."""
        self.call = call
        self.key = f"r{call.connection}-{call.id}"
        self.method, self.version = call.method, call.version
        self.client, self.client_pid = call.client, call.client_pid
        self.took_ns = call.elapsed_ns
        self.stages_ns: dict[str, int] = {}
        self.text = call.method

    @property
    def ended_unix_ns(self) -> int:
        """It has not ended: now."""
        return time.time_ns()

    def about(self) -> dict[str, Any]:
        """As the panel beside the list shows it."""
        return {
            "method": self.method,
            "version": self.version,
            "status": "RUNNING",
            "client": self.client,
            "client_pid": self.client_pid,
            "ended_ms": time.time_ns() // 1_000_000,
            "duration_ns": self.took_ns,
            "round_trip_ns": None,
        }


class Inspector:
    """Answers the inspectors of one endpoint's views.

    Args:
        endpoint: Gives the endpoint, or `None` once it is gone.
    """

    def __init__(self, endpoint: Callable[[], Any]) -> None:
        """Nobody watches yet."""
        self._endpoint = endpoint
        #: Views are heard on threads of the kernel's, told from the publisher's.
        self._lock = threading.RLock()
        #: By page and view.
        self._watches: dict[tuple[str, int], _Watch] = {}

    def heard(self, page: str, said: Mapping[str, object], send: Send) -> bool:
        """Takes what a view says; whether it was for the inspector.

        Args:
            page: The page that says it.
            said: The message.
            send: Sends a message, which names the page and the view, with buffers.
        """
        kind, to, key = said.get("kind"), _number(said.get("to")), str(said.get("call", ""))[:64]

        def answer(message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
            send({"view": page, "to": to, "of": key, **message}, buffers or [])

        if kind in {"watch", "unwatch"}:
            with self._lock:
                self._watches.pop((page, to), None)
                if kind == "watch" and said.get("paused") is not True:
                    watch = self._watches[page, to] = _Watch({"view": page, "to": to}, str(said.get("filter", "")))
                    send({**watch.address, **self._listed(watch)}, [])
            return True
        asked = _ASKED.get(str(kind))
        if asked is None:
            return False
        try:
            asked(self, key, str(said.get("on", "")), answer)
        except Exception as error:  # noqa: BLE001 - shown where it was asked, whatever it is
            answer({"kind": "failed", "said": f"{type(error).__name__}: {error}"})
        return True

    def left(self, page: str) -> None:
        """A page closed."""
        with self._lock:
            for key in [key for key in self._watches if key[0] == page]:
                del self._watches[key]

    def news(self) -> list[dict[str, Any]]:
        """A message for every view whose list has changed since this was last asked."""
        with self._lock:
            messages = [(watch, self._listed(watch)) for watch in self._watches.values()]
            changed = [(watch, message) for watch, message in messages if message != watch.sent]
            for watch, message in changed:
                watch.sent = message
            return [{**watch.address, **message} for watch, message in changed]

    # The list ---------------------------------------------------------------------------------------------

    def _listed(self, watch: _Watch) -> dict[str, Any]:
        """The list for a view, or why there is none: a filter may decode values, and hooks may raise."""
        try:
            return self._chosen(watch)
        except Exception as error:  # noqa: BLE001 - the dashboard goes on without the list
            return {"kind": "calls", "rows": [], "nothing": f"The calls can't be shown: {error!r}"}

    def _chosen(self, watch: _Watch) -> dict[str, Any]:
        endpoint = self._endpoint()
        if endpoint is None:
            return {"kind": "calls", "rows": []}
        try:
            chosen = parse(watch.text)
        except FilterError as error:
            wrong = {
                "reason": error.reason, "filter": error.filter, "position": error.position, "length": error.length,
            }  # fmt: skip
            return {"kind": "calls", "wrong": wrong}
        last = _last_recorded(endpoint)
        if last > watch.seen:
            since = max(watch.seen, last - _MOST_CALLS) if watch.seen else 0
            watch.add(endpoint.traffic(watch.text, limit=MOST_ROWS, since=since))
            watch.seen = last
        rows = [_row(call) for call in self._running() if chosen(cast("RecordedCall", call))]
        rows += watch.rows()
        return {"kind": "calls", "rows": rows, **_summary(endpoint, len(rows))}

    def _running(self) -> list[Running]:
        """The calls that have been running for a while, the longest first."""
        endpoint = self._endpoint()
        found = [Running(call) for call in endpoint.running()] if endpoint is not None else []
        return sorted((call for call in found if call.took_ns > _WORTH_SHOWING_NS), key=lambda call: -call.took_ns)

    def _find(self, key: str) -> RecordedCall | Running | None:
        for call in self._running():
            if call.key == key:
                return call
        for watch in self._watches.values():
            for call, _ in watch.calls:
                if str(call.seq) == key:
                    return call
        endpoint = self._endpoint()
        found = endpoint.traffic(f"seq:{key}", limit=1) if endpoint is not None and key.isdecimal() else ()
        return found[0] if found else None

    def _recorded(self, key: str) -> RecordedCall:
        call = self._find(key)
        if call is None or isinstance(call, Running):
            raise LookupError("this call is no longer kept" if call is None else "this call has not ended yet")
        return call

    # One call ---------------------------------------------------------------------------------------------

    def _show(self, key: str, _on: str, answer: Callable[..., None]) -> None:
        call = self._find(key)
        if call is None:
            answer({"kind": "call", "call": None, "gone": "This call is no longer kept."})
            return
        if isinstance(call, Running):
            answer({"kind": "call", "call": call.about()})
            return
        error = call.error
        metadata = {name: one for name, one in call.metadata.items() if one}
        pixels: list[bytes] = []
        about = {
            "seq": call.seq,
            "method": call.method,
            "version": call.version,
            "status": call.code.name,
            "client": call.client,
            "client_pid": call.client_pid,
            "ended_ms": call.ended_unix_ns // 1_000_000,
            "duration_ns": call.duration_ns,
            "round_trip_ns": call.round_trip_ns,
            "kinds": sorted(call.kinds),
            "deadline_s": call.deadline,
            "stages_ns": dict(call.stages_ns),
            "targets": self._targets(call),
            "arguments": _lines(call.arguments, pixels),
            "result": None if error else _lines(call.result, pixels),
            "error": None,
            "metadata": _lines(metadata, []) if metadata else None,
            "output": call.output[-_MOST_TEXT:],
        }
        if error:
            told: Any = error.details
            details = cast("list[Any]", told) if isinstance(told, list) else []
            about["error"] = {
                "message": error.message[:_MOST_TEXT],
                "type": error.type,
                "details": [_detail(one) for one in details[:50]],
                "traceback": error.traceback[-_MOST_TEXT:],
            }
        answer({"kind": "call", "call": about}, pixels)

    def _targets(self, call: RecordedCall) -> list[list[str]]:
        """What the call can be made again on: pairs of a name for it and what it is called."""
        endpoint = self._endpoint()
        return replays.targets(endpoint, call) if endpoint is not None else []

    def _replay(self, key: str, on: str, answer: Callable[..., None]) -> None:
        call, endpoint = self._recorded(key), self._endpoint()

        def make() -> None:
            try:
                answer({"kind": "replayed", **replays.replayed(endpoint, call, on)})
            except Exception as error:  # noqa: BLE001 - shown where it was asked, whatever it is
                answer({"kind": "failed", "said": f"{type(error).__name__}: {error}"})

        # A thread of its own: the handler may take long, and other clicks come on the thread that this one came on.
        threading.Thread(target=make, name="pycrust-replay", daemon=True).start()

    def _test(self, key: str, _on: str, answer: Callable[..., None]) -> None:
        answer({"kind": "test", "code": self._recorded(key).as_test()})

    def _interrupt(self, key: str, _on: str, answer: Callable[..., None]) -> None:
        call, endpoint = self._find(key), self._endpoint()
        done = isinstance(call, Running) and endpoint is not None and endpoint.interrupt(call.call)
        answer({"kind": "interrupted", "said": "Interrupted." if done else "The call has ended already."})


_ASKED: dict[str, Callable[[Inspector, str, str, Callable[..., None]], None]] = {
    "call": Inspector._show,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a table beside its class
    "replay": Inspector._replay,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "test": Inspector._test,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "interrupt": Inspector._interrupt,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _last_recorded(endpoint: Any) -> int:
    return _number(endpoint.recording.state.get("last"))


def _row(call: RecordedCall | Running) -> list[Any]:
    """A line of the list, in the order that `src/calls.js` reads."""
    notes = [kind for kind in ("stream", "late", "truncated") if kind in call.kinds]
    return [
        call.key if isinstance(call, Running) else str(call.seq),
        call.method,
        call.version,
        call.code.name if call.code is not None else "RUNNING",
        call.client,
        call.ended_unix_ns // 1_000_000,
        call.took_ns,
        ", ".join(notes),
    ]


def _summary(endpoint: Any, shown: int) -> dict[str, str]:
    """What stands beside the filter, and what stands in place of an empty list."""
    state = endpoint.recording.state
    kept = _number(state.get("calls"))
    share = state.get("share", 1.0)
    sampled = f" · 1 of {round(1 / share):,} recorded" if 0 < share < 0.67 else ""  # noqa: PLR2004 - rounds to 2
    off = "" if state.get("on", True) else " · recording is off"
    if kept == 0:
        nothing = (
            "No calls recorded yet." if not off else "Recording is off: endpoint.recording.resume() turns it on."
        )
    else:
        nothing = f"None of the {kept:,} calls that are kept matches."
    settings = repr(endpoint.recording).strip("<>")
    return {"summary": f"last {shown} of {kept:,} kept{sampled}{off}", "settings": settings, "nothing": nothing}


def _lines(value: Any, pixels: list[bytes]) -> dict[str, Any]:
    lines = Lines()
    lines.add(value)
    pixels.extend(lines.pixels)
    return {"rows": lines.rows, "pictures": lines.pictures}


def _detail(detail: Any) -> Any:
    """One entry of Pydantic's list, of plain types."""
    if not isinstance(detail, dict):
        return repr(detail)[:500]
    detail = cast("dict[str, Any]", detail)
    return {
        "loc": [str(part) for part in detail.get("loc") or ()],
        "msg": str(detail.get("msg", ""))[:500],
        **({"input": repr(detail["input"])[:200]} if "input" in detail else {}),
    }
