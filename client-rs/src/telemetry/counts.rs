//! Counters and histograms of the `metrics` facade.

use std::array;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use pycrust_protocol::Code;
use pycrust_transport::sync::Mutex;

use super::Beginning;

/// Calls that have ended, by endpoint, method and code.
const CALLS: &str = "pycrust_client_calls_total";
/// Their time in seconds, by endpoint and method.
const DURATION: &str = "pycrust_client_call_duration_seconds";
/// Calls under way, by endpoint and method.
const IN_FLIGHT: &str = "pycrust_client_calls_in_flight";
/// Attempts beyond the first, by endpoint and method.
const RETRIES: &str = "pycrust_client_retries_total";
/// Connections that were made, by endpoint: all but a client's first are reconnections.
const CONNECTIONS: &str = "pycrust_client_connections_total";
/// Connections that ended by themselves, by endpoint.
const LOST: &str = "pycrust_client_connections_lost_total";

/// Methods that a client tells apart; those beyond are [`OTHER`].
const MAX_METHODS: usize = 256;

/// The name of all methods beyond [`MAX_METHODS`]: a program that makes up names does not fill its recorder.
const OTHER: &str = "_OTHER";

/// Codes there are, from 0 on.
const CODES: usize = 17;

/// What a client counts, by method.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<String, Arc<OfMethod>>>);

/// What is counted of one method's calls, at the recorder that there was at its first call.
struct OfMethod {
    endpoint: String,
    method: String,
    ended: [OnceLock<Counter>; CODES],
    duration: Histogram,
    in_flight: Gauge,
    retries: Counter,
}

impl OfMethod {
    fn new(endpoint: &str, method: &str) -> Self {
        let labels = [("endpoint", endpoint.to_owned()), ("method", method.to_owned())];
        Self {
            endpoint: endpoint.into(),
            method: method.into(),
            ended: array::from_fn(|_| OnceLock::new()),
            duration: metrics::histogram!(DURATION, &labels),
            in_flight: metrics::gauge!(IN_FLIGHT, &labels),
            retries: metrics::counter!(RETRIES, &labels),
        }
    }

    fn ended(&self, code: Code) -> &Counter {
        self.ended[usize::from(u8::from(code))].get_or_init(|| {
            let (endpoint, method) = (self.endpoint.clone(), self.method.clone());
            metrics::counter!(CALLS, "endpoint" => endpoint, "method" => method, "code" => code.name())
        })
    }
}

impl Counts {
    /// Begins to count a call.
    pub(super) fn begun(&self, call: &Beginning<'_>) -> Counted {
        let of = {
            let mut known = self.0.lock();
            match known.get(call.method) {
                Some(of) => Arc::clone(of),
                None => {
                    let method = if known.len() < MAX_METHODS { call.method } else { OTHER };
                    let new = || Arc::new(OfMethod::new(call.endpoint, method));
                    Arc::clone(known.entry(method.into()).or_insert_with(new))
                }
            }
        };
        of.in_flight.increment(1.0);
        Counted { of, started_ns: call.started_ns }
    }
}

/// A call that is counted.
pub(super) struct Counted {
    of: Arc<OfMethod>,
    started_ns: u64,
}

impl Counted {
    /// It is made again.
    pub(super) fn again(&self) {
        self.of.retries.increment(1);
    }

    /// It has ended, at this time of `CLOCK_MONOTONIC`.
    pub(super) fn ended(&self, code: Code, now_ns: u64) {
        self.of.in_flight.decrement(1.0);
        self.of.duration.record(Duration::from_nanos(now_ns.saturating_sub(self.started_ns)));
        self.of.ended(code).increment(1);
    }
}

/// There is a connection to an endpoint.
pub(super) fn connected(endpoint: &str) {
    metrics::counter!(CONNECTIONS, "endpoint" => endpoint.to_owned()).increment(1);
}

/// A connection ended by itself.
pub(super) fn lost(endpoint: &str) {
    metrics::counter!(LOST, "endpoint" => endpoint.to_owned()).increment(1);
}
