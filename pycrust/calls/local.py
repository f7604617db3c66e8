"""A call that no client has sent: of a handler that this process calls itself."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from pycrust import _extension
from pycrust._extension import decode, encode_metadata
from pycrust.calls.contexts import context_here
from pycrust.calls.tasks import current_task_call

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextvars import Context

    from pycrust._extension import CurrentCall
    from pycrust.traffic.recorded import RecordedCall

    Metadata = Mapping[str, str | bytes]

#: The innermost call of this process that the code belongs to.
_innermost: ContextVar[LocalCall | None] = ContextVar("pycrust_local", default=None)
_numbers = itertools.count(1)


class LocalCall:
    """What `current_call()` gives in a handler that runs by `endpoint[...]()`, a warm-up, a replay and the like.

    It has what the call of a client has. Where a handler calls another one, what is not given is the outer call's:
    its deadline, whether it was cancelled, its trace context.

    Attributes:
        id: A number of its own.
        method: The method's name.
        version: The version that runs; 0 of one that was never published.
        client: `"local"`, or in a replay who had called.
        client_pid: This process, or in a replay the caller's.
        connection: 0, or in a replay the caller's.
        idempotent: Whether the caller said that running it twice does no harm.
        metadata: The caller's metadata.
        looked_at_metadata: Whether the handler has asked for it.
        answer_metadata: What the handler has sent back with `set_metadata`.
    """

    def __init__(  # noqa: PLR0913 - all but the method are keywords with defaults
        self,
        method: str = "",
        version: int = 0,
        *,
        client: str = "local",
        client_pid: int | None = None,
        metadata: Metadata | None = None,
        time_left: float | None = None,
        cancelled: bool = False,
        idempotent: bool = False,
        traceparent: str | None = None,
        batch: bool | None = False,
    ) -> None:
        """Made where a handler is called; `pycrust.testing.calling` makes one for a test."""
        self.id = next(_numbers)
        self.method = method
        self.version = version
        self.client = client
        self.client_pid = os.getpid() if client_pid is None else client_pid
        self.connection = 0
        self.idempotent = idempotent
        self._metadata = _checked(metadata or {})
        self.looked_at_metadata = False
        self.answer_metadata: dict[str, str | bytes] = {}
        #: Whether its handler takes the arguments of many calls; `None` if that is not known.
        self.batch = batch
        #: Whether handlers that are called inside of it run for its caller, too.
        self.stands_for_client = False
        self._begun = time.monotonic()
        self._ends = None if time_left is None else self._begun + time_left
        self._cancelled = cancelled
        self._traceparent = traceparent
        self._around = enclosing()

    @classmethod
    def of(cls, method: str, version: int, *, batch: bool) -> LocalCall:
        """A call of a handler by the code that runs here; in a test that says who calls, by that caller."""
        around = _innermost.get()
        if around is None or not around.stands_for_client:
            return cls(method, version, batch=batch)
        call = cls(
            method,
            version,
            client=around.client,
            client_pid=around.client_pid,
            metadata=around.metadata,
            idempotent=around.idempotent,
            batch=batch,
        )
        call.answer_metadata = around.answer_metadata
        return call

    @classmethod
    def again(cls, recorded: RecordedCall, version: int, *, batch: bool) -> LocalCall:
        """A recorded call, made again: by the same caller, with its metadata and with as much time as it had."""
        raw = recorded.source.request_metadata
        metadata: Any = decode(raw) if raw else None
        # What a redaction's hook has put into a file is not always metadata.
        given = cast("dict[Any, Any]", metadata) if isinstance(metadata, dict) else {}
        call = cls(
            recorded.method,
            version,
            client=recorded.client,
            client_pid=recorded.client_pid,
            metadata={name: one for name, one in given.items() if isinstance(one, (str, bytes))},
            time_left=recorded.deadline,
            idempotent="idempotent" in recorded.kinds,
            batch=batch,
        )
        call.id, call.connection = recorded.source.id, recorded.source.connection
        return call

    @property
    def metadata(self) -> dict[str, str | bytes]:
        """The caller's metadata."""
        self.looked_at_metadata = True
        return self._metadata

    @property
    def time_left(self) -> float | None:
        """Seconds until the deadline, 0.0 once it has passed; `None` if there is none."""
        if self._ends is not None:
            return max(self._ends - time.monotonic(), 0.0)
        return self._around.time_left if self._around is not None else None

    @property
    def elapsed(self) -> float:
        """Seconds since the call was made."""
        return time.monotonic() - self._begun

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled or (self._around is not None and self._around.cancelled)

    @property
    def traceparent(self) -> str | None:
        """The trace context that it belongs to, as a W3C `traceparent`; `None` if it has none."""
        if self._traceparent is None and self._around is not None:
            return self._around.traceparent
        return self._traceparent

    def cancel(self) -> None:
        """Cancels it: its handler sees that in `cancelled`."""
        self._cancelled = True

    def set_metadata(self, metadata: Metadata) -> None:
        """Keeps metadata as that of the answer, in place of what was set before.

        Raises:
            TypeError: It is not a dict of `str` to `str` or `bytes`.
            ValueError: It has more bytes than may travel.
        """
        checked = _checked(metadata)
        self.answer_metadata.clear()
        self.answer_metadata.update(checked)

    def context(self) -> Context:
        """A context of its own for its handler to run in."""
        context = context_here()
        context.run(_innermost.set, self)
        return context

    @contextmanager
    def here(self) -> Generator[LocalCall]:
        """Makes the code inside run for it."""
        before = _innermost.set(self)
        try:
            yield self
        finally:
            _innermost.reset(before)

    def __repr__(self) -> str:
        """One line."""
        left = self.time_left
        time_left = "" if left is None else f", {left:.3f} s left"
        cancelled = ", cancelled" if self.cancelled else ""
        version = f" v{self.version}" if self.version else ""
        return f"<call of {self.method or 'no handler'}{version} by {self.client}{time_left}{cancelled}>"


def _checked(metadata: Metadata) -> dict[str, str | bytes]:
    return decode(encode_metadata(cast("dict[str, str | bytes]", metadata)))


def innermost() -> LocalCall | None:
    """The call of this process that the code belongs to, if that is the innermost one."""
    return _innermost.get()


def enclosing() -> CurrentCall | LocalCall | None:
    """The call that the code belongs to: one of this process, or a client's."""
    return _innermost.get() or _extension.current_call() or current_task_call()
