"""A new answer to a recorded call beside the recorded one: as they are, and as they may be shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pycrust.arrays.absent import any_absent, without_elements
from pycrust.traffic.recorded_error import RecordedError
from pycrust.traffic.redaction import REDACTED, Redaction
from pycrust.trials.compare import Difference, Pair, Tolerance, compare, gone_places

if TYPE_CHECKING:
    from pycrust.traffic.recorded import RecordedCall


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended: with a result, or with an error.

    Attributes:
        result: The result; of a stream, the list of its items. `None` if it failed.
        error: Why it failed; `None` if it did not.
        looked_at_metadata: Whether what the caller sent beside the call may have had a part in it.
    """

    result: Any = None
    error: RecordedError | None = None
    looked_at_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a new answer compares with the recorded one.

    Attributes:
        differences: What differs in the results, and what of the answers can't be compared.
        otherwise: Whether they ended otherwise: with another error, or only one of them with an error.
    """

    differences: tuple[Difference, ...] = ()
    otherwise: bool = False

    @property
    def same(self) -> bool:
        """Whether the answers are the same."""
        return not self.differences and not self.otherwise

    @property
    def uncompared(self) -> bool:
        """Whether nobody can tell: all that may differ is not there to be compared."""
        return bool(self.differences) and not self.otherwise and not any(one.certain for one in self.differences)


def shown_answer(call: RecordedCall, new: Answer, hide: Redaction) -> Answer:
    """A new answer as it may be shown: as the recorded one is, and without what is hidden by now.

    Args:
        call: The recorded call.
        new: What was answered when it was made again.
        hide: What the endpoint hides.
    """
    for redaction in dict.fromkeys((call.redaction, hide)):
        result = redaction.apply(call.method, "result", new.result, call.shown_text)
        new = replace(new, result=result, error=new.error and _shown_error(call, new.error, redaction))
    return new


def _shown_error(call: RecordedCall, error: RecordedError, redaction: Redaction) -> RecordedError:
    shown = redaction.apply(call.method, "error", error.told, call.shown_text)
    if not isinstance(shown, dict):
        return RecordedError(error.code, str(shown))  # a hook gives what it likes
    return RecordedError.of(error.code, cast("dict[str, Any]", shown))


def compared(
    call: RecordedCall,
    new: Answer,
    shown: Answer | None = None,
    tolerance: Tolerance | None = None,
    *,
    messages: bool = False,
) -> Comparison:
    """Compares a new answer with the recorded one.

    The true answers are compared where they are there, whatever of them is hidden. Where they are not, since fields
    were dropped before the call was stored or hidden for good as it was saved, the outcome is that nobody can tell.

    Args:
        call: The recorded call.
        new: What was answered when it was made again.
        shown: The same as it may be shown; `None` if what differs is not.
        tolerance: How far numbers may be apart.
        messages: Whether errors of the same code and type are the same only if they say the same.
    """
    if call.answer_lost:
        return Comparison((Difference("$", "cut"),))
    error = call.unredacted_error
    if error is not None and new.error is not None:
        found = _errors(error, new.error, messages=messages, dropped=call.answer_dropped)
    elif error is not None or new.error is not None:
        found = Comparison(otherwise=True)
    else:
        found = _results(call, new, shown, tolerance)
    if found.same or found.uncompared:
        return found
    untold = _ran_on_less(call, new)
    return Comparison(untold) if untold else found


def _results(call: RecordedCall, new: Answer, shown: Answer | None, tolerance: Tolerance | None) -> Comparison:
    seen = None
    if shown is not None and (call.redaction != Redaction() or shown.result is not new.result):
        seen = Pair(call.result, without_elements(shown.result))
    # Of arrays that were answered, only types and shapes are recorded.
    result = without_elements(new.result)
    differences = compare(call.unredacted_result, result, tolerance, seen=seen, dropped=call.answer_dropped)
    return Comparison(tuple(differences))


def _errors(before: RecordedError, now: RecordedError, *, messages: bool, dropped: bool) -> Comparison:
    if before.code is not now.code:
        return Comparison(otherwise=True)
    pairs = {"error.type": (before.type, now.type)}
    if messages:
        pairs["error.message"] = (before.message, now.message)
    untold = [path for path, (one, _) in pairs.items() if dropped and REDACTED in one]
    if any(one != other for path, (one, other) in pairs.items() if path not in untold):
        return Comparison(otherwise=True)
    return Comparison(tuple(Difference(path, "redacted") for path in untold))


def _ran_on_less(call: RecordedCall, new: Answer) -> tuple[Difference, ...]:
    """Why the answer may be another one although the handler is not: what the caller sent is not all there."""
    untold: list[Difference] = []
    if new.looked_at_metadata:
        untold = [Difference(f"metadata.{name}", "redacted") for name in call.metadata_dropped]
    if call.hooked and (call.answer_dropped or new.looked_at_metadata):
        untold.append(Difference("$", "hook"))
    return tuple(untold)


def gone_arguments(call: RecordedCall, arguments: Any) -> tuple[Difference, ...]:
    """Which arguments are not there, so that the call can't be made again; none if all are.

    Args:
        call: The recorded call.
        arguments: Its arguments as they were stored.
    """
    if not call.arguments_dropped and not any_absent(arguments):
        return ()
    places = gone_places(call.stored_arguments, "arguments", dropped=call.arguments_dropped)
    return tuple(places) or (Difference("arguments", "hook" if call.hooked else "redacted"),)
