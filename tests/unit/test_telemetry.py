"""What is recorded of calls in the worker and in `RpcClient`, as OpenTelemetry's own SDK keeps it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import pycrust.telemetry
from pycrust import Code, DeadlineExceeded, RpcClient, RpcError, current_call
from tests.conftest import wait_until

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Recorded:
    """Calls are recorded while there is this."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._kept))
        meters = MeterProvider([self._reader])
        pycrust.telemetry.instrument(tracer_provider=self.tracers, meter_provider=meters)

    def spans(self, method: str, kind: SpanKind) -> list[ReadableSpan]:
        spans = self._kept.get_finished_spans()
        return [span for span in spans if span.name.endswith(f"/{method}") and span.kind is kind]

    def pair(self, method: str) -> tuple[ReadableSpan, ReadableSpan]:
        """The caller's and the worker's span of a method's only call, once both have ended."""
        kinds = (SpanKind.CLIENT, SpanKind.SERVER)
        wait_until(lambda: all(self.spans(method, kind) for kind in kinds), f"the spans of {method}")
        (made,), (ran,) = (self.spans(method, kind) for kind in kinds)
        assert ran.parent is not None
        assert (ran.parent.trace_id, ran.parent.span_id) == (made.context.trace_id, made.context.span_id)
        return made, ran

    def counts(self, name: str) -> dict[str, int]:
        """How many calls a histogram has, by method."""
        data = self._reader.get_metrics_data()
        metrics = [one for of in data.resource_metrics for scope in of.scope_metrics for one in scope.metrics]
        (found,) = [one for one in metrics if one.name == name]
        return {point.attributes["rpc.method"].split("/")[1]: point.count for point in found.data.data_points}


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    yield Recorded()
    pycrust.telemetry.uninstrument()


@pytest.fixture
def client(endpoint) -> Iterator[RpcClient]:
    """A client of the test's endpoint, which serves meanwhile."""
    with endpoint, RpcClient(endpoint.name) as made:
        yield made


def codes(*spans: ReadableSpan) -> list[str]:
    return [span.attributes["rpc.response.status_code"] for span in spans]


def test_nothing_is_recorded_before_and_after(endpoint, client):
    endpoint.register("echo")(lambda value: value)
    kept = Recorded()
    client.call("echo", 1)
    pycrust.telemetry.uninstrument()
    client.call("echo", 2)
    assert [len(kept.spans("echo", kind)) for kind in (SpanKind.CLIENT, SpanKind.SERVER)] == [1, 1]
    # Again, with others.
    others = Recorded()
    client.call("echo", 3)
    pycrust.telemetry.uninstrument()
    assert len(kept.spans("echo", SpanKind.SERVER)) == len(others.spans("echo", SpanKind.SERVER)) == 1


def test_without_the_api_it_is_said_what_to_install():
    script = """
import sys
sys.modules["opentelemetry"] = None
import pycrust.telemetry
pycrust.telemetry.uninstrument()
try:
    pycrust.telemetry.instrument()
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'pycrust[opentelemetry]'" in ran.stdout


def test_what_the_caller_says_of_the_trace_comes_first(endpoint, client, recorded):
    endpoint.register("ask")(lambda: current_call().traceparent)
    assert client.request("ask", traceparent=TRACE).call() == TRACE
    (ran,) = recorded.spans("ask", SpanKind.SERVER)
    assert f"{ran.parent.trace_id:032x}-{ran.parent.span_id:016x}" in TRACE
    tracer = trace.get_tracer("tests", tracer_provider=recorded.tracers)
    with tracer.start_as_current_span("around") as around:
        told = client.call("ask")
    made = recorded.spans("ask", SpanKind.CLIENT)[-1]
    assert told.startswith(f"00-{made.context.trace_id:032x}-{made.context.span_id:016x}-")
    assert made.parent.span_id == around.get_span_context().span_id


def test_the_span_around_serving_is_no_caller_s(make_endpoint, recorded):
    tracer = trace.get_tracer("tests", tracer_provider=recorded.tracers)
    with tracer.start_as_current_span("the cell that serves"):
        served = make_endpoint()
        served.register("alone")(lambda: trace.get_current_span().get_span_context().span_id)
        served.serve()
    pycrust.telemetry.uninstrument()  # of the client, which then sends no trace
    client = pycrust.RpcClient(served.name)
    again = Recorded()
    pycrust.client.requests = pycrust.client.Request
    span = client.call("alone")
    client.close()
    pycrust.telemetry.uninstrument()
    (ran,) = again.spans("alone", SpanKind.SERVER)
    assert (ran.parent, ran.context.span_id) == (None, span)


def test_a_call_that_is_cancelled_ends_both_spans(endpoint, client, recorded):
    began = threading.Event()

    @endpoint.register
    async def waits() -> None:
        began.set()
        await asyncio.sleep(600)

    async def main() -> None:
        task = asyncio.create_task(client.acall("waits"))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    made, ran = recorded.pair("waits")
    assert codes(made, ran) == ["CANCELLED", "CANCELLED"]
    # The caller did not get what it called for; the worker did nothing wrong.
    assert (made.status.status_code, ran.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_a_stream_is_one_span_on_each_side(endpoint, client, recorded, kind):
    if kind == "generator":

        @endpoint.register
        def endless():
            number = 0
            while True:
                yield number
                number += 1

        @endpoint.register
        def three():
            yield from range(3)

    else:

        @endpoint.register
        async def endless():
            number = 0
            while True:
                yield number
                number += 1

        @endpoint.register
        async def three():
            for number in range(3):
                yield number

    assert list(client.stream("three")) == [0, 1, 2]
    assert codes(*recorded.pair("three")) == ["OK", "OK"]
    with client.stream("endless") as items:
        assert next(items) == 0
        assert not recorded.spans("endless", SpanKind.CLIENT)
    assert codes(*recorded.pair("endless")) == ["CANCELLED", "CANCELLED"]
    dropped = client.stream("endless")
    next(dropped)
    del dropped
    wait_until(lambda: len(recorded.spans("endless", SpanKind.CLIENT)) == 2, "the span of the dropped stream")


def test_every_way_to_call_is_recorded(endpoint, client, recorded):
    @endpoint.register
    def total(numbers: Iterator[int]) -> int:
        return sum(numbers)

    @endpoint.register
    def doubled(numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            yield 2 * number

    told = threading.Event()
    endpoint.register("tell")(told.set)
    client.request("tell").notify()
    told.wait()
    asyncio.run(client.acall("pycrust.health"))
    assert client.request("total").upload(iter([1, 2])) == 3
    assert list(client.request("doubled").exchange(iter([1, 2]))) == [2, 4]
    for method in ("tell", "total", "doubled"):
        assert codes(*recorded.pair(method)) == ["OK", "OK"], method
    # What the worker answers itself is no handler's.
    assert not recorded.spans("health", SpanKind.SERVER)
    assert recorded.counts("rpc.server.call.duration") == {"tell": 1, "total": 1, "doubled": 1}


def test_what_a_call_fails_with_is_in_both_spans(endpoint, client, recorded):
    @endpoint.register
    async def refuses() -> None:
        raise RpcError(Code.INTERNAL, "the arm is stuck")

    @endpoint.register
    def late() -> None:
        while not current_call().cancelled:
            pass

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("I can't say")

    @endpoint.register
    def says_nothing() -> None:
        raise Mute

    with pytest.raises(RpcError):
        client.call("says_nothing")
    assert codes(*recorded.pair("says_nothing")) == ["UNKNOWN", "UNKNOWN"]
    with pytest.raises(RpcError):
        client.call("refuses")
    made, ran = recorded.pair("refuses")
    for span in (made, ran):
        assert span.attributes["error.type"] == "INTERNAL"
        assert span.status.status_code is StatusCode.ERROR
    (raised,) = [event for event in ran.events if event.name == "exception"]
    assert raised.attributes["exception.message"] == "the arm is stuck"
    with pytest.raises(DeadlineExceeded):
        client.call("late", timeout=0.05)
    assert codes(recorded.pair("late")[0]) == ["DEADLINE_EXCEEDED"]


def test_telemetry_that_fails_harms_no_call(endpoint, client, monkeypatch):
    class Fails(TracerProvider):
        def get_tracer(self, *arguments, **options):
            tracer = super().get_tracer(*arguments, **options)
            monkeypatch.setattr(
                tracer,
                "start_span",
                lambda name, kind, **_: 1 / 0 if kind is SpanKind.SERVER else trace.INVALID_SPAN,
            )
            return tracer

    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))
    endpoint.register("echo")(lambda value: value)

    @endpoint.register
    async def echo_later(value: int) -> int:
        return value

    pycrust.telemetry.instrument(tracer_provider=Fails())
    try:
        assert [client.call(method, 7) for method in ("echo", "echo_later")] == [7, 7]
    finally:
        pycrust.telemetry.uninstrument()
    assert unraisable == [ZeroDivisionError] * 2
