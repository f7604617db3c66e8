//! What is told of calls and connections to whoever listens: spans and events of `tracing`, OpenTelemetry's context and
//! metrics, the `metrics` facade. Without those features nothing is told, and nothing is kept for it.

#[cfg(feature = "metrics")]
mod counts;
#[cfg(feature = "opentelemetry")]
mod propagation;
#[cfg(feature = "tracing")]
mod spans;

use std::fmt;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::TraceContext;
#[cfg(any(feature = "tracing", feature = "metrics"))]
use pycrust_protocol::name::RESERVED_PREFIX;
#[cfg(any(feature = "opentelemetry", feature = "metrics"))]
use pycrust_transport::monotonic_ns;

use crate::error::Error;

/// A call that is about to be made.
#[cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(dead_code, reason = "each feature tells a part of it")
)]
pub(crate) struct Beginning<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) method: &'a str,
    /// `CLOCK_MONOTONIC` when it began.
    pub(crate) started_ns: u64,
    /// When its time is over; `None` is never.
    pub(crate) expires_ns: Option<u64>,
}

/// What a client keeps for telling of its calls.
#[derive(Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "opentelemetry")]
    duration: propagation::Duration,
    #[cfg(feature = "metrics")]
    counts: counts::Counts,
}

impl Telemetry {
    /// Begins to tell of a call, and gives it the caller's trace unless it has one. Of the worker's own methods nothing is
    /// told: they are no handlers of the user's, and its statistics leave them out, too.
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    #[inline]
    pub(crate) fn observe(&self, call: &Beginning<'_>, trace: &mut TraceContext) -> Observed {
        // Of spans it is known here whether anybody listens; of a meter and a recorder it is not.
        let hears = cfg!(any(feature = "opentelemetry", feature = "metrics")) || spans_are_heard();
        if !hears || call.method.starts_with(RESERVED_PREFIX) {
            return Observed::default();
        }
        self.begun(call, trace)
    }

    // Apart, so that a call that nobody listens to has none of it in its way.
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    #[allow(clippy::unused_self, reason = "only instruments are kept")]
    #[cold]
    #[inline(never)]
    fn begun(&self, call: &Beginning<'_>, trace: &mut TraceContext) -> Observed {
        let _ = &trace;
        #[cfg(feature = "tracing")]
        let span = spans::begun(call);
        #[cfg(feature = "opentelemetry")]
        propagation::propagate(&span, trace);
        #[cfg(not(any(feature = "opentelemetry", feature = "metrics")))]
        if span.is_none() {
            return Observed::default();
        }
        Observed(Some(Box::new(Told {
            code: Code::Cancelled,
            version: 0,
            message: String::new(),
            #[cfg(feature = "tracing")]
            span,
            #[cfg(feature = "opentelemetry")]
            timed: self.duration.begun(call),
            #[cfg(feature = "metrics")]
            counted: self.counts.begun(call),
        })))
    }

    /// Tells nothing.
    #[cfg(not(any(feature = "tracing", feature = "metrics")))]
    #[allow(clippy::unused_self, reason = "nothing is told without these features")]
    pub(crate) fn observe(&self, _call: &Beginning<'_>, _trace: &mut TraceContext) -> Observed {
        Observed::default()
    }
}

/// Whether anybody may listen to the spans of calls.
#[cfg(any(feature = "tracing", feature = "metrics"))]
#[inline]
fn spans_are_heard() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::level_filters::LevelFilter::current() >= tracing::level_filters::LevelFilter::INFO;
    #[cfg(not(feature = "tracing"))]
    false
}

/// Tells of one call, until it is dropped: a call whose future is dropped ends in `CANCELLED`.
#[derive(Default)]
pub(crate) struct Observed(#[cfg(any(feature = "tracing", feature = "metrics"))] Option<Box<Told>>);

/// A call that somebody may listen to, and how it ends.
#[cfg(any(feature = "tracing", feature = "metrics"))]
struct Told {
    code: Code,
    /// The handler version that answered; 0 if none did.
    version: u32,
    /// What the failure says.
    message: String,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    #[cfg(feature = "opentelemetry")]
    timed: propagation::Timed,
    #[cfg(feature = "metrics")]
    counted: counts::Counted,
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Observed {
    /// An answer came, with this status.
    pub(crate) fn answered(&mut self, code: Code, version: u32) {
        if let Some(told) = &mut self.0 {
            (told.code, told.version) = (code, version);
        }
    }

    /// The call ends in this failure.
    pub(crate) fn failed(&mut self, error: &Error) {
        if let Some(told) = &mut self.0 {
            told.code = error.code();
            error.message().clone_into(&mut told.message);
        }
    }

    /// The call is made again after a pause, since this happened: its next attempt has this number.
    pub(crate) fn again(&self, error: &Error, pause: Duration, attempt: u32) {
        let Some(told) = &self.0 else { return };
        #[cfg(feature = "tracing")]
        spans::again(&told.span, error, pause, attempt);
        #[cfg(feature = "metrics")]
        told.counted.again();
        let _ = (told, error, pause, attempt);
    }
}

#[cfg(not(any(feature = "tracing", feature = "metrics")))]
impl Observed {
    #[allow(clippy::unused_self, reason = "nothing is told without these features")]
    pub(crate) fn answered(&mut self, _code: Code, _version: u32) {}

    #[allow(clippy::unused_self, reason = "nothing is told without these features")]
    pub(crate) fn failed(&mut self, _error: &Error) {}

    #[allow(clippy::unused_self, reason = "nothing is told without these features")]
    pub(crate) fn again(&self, _error: &Error, _pause: Duration, _attempt: u32) {}
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Drop for Told {
    fn drop(&mut self) {
        #[cfg(feature = "tracing")]
        spans::ended(&self.span, self.code, self.version, &self.message);
        #[cfg(any(feature = "opentelemetry", feature = "metrics"))]
        let now_ns = monotonic_ns();
        #[cfg(feature = "opentelemetry")]
        self.timed.ended(self.code, now_ns);
        #[cfg(feature = "metrics")]
        self.counted.ended(self.code, now_ns);
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

/// Tells that there is a connection to an endpoint.
pub(crate) fn connected(endpoint: &str, pid: u32, generation: u64, connection: u64) {
    #[cfg(feature = "tracing")]
    spans::connected(endpoint, pid, generation, connection);
    #[cfg(feature = "metrics")]
    counts::connected(endpoint);
    let _ = (endpoint, pid, generation, connection);
}

/// Tells of a step towards a connection to an endpoint, or away from it, which its user has made or knows of.
pub(crate) fn step(endpoint: &str, what: &'static str, reason: &str) {
    #[cfg(feature = "tracing")]
    spans::step(endpoint, what, reason);
    let _ = (endpoint, what, reason);
}

/// Tells that a connection to an endpoint ended by itself.
pub(crate) fn lost(endpoint: &str, reason: &str) {
    #[cfg(feature = "tracing")]
    spans::lost(endpoint, reason);
    #[cfg(feature = "metrics")]
    counts::lost(endpoint);
    let _ = (endpoint, reason);
}
