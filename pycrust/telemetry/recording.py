"""What is recorded of calls, by the names of OpenTelemetry's conventions for RPC."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import pycrust.client
from pycrust._extension import trace_calls
from pycrust.calls import failures
from pycrust.client import Request, Stream
from pycrust.errors import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from pycrust._extension import Client, CurrentCall

#: `rpc.system.name` of every call.
SYSTEM = "pycrust"
#: Who makes the spans.
SCOPE = "pycrust"
#: The stages of a call in the worker, in their order; each is an event of its span.
STAGES = ("queue", "interpreter", "decode", "handler", "encode")
#: Bounds of the histograms' buckets in seconds: those of the conventions, and below them, where calls over shared
#: memory are.
BOUNDS = (
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
#: Codes that are the worker's or its handler's fault and not the caller's: the conventions' choice for servers.
FAULTS = {
    Code.UNKNOWN,
    Code.DEADLINE_EXCEEDED,
    Code.UNIMPLEMENTED,
    Code.INTERNAL,
    Code.UNAVAILABLE,
    Code.DATA_LOSS,
}

_propagator = TraceContextTextMapPropagator()
#: The span of the call that the code around runs for, whatever spans the handler has made current.
_own: ContextVar[Span | None] = ContextVar("pycrust_span", default=None)


class Recorder:
    """Records calls with one pair of providers.

    Args:
        tracers: What makes tracers; the global one by default.
        meters: What makes meters; the global one by default.
    """

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        """Records nothing by itself."""
        self.tracer: Tracer = trace.get_tracer(SCOPE, tracer_provider=tracers)
        meter = metrics.get_meter(SCOPE, meter_provider=meters)

        def histogram(side: str, what: str) -> Histogram:
            return meter.create_histogram(
                f"rpc.{side}.call.duration",
                unit="s",
                description=f"Duration of {what} calls.",
                explicit_bucket_boundaries_advisory=BOUNDS,
            )

        self._served = histogram("server", "incoming")
        self.made = histogram("client", "outgoing")

    def begin(
        self,
        endpoint: str,
        call: CurrentCall,
        since_received_ns: int,
        current: bool,  # noqa: FBT001 - natively called
    ) -> tuple[Span, int, int, str]:
        """Begins the span of a call, in its context.

        Args:
            endpoint: The endpoint's name.
            call: The call.
            since_received_ns: How long ago it was received, in nanoseconds.
            current: Whether the span is to be the context's current one.

        Returns:
            What `end` takes.
        """
        received_ns = time.time_ns() - since_received_ns
        began_ns = time.perf_counter_ns() - since_received_ns
        # Not of the context that serving began in: a call without a trace begins one.
        around = otel.Context()
        if call.traceparent is not None:
            around = _propagator.extract({"traceparent": call.traceparent}, context=around)
        name = f"{endpoint}/{call.method}"
        attributes = {"rpc.system.name": SYSTEM, "rpc.method": name, "pycrust.version": call.version}
        span = self.tracer.start_span(
            name, context=around, kind=SpanKind.SERVER, attributes=attributes, start_time=received_ns
        )
        if current:
            # Never detached: the context is this call's, and ends with it.
            otel.attach(trace.set_span_in_context(span, around))
            _own.set(span)
        return span, received_ns, began_ns, name

    def end(self, begun: tuple[Span, int, int, str], code: int, stages: tuple[int, ...]) -> None:
        """Ends the span of a call, with its stages.

        Args:
            begun: What `begin` has given.
            code: How the call ends.
            stages: Nanoseconds that each of `STAGES` took.
        """
        span, received_ns, began_ns, name = begun
        status = Code(code)
        failed = status in FAULTS
        if span.is_recording():
            at_ns = received_ns
            for stage, took_ns in zip(STAGES, stages, strict=True):
                span.add_event(f"pycrust.{stage}", {"pycrust.duration_ns": took_ns}, timestamp=at_ns)
                at_ns += took_ns
        _ended(span, status, "", failed=failed)
        took = (time.perf_counter_ns() - began_ns) / 1e9
        self._served.record(took, _attributes(name, status, failed=failed))


def _attributes(name: str, status: Code, *, failed: bool) -> dict[str, str]:
    found = {"rpc.system.name": SYSTEM, "rpc.method": name, "rpc.response.status_code": status.name}
    if failed:
        found["error.type"] = status.name
    return found


def _ended(span: Span, status: Code, message: str, *, failed: bool) -> None:
    span.set_attribute("rpc.response.status_code", status.name)
    if failed:
        span.set_attribute("error.type", status.name)
        # An exception that was recorded has said more.
        span.set_status(Status(StatusCode.ERROR, message or status.name))
    span.end()


def _raised(error: BaseException) -> None:
    """Keeps with the span of its call what a handler has raised."""
    span = _own.get()
    if span is not None:
        span.record_exception(error)


class _Call:
    """One call by a client, until it ends."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._began = time.perf_counter()
        attributes = {"rpc.system.name": SYSTEM, "rpc.method": name}
        self.span = recorder.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        self._ended = False

    def traceparent(self) -> str | None:
        """The trace context that goes with it."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, context=trace.set_span_in_context(self.span))
        return carrier.get("traceparent")

    def end(self, error: BaseException | None = None) -> None:
        """It has ended: well, with an error, or, where that is not one of a call, in the caller's own way."""
        if self._ended:
            return
        self._ended = True
        status = Code.OK if error is None else error.code if isinstance(error, RpcError) else Code.CANCELLED
        failed, message = error is not None, str(error) if error is not None else ""
        _ended(self.span, status, message, failed=failed)
        took = time.perf_counter() - self._began
        self._recorder.made.record(took, _attributes(self._name, status, failed=failed))

    def __enter__(self) -> None:
        """Goes on."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Ends."""
        self.end(error)


class _Request(Request):
    """A call with options, whose making is recorded."""

    #: What records; there is one while calls are recorded.
    recorder: Recorder

    def __init__(self, endpoint: str, client: Client, method: str, options: dict[str, Any], *, given: bool) -> None:
        super().__init__(endpoint, client, method, options, given=given)
        self._endpoint = endpoint
        #: Whether the caller has said what trace it belongs to.
        self._given = given

    def _begun(self) -> tuple[_Call, Request]:
        """One making of the call, and what makes it: other threads may make others meanwhile."""
        call = _Call(self.recorder, f"{self._endpoint}/{self._method}")
        options = self._options
        if not self._given:
            options = {**options, "traceparent": call.traceparent() or options["traceparent"]}
        return call, Request(self._endpoint, self._client, self._method, options, given=True)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        call, request = self._begun()
        with call:
            return request.call(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        call, request = self._begun()
        with call:
            return await request.acall(*args, **kwargs)

    def notify(self, *args: Any, **kwargs: Any) -> None:
        call, request = self._begun()
        with call:
            request.notify(*args, **kwargs)

    def upload(self, arguments: Iterable[Any]) -> Any:
        call, request = self._begun()
        with call:
            return request.upload(arguments)

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        call, request = self._begun()
        return _streaming(call, lambda: request.stream(*args, **kwargs))

    def exchange(self, arguments: Iterable[Any]) -> Stream:
        call, request = self._begun()
        return _streaming(call, lambda: request.exchange(arguments))


def _streaming(call: _Call, make: Callable[[], Stream]) -> Stream:
    try:
        return _Stream(make(), call)
    except BaseException as error:
        call.end(error)
        raise


class _Stream(Stream):
    """The items of a streamed answer, whose end is recorded."""

    def __init__(self, items: Stream, call: _Call) -> None:
        super().__init__(items._stream)  # noqa: SLF001 - another of its own kind
        self._items = items
        self._call = call

    def _next(self) -> tuple[Any] | None:
        try:
            found = self._items._next()  # noqa: SLF001 - another of its own kind
        except BaseException as error:
            self._call.end(error)
            raise
        if found is None:
            self._call.end()
        return found

    def close(self) -> None:
        super().close()
        self._call.end(GeneratorExit("the caller closed the stream"))

    def __del__(self) -> None:
        self._call.end(GeneratorExit("the caller dropped the stream"))


def begin(tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
    """Records calls from now on: see `pycrust.telemetry.instrument`."""
    recorder = Recorder(tracers, meters)
    _Request.recorder = recorder
    failures.listeners[:] = [_raised]
    pycrust.client.requests = _Request
    trace_calls(recorder.begin, recorder.end)


def end() -> None:
    """Records no more calls."""
    trace_calls()
    pycrust.client.requests = Request
    failures.listeners.clear()
