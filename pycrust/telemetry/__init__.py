"""OpenTelemetry: spans of calls in the worker and in `RpcClient`, parts of the trace that their caller is in.

>>> import pycrust.telemetry
>>> pycrust.telemetry.instrument()  # doctest: +SKIP

Nothing of it is done before `instrument()`, and a call costs one look at a flag then. What is recorded goes where
the process's OpenTelemetry SDK sends it; `pip install 'pycrust[opentelemetry]'` brings the API, an SDK and its
exporters are the program's own choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["instrument", "uninstrument"]


def instrument(
    *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Records calls from now on, of every endpoint and every `RpcClient` of this process.

    A call that a handler runs for is a span of kind `SERVER`, a child of its caller's span, and the current one in
    the handler: what the handler records, and calls that it makes, belong to it. Its events are the stages of the
    call. Of a handler that takes many calls at once, each has a span, and none of them is current. Calls that no
    handler ran for (no room, no such method, cancelled or too late while they waited) have none.

    A call by an `RpcClient` is a span of kind `CLIENT`, until its answer or the end of its stream.

    Spans are named `endpoint/method` and have OpenTelemetry's attributes of RPC: `rpc.system.name` (`"pycrust"`),
    `rpc.method`, `rpc.response.status_code`, of failures `error.type` (the code); in the worker `pycrust.version`,
    the handler's. The histograms `rpc.server.call.duration` and `rpc.client.call.duration` are in seconds, by the
    same attributes.

    Called again, it takes other providers.

    Args:
        tracer_provider: What makes tracers; the global one by default.
        meter_provider: What makes meters; the global one by default.

    Raises:
        ImportError: OpenTelemetry's API is not installed.
    """
    try:
        from pycrust.telemetry import recording  # noqa: PLC0415 - its import is what may be missing
    except ImportError as error:
        reason = "pycrust.telemetry.instrument() needs OpenTelemetry's API: pip install 'pycrust[opentelemetry]'"
        raise ImportError(reason, name=error.name) from error
    recording.begin(tracer_provider, meter_provider)


def uninstrument() -> None:
    """Records no more calls; those under way end their spans."""
    import sys  # noqa: PLC0415 - as below

    recording = sys.modules.get("pycrust.telemetry.recording")
    if recording is not None:
        recording.end()
