"""The call that a handler runs for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrust import _binding, loops

if TYPE_CHECKING:
    from pycrust._binding import CurrentCall


def current_call() -> CurrentCall:
    """The call that the calling handler runs for: who calls, how much time is left, whether it was cancelled.

    It works in sync handlers, in generators, and in async handlers with the tasks and threads that they await
    (`asyncio.to_thread`). It may be kept beyond the call's end.

    Returns:
        Its attributes are `id`, `method`, `version`, `client` and `client_pid`, `connection`, `time_left` in
        seconds (`None` without a deadline), `cancelled`, `idempotent`, `metadata`, `traceparent`; its
        `set_metadata(dict)` sends metadata back with the answer.

    Raises:
        RuntimeError: No handler runs here.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("current-doc")
        >>> @endpoint.register
        ... def search(depth: int) -> int:
        ...     call = current_call()
        ...     while not call.cancelled and (call.time_left or 1.0) > 0.001:
        ...         depth += 1
        ...     return depth
    """
    call = running_call()
    if call is None and _binding.current_calls() is not None:
        raise RuntimeError("a batch handler runs for many calls: current_calls() lists them")
    if call is None:
        raise RuntimeError(
            "no call runs here: current_call() works in a handler that a client has called, and in what it awaits"
        )
    return call


def current_calls() -> list[CurrentCall]:
    """The calls that the calling batch handler runs for, in the order of its list.

    Returns:
        As from `current_call`, one for each.

    Raises:
        RuntimeError: No batch handler runs here.
    """
    calls = _binding.current_calls()
    if calls is None:
        raise RuntimeError("no batch runs here: current_calls() works in a handler that has batch=Batch(...)")
    return calls


def running_call() -> CurrentCall | None:
    """The call that the calling handler runs for; `None` if no handler runs here."""
    return _binding.current_call() or loops.current_task_call()
