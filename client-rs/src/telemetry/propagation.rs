//! OpenTelemetry: the caller's trace goes with the call, and the time that calls take is measured, by the names of its
//! [conventions for RPC](https://opentelemetry.io/docs/specs/semconv/rpc/).

use std::sync::OnceLock;

use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue, global};
use pycrust_protocol::Code;
use pycrust_protocol::header::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Beginning;

/// `rpc.system.name` of every call.
pub(super) const SYSTEM: &str = "pycrust";

/// Bounds of the histogram's buckets in seconds: those of the conventions, and below them where calls over shared memory are.
const BOUNDS: [f64; 18] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Gives a call that has no trace that of its own span, or where no layer of `tracing-opentelemetry` has made that a part
/// of a trace, that of OpenTelemetry's current context.
pub(super) fn propagate(span: &Span, trace: &mut TraceContext) {
    if *trace != TraceContext::default() {
        return;
    }
    let own = if span.is_disabled() { Context::new() } else { span.context() };
    let found = context(own.span().span_context());
    *trace = found.or_else(|| context(Context::current().span().span_context())).unwrap_or_default();
}

fn context(span: &SpanContext) -> Option<TraceContext> {
    span.is_valid().then(|| TraceContext {
        trace_id: span.trace_id().to_bytes(),
        span_id: span.span_id().to_bytes(),
        flags: span.trace_flags().to_u8(),
    })
}

/// The histogram `rpc.client.call.duration` of the global meter, as it is when the client's first call is made.
#[derive(Default)]
pub(super) struct Duration(OnceLock<Histogram<f64>>);

impl Duration {
    /// Begins to measure a call.
    pub(super) fn begun(&self, call: &Beginning<'_>) -> Timed {
        let histogram = self.0.get_or_init(|| {
            global::meter(env!("CARGO_PKG_NAME"))
                .f64_histogram("rpc.client.call.duration")
                .with_unit("s")
                .with_description("Duration of outgoing calls.")
                .with_boundaries(BOUNDS.to_vec())
                .build()
        });
        Timed {
            histogram: histogram.clone(),
            started_ns: call.started_ns,
            method: format!("{}/{}", call.endpoint, call.method),
        }
    }
}

/// A call that is measured.
pub(super) struct Timed {
    histogram: Histogram<f64>,
    started_ns: u64,
    method: String,
}

impl Timed {
    /// It has ended, at this time of `CLOCK_MONOTONIC`.
    pub(super) fn ended(&mut self, code: Code, now_ns: u64) {
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", SYSTEM),
            KeyValue::new("rpc.method", std::mem::take(&mut self.method)),
            KeyValue::new("rpc.response.status_code", code.name()),
        ];
        if code != Code::Ok {
            attributes.push(KeyValue::new("error.type", code.name()));
        }
        let took = std::time::Duration::from_nanos(now_ns.saturating_sub(self.started_ns));
        self.histogram.record(took.as_secs_f64(), &attributes);
    }
}
