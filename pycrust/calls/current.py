"""The call that a handler runs for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrust import _extension
from pycrust.calls.local import enclosing, innermost

if TYPE_CHECKING:
    from pycrust._extension import CurrentCall
    from pycrust.calls.local import LocalCall


def current_call() -> CurrentCall | LocalCall:
    """The call that the calling handler runs for: who calls, how much time is left, whether it was cancelled.

    It works in sync handlers, in generators, and in async handlers with the tasks and threads that they await
    (`asyncio.to_thread`); also where this process makes the call: `endpoint[...](...)`, warm-ups, shadows, replays.
    A test that calls a handler's function itself says what its call is with `pycrust.testing.calling`. It may be
    kept beyond the call's end.

    Returns:
        Its attributes are `id`, `method`, `version`, `client` and `client_pid` (`"local"` and this process, where
        no client called), `connection`, `time_left` in seconds (`None` without a deadline), `cancelled`,
        `idempotent`, `metadata`, `traceparent`; its `set_metadata(dict)` sends metadata back with the answer.

    Raises:
        RuntimeError: No handler runs here.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("current-doc")
        >>> @endpoint.register
        ... def who() -> str:
        ...     return current_call().client
        >>> endpoint["who"]()
        'local'
    """
    local = innermost()
    call = running_call() if local is None or not local.batch else None
    if call is None and (local is not None or _extension.current_calls() is not None):
        raise RuntimeError("a batch handler runs for many calls: current_calls() lists them")
    if call is None:
        raise RuntimeError(
            "no call runs here: current_call() works in a handler that was called, and in what it awaits; a test "
            "that calls the function itself does so inside of `with pycrust.testing.calling():`"
        )
    return call


def current_calls() -> list[CurrentCall] | list[LocalCall]:
    """The calls that the calling batch handler runs for, in the order of its list.

    Returns:
        As from `current_call`, one for each.

    Raises:
        RuntimeError: No batch handler runs here.
    """
    local = innermost()
    if local is not None and local.batch is not False:
        return [local]
    calls = _extension.current_calls() if local is None else None
    if calls is None:
        raise RuntimeError("no batch runs here: current_calls() works in a handler that has batch=Batch(...)")
    return calls


def running_call() -> CurrentCall | LocalCall | None:
    """The call that the calling handler runs for; `None` if no handler runs here."""
    return enclosing()


def in_call() -> bool:
    """Whether a handler runs here, of a batch as well."""
    return running_call() is not None or _extension.current_calls() is not None
