"""A recorded call made again, and how the answers differ, as the inspector shows it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pycrust.jupyter.view.values import Lines
from pycrust.text.statistics import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrust.traffic.recorded import RecordedCall

_MOST_VERSIONS = 5
"""Earlier versions that a call can be made again on."""

_MOST_LINES = 400

FUNCTION = "function"
"""What stands for a function of the notebook among the targets."""


def targets(endpoint: Any, call: RecordedCall) -> list[list[str]]:
    """What a call can be made again on: pairs of a name for it and what it is called."""
    found = [[FUNCTION, "a function of yours"]]
    if call.method not in endpoint:
        return found
    method = endpoint[call.method]
    kept = [one.number for one in method.history if getattr(one, "kept", False) and one.number != method.version]
    earlier = [[str(number), f"version {number}"] for number in kept[: -_MOST_VERSIONS - 1 : -1]]
    return [["live", "the live version"], *earlier, *found]


def replayed(
    endpoint: Any, call: RecordedCall, on: str, function: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """Makes a recorded call again.

    Args:
        endpoint: The endpoint that it was made to.
        call: The call.
        on: One of `targets`.
        function: What to make it on, if that is a function.

    Returns:
        What is said about it, and the difference between the answers line by line.
    """
    if on.isdecimal():
        return _tried(endpoint[call.method].replay([call], int(on)), int(on))
    replay = call.replay(function)
    new = replay.new
    now = _answer(call, new.result, new.error)
    then = _answer(call, call.result, call.error)
    verdict = "The same answer" if replay.same else "Another answer"
    if replay.uncompared:
        verdict = "An answer that can't be compared"
    took = f"{duration(new.duration_ns)}; {duration(replay.recorded.duration_ns)} when it was recorded"
    if function is not None and replay.live is not None:
        took += f", {duration(replay.live.duration_ns)} on {replay.live.of} now"
    said = f"{verdict} from {new.of}, in {took}."
    # Where what differs is hidden, the lines of both answers are the same.
    lines = difference(then, now)
    if not replay.same and all(sign == " " for sign, _ in lines):
        lines += [[" " if replay.uncompared else "+", one] for one in replay.differences]
    return {"said": said, "diff": lines}


def _tried(trial: Any, version: int) -> dict[str, Any]:
    """What a trial of an earlier version on the one call says."""
    if trial.skipped:
        return {"said": "This call can't be made again: a handler did not end it, or not all of it was kept."}
    if trial.uncompared:
        lines = [[" ", str(one)] for one in trial.untold[-1].differences]
        return {"said": "The answers can't be compared: not all of the recorded call is there.", "diff": lines}
    took = duration(trial.latencies()["candidate"]["max"] * 1e9)
    if not trial.mismatches:
        return {"said": f"The same answer from v{version}, in {took}.", "diff": [[" ", "no difference"]]}
    mismatch = trial.mismatches[-1]
    lines = [["-", mismatch.expected], ["+", mismatch.found]]
    if mismatch.differences:
        lines = [line for one in mismatch.differences for line in _lines(one) if line[1]]
    return {"said": f"Another answer from v{version}, in {took}.", "diff": lines}


def _lines(one: Any) -> list[list[str]]:
    """What one place of two answers has, or what else is to be said of it."""
    if one.expected or one.found:
        return [[" ", one.path], ["-", one.expected], ["+", one.found]]
    return [[" ", str(one)]]


def _answer(_call: RecordedCall, result: Any, error: Any) -> dict[str, Any]:
    if error is None:
        return {"result": result}
    return {"status": error.code.name, "type": error.type, "message": error.message}


def difference(recorded: Any, now: Any) -> list[list[str]]:
    """Lines of two values: ` ` for those of both, `-` for the recorded one's, `+` for the new one's."""
    before, after = _written(recorded), _written(now)
    lines: list[list[str]] = []
    for what, low, high, begin, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            lines += [[" ", line] for line in before[low:high]]
            continue
        lines += [["-", line] for line in before[low:high]]
        lines += [["+", line] for line in after[begin:end]]
    return lines[:_MOST_LINES]


def _written(value: Any) -> list[str]:
    lines = Lines()
    lines.add(value)
    return ["  " * depth + (f"{key}: " if key else "") + text for depth, key, text, *_ in lines.rows]
