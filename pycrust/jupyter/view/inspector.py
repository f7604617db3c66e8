"""What a view's inspector asks for, answered from the endpoint's recorded calls: the list, one call, its replay."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pycrust.jupyter.view import functions, rates, replays
from pycrust.jupyter.view.values import Lines
from pycrust.process.threads import Thread
from pycrust.traffic.filters import FilterError, parse
from pycrust.traffic.traffic import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pycrust.calls.running import RunningCall
    from pycrust.traffic.recorded import RecordedCall

    Send = Callable[[dict[str, Any], list[bytes]], None]

MOST_ROWS = 50
"""Calls in the list."""

_MOST_TEXT = 20_000
"""Characters of a traceback or of a handler's output that are sent."""

_MOST_CALLS = 2_000
"""Calls that one look for new ones takes in; where more came, the oldest of them are passed over."""

_WORTH_SHOWING_S = 0.3
"""Calls that have been running for so many seconds are listed while they run."""


@dataclass
class _Watch:
    """What one view wants to be told of."""

    address: dict[str, Any]
    text: str
    #: Nothing new is listed; what is can still be chosen.
    paused: bool = False
    #: The last calls that match, the newest last.
    calls: deque[RecordedCall] = field(default_factory=lambda: deque(maxlen=MOST_ROWS))
    #: The number up to which calls were looked at.
    seen: int = 0
    sent: str | None = None


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

    def line(self) -> list[Any]:
        """As the list shows it, in the order that `src/calls/calls.js` reads."""
        ended_ms = self.ended_unix_ns // 1_000_000
        return [self.key, self.method, self.version, "RUNNING", self.client, ended_ms, self.took_ns, ""]

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
            self._watch(page, to, said, send)
            return True
        asked = _ASKED.get(str(kind))
        if asked is None:
            return False
        try:
            asked(self, key, said, answer)
        except Exception as error:  # noqa: BLE001 - shown where it was asked, whatever it is
            answer({"kind": "failed", "said": f"{type(error).__name__}: {error}"})
        return True

    def _watch(self, page: str, to: int, said: Mapping[str, object], send: Send) -> None:
        """A view wants the list of calls, wants it no more, or wants it to stand still."""
        with self._lock:
            before = self._watches.pop((page, to), None)
            if said.get("kind") != "watch":
                return
            if said.get("paused") is True:
                if before is not None:
                    before.paused = True
                    self._watches[page, to] = before
                return
            watch = self._watches[page, to] = _Watch({"view": page, "to": to}, str(said.get("filter", "")))
            endpoint = self._endpoint()
            state: dict[str, object] = endpoint.recording.state if endpoint is not None else {}
            send({**watch.address, **json.loads(self._listed(watch, state))}, [])

    def left(self, page: str) -> None:
        """A page closed."""
        with self._lock:
            for key in [key for key in self._watches if key[0] == page]:
                del self._watches[key]

    def news(self, state: Mapping[str, object]) -> list[str]:
        """A message, as JSON, for every view whose list has changed since this was last asked.

        Args:
            state: How the recorder is doing, of the endpoint's statistics.
        """
        with self._lock:
            messages: list[str] = []
            for watch in self._watches.values():
                if watch.paused:
                    continue
                text = self._listed(watch, state)
                if text != watch.sent:
                    watch.sent = text
                    messages.append(f"{json.dumps(watch.address)[:-1]},{text[1:]}")
            return messages

    # The list ---------------------------------------------------------------------------------------------

    def _listed(self, watch: _Watch, state: Mapping[str, object]) -> str:
        """The list for a view, or why there is none: a filter may decode values, and hooks may raise."""
        try:
            return self._chosen(watch, state)
        except Exception as error:  # noqa: BLE001 - the dashboard goes on without the list
            return json.dumps({"kind": "calls", "rows": [], "nothing": f"The calls can't be shown: {error!r}"})

    def _chosen(self, watch: _Watch, state: Mapping[str, object]) -> str:
        endpoint = self._endpoint()
        if endpoint is None:
            return json.dumps({"kind": "calls", "rows": []})
        try:
            running = self._running_that_match(watch.text)
        except FilterError as error:
            wrong = {
                "reason": error.reason, "filter": error.filter, "position": error.position, "length": error.length,
            }  # fmt: skip
            return json.dumps({"kind": "calls", "wrong": wrong})
        last = _number(state.get("last"))
        if last > watch.seen:
            since = max(watch.seen, last - _MOST_CALLS) if watch.seen else 0
            watch.calls.extend(endpoint.traffic(watch.text, limit=MOST_ROWS, since=since))
            watch.seen = max(last, watch.calls[-1].seq if watch.calls else 0)
        ended = lines_of(reversed(watch.calls))[1:-1]
        head = json.dumps({"kind": "calls", **_summary(state, len(watch.calls) + len(running))})
        return f'{head[:-1]},"rows":[{",".join([*running, *([ended] if ended else [])])}]}}'

    def _running_that_match(self, text: str) -> list[str]:
        """The lines of calls that have been running for a while, as JSON.

        Raises:
            FilterError: The filter can't be read.
        """
        running = self._running()
        if not running and not text:
            return []
        chosen = parse(text)
        return [json.dumps(call.line()) for call in running if chosen(cast("RecordedCall", call))]

    def _running(self) -> list[Running]:
        """The calls that have been running for a while, the longest first."""
        endpoint = self._endpoint()
        return [Running(call) for call in endpoint.running(least=_WORTH_SHOWING_S)] if endpoint is not None else []

    def _find(self, key: str) -> RecordedCall | Running | None:
        for call in self._running():
            if call.key == key:
                return call
        for watch in self._watches.values():
            for call in watch.calls:
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

    def _show(self, key: str, _said: Mapping[str, object], answer: Callable[..., None]) -> None:
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
            "functions": functions.names(functions.namespace()),
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

    def _replay(self, key: str, said: Mapping[str, object], answer: Callable[..., None]) -> None:
        call, endpoint, on = self._recorded(key), self._endpoint(), str(said.get("on", ""))
        name = str(said.get("function", "")) if on == replays.FUNCTION else None

        def make() -> None:
            try:
                function = None if name is None else functions.find(name, functions.namespace())
                answer({"kind": "replayed", **replays.replayed(endpoint, call, on, function)})
            except functions.NotAFunctionError as error:
                answer({"kind": "failed", "said": str(error)})
            except Exception as error:  # noqa: BLE001 - shown where it was asked, whatever it is
                answer({"kind": "failed", "said": f"{type(error).__name__}: {error}"})

        # A thread of its own: the handler may take long, and other clicks come on the thread that this one came on.
        Thread(target=make, name="pycrust-replay", daemon=True).start()

    def _test(self, key: str, _said: Mapping[str, object], answer: Callable[..., None]) -> None:
        answer({"kind": "test", "code": self._recorded(key).as_test()})

    def _interrupt(self, key: str, _said: Mapping[str, object], answer: Callable[..., None]) -> None:
        call, endpoint = self._find(key), self._endpoint()
        done = isinstance(call, Running) and endpoint is not None and endpoint.interrupt(call.call)
        answer({"kind": "interrupted", "said": "Interrupted." if done else "The call has ended already."})

    def _record(self, _key: str, said: Mapping[str, object], answer: Callable[..., None]) -> None:
        endpoint = self._endpoint()
        if endpoint is None:
            raise LookupError("the endpoint is gone")
        try:
            answer({"kind": "recording", "recording": rates.change(endpoint.recording, said.get("settings"))})
        except rates.SettingError as error:
            answer({"kind": "recording", "wrong": str(error), "field": error.field})


_ASKED: dict[str, Callable[[Inspector, str, Mapping[str, object], Callable[..., None]], None]] = {
    "call": Inspector._show,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a table beside its class
    "replay": Inspector._replay,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "test": Inspector._test,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "interrupt": Inspector._interrupt,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "record": Inspector._record,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _summary(state: Mapping[str, object], shown: int) -> dict[str, str]:
    """What stands beside the filter, and what stands in place of an empty list."""
    kept, share = _number(state.get("calls")), state.get("share", 1.0)
    sampled = ""
    if isinstance(share, float) and 0 < share < 0.67:  # noqa: PLR2004 - rounds to 2
        sampled = f" · 1 of {round(1 / share):,} recorded"
    on = state.get("on", True)
    if kept == 0:
        nothing = "No calls recorded yet." if on else "Recording is off."
    else:
        nothing = f"None of the {kept:,} calls that are kept matches."
    off = "" if on else " · recording is off"
    return {"summary": f"last {shown} of {kept:,} kept{sampled}{off}", "nothing": nothing}


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
