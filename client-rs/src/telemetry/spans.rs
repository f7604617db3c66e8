//! Spans and events of `tracing`. What listens decides by target and level; nothing here is worked out for nobody.

use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::monotonic_ns;
use tracing::Span;
use tracing::field::{Empty, display};

use super::Beginning;
use crate::error::Error;

/// The span of a call, a child of the span that its caller is in.
pub(super) fn begun(call: &Beginning<'_>) -> Span {
    let &Beginning { endpoint, method, .. } = call;
    #[cfg(not(feature = "opentelemetry"))]
    let span = tracing::info_span!(
        target: "pycrust_client::call",
        "pycrust.call",
        endpoint,
        method,
        time_left_ms = time_left_ms(call),
        version = Empty,
        code = Empty,
        error.message = Empty,
    );
    #[cfg(feature = "opentelemetry")]
    let span = tracing::info_span!(
        target: "pycrust_client::call",
        "pycrust.call",
        endpoint,
        method,
        time_left_ms = time_left_ms(call),
        version = Empty,
        code = Empty,
        error.message = Empty,
        otel.kind = "client",
        otel.name = %format_args!("{endpoint}/{method}"),
        otel.status_code = Empty,
        otel.status_description = Empty,
        rpc.system.name = super::propagation::SYSTEM,
        rpc.method = %format_args!("{endpoint}/{method}"),
        rpc.response.status_code = Empty,
        error.type = Empty,
    );
    span
}

/// Milliseconds that the call has left; nothing if it has no limit.
fn time_left_ms(call: &Beginning<'_>) -> Option<f64> {
    let left = call.expires_ns?.saturating_sub(monotonic_ns());
    Some(Duration::from_nanos(left).as_secs_f64() * 1e3)
}

/// The call has ended; a version of 0 is none.
pub(super) fn ended(span: &Span, code: Code, version: u32, message: &str) {
    if span.is_disabled() {
        return;
    }
    span.record("code", display(code));
    if version != 0 {
        // Signed: OpenTelemetry has no other integers.
        span.record("version", i64::from(version));
    }
    if !message.is_empty() {
        span.record("error.message", message);
    }
    #[cfg(feature = "opentelemetry")]
    {
        span.record("rpc.response.status_code", display(code));
        if code != Code::Ok {
            span.record("error.type", display(code));
            span.record("otel.status_code", "error");
            span.record("otel.status_description", message);
        }
    }
}

/// The call is made again.
pub(super) fn again(span: &Span, error: &Error, pause: Duration, attempt: u32) {
    tracing::debug!(
        target: "pycrust_client::call",
        parent: span,
        attempt,
        pause_ms = pause.as_secs_f64() * 1e3,
        code = %error.code(),
        reason = error.message(),
        "the call is made again",
    );
}

/// There is a connection to an endpoint.
pub(super) fn connected(endpoint: &str, pid: u32, generation: u64, connection: u64) {
    tracing::info!(
        target: "pycrust_client::connection",
        parent: None,
        endpoint,
        pid,
        generation,
        connection,
        "connected",
    );
}

/// A step towards a connection, or away from it.
pub(super) fn step(endpoint: &str, what: &'static str, reason: &str) {
    tracing::debug!(target: "pycrust_client::connection", parent: None, endpoint, reason, "{what}");
}

/// A connection ended by itself.
pub(super) fn lost(endpoint: &str, reason: &str) {
    tracing::warn!(
        target: "pycrust_client::connection",
        parent: None,
        endpoint,
        reason,
        "the connection is lost",
    );
}
