"""The package's one door to the native extension: everything else imports it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from pycrust import _native
except ImportError as error:
    from pycrust._unbuilt import explained

    raise explained(error) from error
from pycrust._native import (
    PROTOCOL_VERSION,
    VERSION,
    AsyncCall,
    BaseContext,
    Buffer,
    ClientFeed,
    ClientStream,
    CurrentCall,
    Handler,
    Inbox,
    MetricsServer,
    Printed,
    Private,
    RealTimeProfile,
    Record,
    Room,
    Scrub,
    Shown,
    Step,
    at_end,
    be_punctual,
    call_lines,
    collector_forked,
    crossed,
    current_call,
    current_calls,
    decode,
    decode_kept,
    encode,
    encode_metadata,
    log_close,
    log_forked,
    log_levels,
    log_put,
    log_take,
    matches,
    metrics_text,
    printed,
    runtime_dirs,
    rust_module,
    schema_changes,
    shielded,
    stack_size,
    trace_calls,
    write_output,
    yield_to_others,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pycrust._native import Client, Worker

    #: A method's name, its handler (`None` removes it) and `concurrency`, `schema`, `schema_hash`, `doc`.
    Change = tuple[str, Handler | None, dict[str, Any]]

__all__ = [
    "PROTOCOL_VERSION",
    "VERSION",
    "AsyncCall",
    "BaseContext",
    "Buffer",
    "ClientFeed",
    "ClientStream",
    "CurrentCall",
    "Handler",
    "Inbox",
    "MetricsServer",
    "Printed",
    "Private",
    "RealTimeProfile",
    "Record",
    "Room",
    "Scrub",
    "Shown",
    "Step",
    "at_end",
    "be_punctual",
    "call_lines",
    "clean_up",
    "collector_forked",
    "crossed",
    "current_call",
    "current_calls",
    "decode",
    "decode_kept",
    "encode",
    "encode_metadata",
    "live_endpoints",
    "log_close",
    "log_forked",
    "log_levels",
    "log_put",
    "log_take",
    "make_client",
    "make_inbox",
    "make_worker",
    "matches",
    "metrics_text",
    "printed",
    "publish",
    "release_pending",
    "runtime_dirs",
    "rust_module",
    "schema_changes",
    "shielded",
    "stack_size",
    "stale_endpoints",
    "trace_calls",
    "write_output",
    "yield_to_others",
]


def make_worker(name: str, **options: Any) -> Worker:
    """Makes the native worker of an endpoint; it serves nothing before `start()`."""
    return _native.Worker(name, **options)


def make_client(name: str, client_name: str, timeout: float, wait: float, **options: bool) -> Client:
    """Connects to an endpoint; waits up to `wait` seconds for a worker. `timeout` is each call's usual one."""
    return _native.Client(name, client_name, timeout, wait, **options)


def make_inbox() -> Inbox:
    """Makes an inbox, which takes calls for an event loop once it is open."""
    return Inbox()


def publish(worker: Worker, changes: Sequence[Change]) -> list[int]:
    """Makes the changes live in one atomic step and gives their version numbers."""
    return worker.publish(changes)


def release_pending() -> None:
    """Lets go of Python objects that native threads have given up without the interpreter.

    Any call into the extension does: what was given up waits for the next one.
    """
    _native.current_call()


def live_endpoints() -> list[dict[str, Any]]:
    """Every endpoint that a live process of this user serves."""
    return _native.live_endpoints()


def stale_endpoints() -> list[dict[str, Any]]:
    """Every endpoint of this user whose worker died and which nobody has removed yet."""
    return _native.stale_endpoints()


def clean_up() -> None:
    """Removes what this process has in shared memory, before it ends without an exit."""
    _native.clean_up()
