"""What a view's inspector asks for, answered from the endpoint's recorded calls: the list, one call, its replay."""

from __future__ import annotations

import difflib
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pycrust.jupyter.view.values import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pycrust.recorded import RecordedCall

    Send = Callable[[dict[str, Any], list[bytes]], None]

MOST_ROWS = 50
"""Calls in the list."""

_MOST_TEXT = 20_000
"""Characters of a traceback or of a handler's output that are sent."""

_MOST_CALLS = 2_000
"""Calls that one look for new ones takes in; where more came, the oldest of them are passed over."""

_log = logging.getLogger("pycrust.jupyter")


@dataclass
class _Watch:
    """What one view wants to be told of."""

    send: Send
    text: str
    #: The last calls that match, the newest last, and the number up to which calls were looked at.
    calls: deque[RecordedCall] = field(default_factory=lambda: deque(maxlen=MOST_ROWS))
    seen: int = 0
    sent: dict[str, Any] | None = None


class Inspector:
    """Answers the inspectors of one endpoint's views.

    Args:
        endpoint: Gives the endpoint, or `None` once it is gone.
    """

    def __init__(self, endpoint: Callable[[], Any]) -> None:
        """Nobody watches yet."""
        self._endpoint = endpoint
        #: By page and view.
        self._watches: dict[tuple[str, int], _Watch] = {}

    def heard(self, page: str, said: Mapping[str, object], send: Send) -> bool:
        """Takes what a view says; whether it was for the inspector.

        Args:
            page: The page that says it.
            said: The message.
            send: Sends a message, which names the page and the view, with buffers.
        """
        kind, to, seq = said.get("kind"), _number(said.get("to")), _number(said.get("seq"))

        def answer(message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
            send({"view": page, "to": to, "seq": seq, **message}, buffers or [])

        if kind == "watch":
            self._watches.pop((page, to), None)
            if said.get("paused") is not True:
                watch = self._watches[page, to] = _Watch(
                    lambda message, buffers: send({"view": page, "to": to, **message}, buffers),
                    str(said.get("filter", "")),
                )
                self._tell(watch)
            return True
        if kind == "unwatch":
            self._watches.pop((page, to), None)
            return True
        asked = _ASKED.get(str(kind))
        if asked is None:
            return False
        try:
            asked(self, seq, str(said.get("on", "")), answer)
        except Exception as error:  # noqa: BLE001 - shown where it was asked, whatever it is
            answer({"kind": f"{kind}-failed", "said": f"{type(error).__name__}: {error}"})
        return True

    def left(self, page: str) -> None:
        """A page closed."""
        for key in [key for key in self._watches if key[0] == page]:
            del self._watches[key]

    def tick(self) -> None:
        """Tells every view that watches what is new."""
        for watch in list(self._watches.values()):
            self._tell(watch)

    # The list ---------------------------------------------------------------------------------------------

    def _tell(self, watch: _Watch) -> None:
        message = self._listed(watch)
        if message != watch.sent:
            watch.sent = message
            watch.send(message, [])

    def _listed(self, watch: _Watch) -> dict[str, Any]:
        endpoint = self._endpoint()
        if endpoint is None:
            return {"kind": "calls", "rows": []}
        if not hasattr(endpoint, "recording"): return {"kind": "calls", "rows": []}
        from pycrust.filters import FilterError, parse
        try:
            parse(watch.text)
        except FilterError as error:
            wrong = {
                "reason": error.reason, "filter": error.filter, "position": error.position, "length": error.length,
            }  # fmt: skip
            return {"kind": "calls", "wrong": wrong}
        last = _last_recorded(endpoint)
        if last > watch.seen:
            since = max(watch.seen, last - _MOST_CALLS) if watch.seen else 0
            watch.calls.extend(endpoint.traffic(watch.text, limit=MOST_ROWS, since=since))
            watch.seen = last
        rows = [_row(call) for call in reversed(watch.calls)]
        return {"kind": "calls", "rows": rows, **_summary(endpoint, watch.text, len(rows))}

    def _find(self, seq: int) -> RecordedCall | None:
        for watch in self._watches.values():
            for call in watch.calls:
                if call.seq == seq:
                    return call
        endpoint = self._endpoint()
        found = endpoint.traffic(f"seq:{seq}", limit=1) if endpoint is not None else ()
        return found[0] if found else None

    # One call ---------------------------------------------------------------------------------------------

    def _show(self, seq: int, _on: str, answer: Callable[..., None]) -> None:
        call = self._find(seq)
        if call is None:
            answer({"kind": "call", "call": None, "gone": f"Call {seq} is no longer kept."})
            return
        error, pixels = call.error, []
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
            "metadata": _lines({name: one for name, one in call.metadata.items() if one}, []),
            "output": call.output[-_MOST_TEXT:],
        }
        if error:
            details = error.details if isinstance(error.details, list) else None
            about["error"] = {
                "message": error.message[:_MOST_TEXT],
                "type": error.type,
                "details": [_detail(one) for one in details[:50]] if details else None,
                "traceback": error.traceback[-_MOST_TEXT:],
            }
        answer({"kind": "call", "call": about}, pixels)

    def _targets(self, call: RecordedCall) -> list[list[str]]:
        """What the call can be replayed on: pairs of a name for it and what it is called."""
        return [["live", "the live version"]]

    def _replay(self, seq: int, on: str, answer: Callable[..., None]) -> None:
        call = self._find(seq)
        if call is None:
            answer({"kind": "replayed", "said": f"Call {seq} is no longer kept."})
            return
        answer({"kind": "replayed", **replayed(call, on)})

    def _test(self, seq: int, _on: str, answer: Callable[..., None]) -> None:
        call = self._find(seq)
        code = call.as_test() if call is not None else None
        answer({"kind": "test", "code": code, "said": "" if code else f"Call {seq} is no longer kept."})

    def _interrupt(self, seq: int, _on: str, answer: Callable[..., None]) -> None:
        call = self._find(seq)
        endpoint = self._endpoint()
        done = call is not None and endpoint is not None and endpoint.interrupt(call)
        answer({"kind": "interrupted", "said": "Interrupted." if done else "The call has ended already."})


_ASKED: dict[str, Callable[[Inspector, int, str, Callable[..., None]], None]] = {
    "call": Inspector._show,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a table beside its class
    "replay": Inspector._replay,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "test": Inspector._test,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    "interrupt": Inspector._interrupt,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _last_recorded(endpoint: Any) -> int:
    return _number(endpoint.recording.state.get("last"))


def _row(call: RecordedCall) -> list[Any]:
    """A line of the list, in the order that `src/calls.js` reads."""
    notes = [kind for kind in ("stream", "late", "truncated") if kind in call.kinds]
    return [
        call.seq,
        call.method,
        call.version,
        call.code.name,
        call.client,
        call.ended_unix_ns // 1_000_000,
        call.took_ns,
        ", ".join(notes),
    ]


def _summary(endpoint: Any, text: str, shown: int) -> dict[str, str]:
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
    del text
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
    return {
        "loc": [str(part) for part in detail.get("loc") or ()],
        "msg": str(detail.get("msg", ""))[:500],
        **({"input": repr(detail["input"])[:200]} if "input" in detail else {}),
    }


def difference(recorded: Any, now: Any) -> list[list[str]]:
    """Lines of two values: ` ` for those of both, `-` for the recorded one's, `+` for the new one's."""
    before, after = (_written(value) for value in (recorded, now))
    lines = difflib.ndiff(before, after) if len(before) + len(after) < 400 else difflib.unified_diff(before, after)  # noqa: PLR2004
    return [[line[0], line[2:]] for line in lines if line[0] in " +-"][:400]


def _written(value: Any) -> list[str]:
    lines = Lines()
    lines.add(value)
    return ["  " * depth + (f"{key}: " if key else "") + text for depth, key, text, *_ in lines.rows]
