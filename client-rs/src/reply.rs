//! A call's answer and how long it took.

use std::time::Duration;

use pycrust_protocol::header::ResponseHeader;

use crate::call::Finished;

/// A call's answer.
#[derive(Debug, Clone)]
pub struct Reply<R> {
    value: R,
    version: u32,
    timing: Timing,
}

impl<R> Reply<R> {
    pub(crate) fn new(value: R, version: u32, timing: Timing) -> Self {
        Self { value, version, timing }
    }

    /// What the handler returned.
    pub fn value(&self) -> &R {
        &self.value
    }

    /// What the handler returned.
    pub fn into_value(self) -> R {
        self.value
    }

    /// The handler's version that made it, from 1; 0 for an answer of the worker itself.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Where the time went.
    pub fn timing(&self) -> Timing {
        self.timing
    }
}

/// Where a call's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From before the arguments were encoded to the answer's reaching this caller.
    pub round_trip: Duration,
    /// On the way to the worker.
    pub transit: Duration,
    /// In the worker's queue.
    pub queue: Duration,
    /// Waiting for the interpreter.
    pub interpreter: Duration,
    /// Decoding and validating the arguments.
    pub decode: Duration,
    /// In the handler.
    pub handler: Duration,
    /// Serialising and encoding the result.
    pub encode: Duration,
    /// On the way back.
    pub back: Duration,
}

impl Timing {
    pub(crate) fn new(started_ns: u64, finished: &Finished) -> Self {
        let ResponseHeader { common, stages, .. } = &finished.header;
        let took = |from_ns| Duration::from_nanos(finished.received_ns.saturating_sub(from_ns));
        Self {
            round_trip: took(started_ns),
            transit: Duration::from_nanos(stages.transit_ns),
            queue: Duration::from_nanos(stages.queue_ns),
            interpreter: Duration::from_nanos(stages.interpreter_ns),
            decode: Duration::from_nanos(stages.decode_ns),
            handler: Duration::from_nanos(stages.handler_ns),
            encode: Duration::from_nanos(stages.encode_ns),
            back: took(common.sent_ns),
        }
    }
}
