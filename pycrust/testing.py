"""For tests of handlers: the call that they run for.

The fixtures `pycrust_endpoint` and `pycrust_serve`, which serve a test's endpoints, need no import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrust._extension import decode
from pycrust.calls.local import LocalCall

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

__all__ = ["LocalCall", "calling", "unpacked"]


def calling(  # noqa: PLR0913 - all of them are keywords with defaults
    *,
    metadata: Mapping[str, str | bytes] | None = None,
    time_left: float | None = None,
    cancelled: bool = False,
    client: str = "local",
    client_pid: int | None = None,
    idempotent: bool = False,
    traceparent: str | None = None,
    method: str = "",
    version: int = 0,
) -> AbstractContextManager[LocalCall]:
    """Makes `current_call()` work in a test that calls a handler's function itself, or awaits it.

    Handlers that are called inside of it by `endpoint[...](...)` run for the same caller.

    Args:
        metadata: What the handler finds in `current_call().metadata`.
        time_left: Seconds until the deadline; `None` is no deadline.
        cancelled: Whether the caller has cancelled. The call's `cancel()` does that later.
        client: What the caller calls itself.
        client_pid: Its process; by default this one.
        idempotent: Whether running the call twice does no harm.
        traceparent: The W3C trace context that it belongs to.
        method: The method's name.
        version: The version that runs.

    Returns:
        For `with`: gives the call. What the handler sends back is in its `answer_metadata`.

    Examples:
        >>> from pycrust import current_call
        >>> def whose() -> str:
        ...     call = current_call()
        ...     call.set_metadata({"seen": "yes"})
        ...     return "too late" if call.cancelled else f"{call.metadata['tenant']}, {call.time_left:.0f} s left"
        >>> with calling(metadata={"tenant": "blue"}, time_left=10.0) as call:
        ...     print(whose(), call.answer_metadata)
        ...     call.cancel()
        ...     print(whose())
        blue, 10 s left {'seen': 'yes'}
        too late
    """
    call = LocalCall(
        method,
        version,
        client=client,
        client_pid=client_pid,
        metadata=metadata,
        time_left=time_left,
        cancelled=cancelled,
        idempotent=idempotent,
        traceparent=traceparent,
        batch=None,
    )
    call.stands_for_client = True
    return call.here()


def unpacked(payload: bytes) -> Any:
    """A value of a recorded call that has no literal in Python, in a test that `as_test()` wrote.

    Args:
        payload: Its MessagePack.

    Returns:
        What a handler is given for it.

    Raises:
        ValueError: It is no MessagePack.

    Examples:
        >>> unpacked(bytes.fromhex("d6ff00000000"))
        datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return decode(payload)
