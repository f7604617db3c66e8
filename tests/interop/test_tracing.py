"""Traces through both languages, as a collector gets them that listens here, from the exporters of both SDKs."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

TELEMETRY = """
import sys
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import pycrust.telemetry
from pycrust import Batch, Code, RpcClient, RpcEndpoint, RpcError, current_call

resource = Resource.create({{"service.name": {name!r}}})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("{url}/v1/traces")))
trace.set_tracer_provider(tracers)
reader = PeriodicExportingMetricReader(OTLPMetricExporter("{url}/v1/metrics"))
metrics.set_meter_provider(MeterProvider([reader], resource=resource))
pycrust.telemetry.instrument()
"""

BACK = """
endpoint = RpcEndpoint("back")

@endpoint.register
async def add(a: int, b: int) -> int:
    with trace.get_tracer("mine").start_as_current_span("adding"):
        return a + b

@endpoint.register
def count(to: int):
    yield from range(to)

endpoint.serve()
"""

FRONT = """
back = RpcClient("back")
endpoint = RpcEndpoint("front")

@endpoint.register
def total(a: int, b: int) -> int:
    return back.call("add", a, b)

@endpoint.register
async def total_later(a: int, b: int) -> int:
    return await back.acall("add", a, b)

@endpoint.register
def counted(to: int) -> int:
    return sum(back.stream("count", to))

@endpoint.register
def fails() -> None:
    raise ValueError("no such luck")

@endpoint.register
async def fails_later() -> None:
    raise ValueError("no such luck")

@endpoint.register
def refuses() -> None:
    raise RpcError(Code.NOT_FOUND, "no arm 3")

@endpoint.register(batch=Batch())
def twice(numbers: list[int]) -> list[int]:
    return [2 * number for number in numbers]

@endpoint.register
def where() -> str:
    return f"{trace.get_current_span().get_span_context().span_id:016x} {current_call().traceparent}"

endpoint.serve()
"""


class Collector:
    """Takes OTLP over HTTP, as a collector does, and keeps it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.metrics: list[tuple[str, Any]] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        with self._lock:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = attributes(resource.resource)["service.name"]
                    self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
            else:
                assert path == "/v1/metrics"
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    service = attributes(resource.resource)["service.name"]
                    self.metrics += [(service, one) for scope in resource.scope_metrics for one in scope.metrics]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, an event, a resource or a point."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def events(span: Span) -> list[str]:
    return [event.name for event in span.events]


class Traced:
    """Two workers and what the collector gets once all have ended."""

    def __init__(self, worker, rust, collector: Collector) -> None:
        self.collector = collector
        self._rust = rust
        self._workers = [
            worker(TELEMETRY.format(name=name, url=collector.url) + source)
            for name, source in (("back", BACK), ("front", FRONT))
        ]

    def call(self, method: str, *arguments: object) -> str:
        program = self._rust(
            "traced", "--collector", self.collector.url, "--endpoint", "front", "--method", method,
            "--args", json.dumps(arguments),
        )  # fmt: skip
        return program.finish().strip()

    def end(self) -> None:
        """Ends the workers in good order, so that they export what they have."""
        for program in self._workers:
            _, err = program.process.communicate(timeout=PATIENCE)
            assert program.process.returncode == 0, err

    def spans(self) -> dict[tuple[str, str, int], Span]:
        """The spans by service, name and kind; each is there once."""
        counts = Counter((service, span.name, span.kind) for service, span in self.collector.spans)
        assert set(counts.values()) <= {1}, counts
        return {(service, span.name, span.kind): span for service, span in self.collector.spans}


@pytest.fixture
def traced(worker, rust, collector) -> Traced:
    return Traced(worker, rust, collector)


def rpc(method: str, code: str = "OK") -> dict[str, str]:
    """The attributes of a span of a call."""
    return {"rpc.system.name": "pycrust", "rpc.method": method, "rpc.response.status_code": code}


@pytest.mark.parametrize(
    ("method", "arguments", "result", "inner"),
    [("total", (1, 2), "3", "add"), ("total_later", (1, 2), "3", "add"), ("counted", (4,), "6", "count")],
)
def test_one_trace_leads_from_rust_through_both_handlers(traced, method, arguments, result, inner):
    assert traced.call(method, *arguments) == result
    traced.end()
    spans = traced.spans()
    outer, inner = f"front/{method}", f"back/{inner}"
    # From the outermost to the innermost: who tells, what, as what.
    way = [
        ("traced", "work", Span.SPAN_KIND_INTERNAL),
        ("traced", outer, Span.SPAN_KIND_CLIENT),
        ("front", outer, Span.SPAN_KIND_SERVER),
        ("front", inner, Span.SPAN_KIND_CLIENT),
        ("back", inner, Span.SPAN_KIND_SERVER),
    ]
    if inner == "back/add":
        way.append(("back", "adding", Span.SPAN_KIND_INTERNAL))
    assert set(spans) == set(way)
    around = None
    for key in way:
        span = spans[key]
        if around is None:
            assert span.parent_span_id == b""
        else:
            assert (span.trace_id, span.parent_span_id) == (around.trace_id, around.span_id), key
        around = span
        assert span.status.code == Status.STATUS_CODE_UNSET, key
        if key[1] in {outer, inner}:
            found = attributes(span)
            assert {**found, **rpc(key[1])} == found, "the attributes by their conventional names"
            assert "error.type" not in found
        if key[2] == Span.SPAN_KIND_SERVER:
            assert found["pycrust.version"] == 1
            assert events(span) == [
                f"pycrust.{stage}" for stage in ("queue", "interpreter", "decode", "handler", "encode")
            ]
            times = [event.time_unix_nano for event in span.events]
            assert times == sorted(times)
            assert times[0] == span.start_time_unix_nano
            took = [attributes(event)["pycrust.duration_ns"] for event in span.events]
            assert [after - before for before, after in pairwise(times)] == took[:-1]
    rust = attributes(spans["traced", outer, Span.SPAN_KIND_CLIENT])
    assert (rust["endpoint"], rust["method"], rust["version"], rust["code"]) == ("front", method, 1, "OK")


def test_failures_are_of_the_side_whose_fault_they_are(traced):
    for method in ("fails", "fails_later"):
        assert traced.call(method) == f"UNKNOWN: {method}: ValueError: no such luck"
    assert traced.call("refuses") == "NOT_FOUND: refuses: no arm 3"
    assert "a: Input should be a valid integer" in traced.call("total", "x", 1)
    traced.end()
    # Each call has a "work" of its own.
    all_spans = traced.collector.spans
    spans = {(service, span.name, span.kind): span for service, span in all_spans if span.name != "work"}
    assert len(spans) == 8
    ends = (
        ("fails", "UNKNOWN"),
        ("fails_later", "UNKNOWN"),
        ("refuses", "NOT_FOUND"),
        ("total", "INVALID_ARGUMENT"),
    )
    for method, code in ends:
        name = f"front/{method}"
        made, ran = spans["traced", name, Span.SPAN_KIND_CLIENT], spans["front", name, Span.SPAN_KIND_SERVER]
        assert (ran.trace_id, ran.parent_span_id) == (made.trace_id, made.span_id)
        for span in (made, ran):
            assert {**attributes(span), **rpc(name, code)} == attributes(span)
        # The caller's call has failed in any case.
        assert made.status.code == Status.STATUS_CODE_ERROR
        assert attributes(made)["error.type"] == code
        fault = code == "UNKNOWN"
        assert ran.status.code == (Status.STATUS_CODE_ERROR if fault else Status.STATUS_CODE_UNSET)
        assert attributes(ran).get("error.type") == (code if fault else None)
        (raised,) = [event for event in ran.events if event.name == "exception"]
        assert attributes(raised)["exception.type"] in {
            "UNKNOWN": "ValueError", "NOT_FOUND": "pycrust.errors.NotFound pycrust.errors.RpcError",
            "INVALID_ARGUMENT": "pydantic_core._pydantic_core.ValidationError",
        }[code]  # fmt: skip


def test_calls_of_a_batch_have_spans_of_their_own(traced):
    assert traced.call("twice", 21) == "42"
    traced.end()
    spans = traced.spans()
    made, ran = (
        spans["traced", "front/twice", Span.SPAN_KIND_CLIENT],
        spans["front", "front/twice", Span.SPAN_KIND_SERVER],
    )
    assert (ran.trace_id, ran.parent_span_id) == (made.trace_id, made.span_id)


def test_the_span_of_a_call_is_current_in_its_handler(traced):
    span, trace = json.loads(traced.call("where")).split()
    traced.end()
    spans = traced.spans()
    made, ran = (
        spans["traced", "front/where", Span.SPAN_KIND_CLIENT],
        spans["front", "front/where", Span.SPAN_KIND_SERVER],
    )
    assert span == ran.span_id.hex()
    assert trace == f"00-{made.trace_id.hex()}-{made.span_id.hex()}-01"


def test_durations_are_measured_on_both_sides(traced):
    traced.call("total", 1, 2)
    traced.call("fails")
    traced.end()
    found: dict[tuple[str, str, str, str], int] = Counter()
    for service, metric in traced.collector.metrics:
        if not metric.name.startswith("rpc."):
            continue
        assert metric.unit == "s"
        for point in metric.histogram.data_points:
            told = attributes(point)
            assert told["rpc.system.name"] == "pycrust"
            assert point.explicit_bounds[0] == pytest.approx(10e-6), "calls over shared memory take microseconds"
            key = (service, metric.name, told["rpc.method"], told.get("error.type", ""))
            found[key] = max(found[key], point.count)
    client, server = "rpc.client.call.duration", "rpc.server.call.duration"
    assert found == {
        ("traced", client, "front/total", ""): 1,
        ("traced", client, "front/fails", "UNKNOWN"): 1,
        ("front", server, "front/total", ""): 1,
        ("front", server, "front/fails", "UNKNOWN"): 1,
        ("front", client, "back/add", ""): 1,
        ("back", server, "back/add", ""): 1,
    }
