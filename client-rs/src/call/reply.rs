//! An answer with what is known about it.

use std::time::Duration;

use crate::call::attempt::Finished;
use crate::call::metadata::{self, Metadata};

/// The answer to a [`Request`](crate::Request).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<R> {
    value: R,
    version: u32,
    schema_hash: u64,
    timing: Timing,
    metadata: Metadata,
}

/// Where the time of a call went. What no stage has is the client's own: encoding and sending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From before encoding the arguments to the answer's reaching the caller.
    pub round_trip: Duration,
    /// On the way to the worker.
    pub transit: Duration,
    /// In the worker's queue.
    pub queue: Duration,
    /// Waiting for the Python interpreter.
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
    pub(crate) fn of(finished: &Finished) -> Self {
        let Finished { header, started_ns, received_ns, .. } = finished;
        let since = |ns: u64| Duration::from_nanos(received_ns.saturating_sub(ns));
        let stages = &header.stages;
        Self {
            round_trip: since(*started_ns),
            transit: Duration::from_nanos(stages.transit_ns),
            queue: Duration::from_nanos(stages.queue_ns),
            interpreter: Duration::from_nanos(stages.interpreter_ns),
            decode: Duration::from_nanos(stages.decode_ns),
            handler: Duration::from_nanos(stages.handler_ns),
            encode: Duration::from_nanos(stages.encode_ns),
            back: since(header.common.sent_ns),
        }
    }
}

impl<R> Reply<R> {
    pub(crate) fn new(value: R, finished: &Finished) -> Self {
        Self {
            value,
            version: finished.header.version,
            schema_hash: finished.header.schema_hash,
            timing: Timing::of(finished),
            metadata: metadata::decoded(&finished.metadata),
        }
    }

    /// What the handler returned.
    pub fn value(&self) -> &R {
        &self.value
    }

    /// What the handler returned, by value.
    pub fn into_value(self) -> R {
        self.value
    }

    /// The handler version that answered, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The hash of the method's schema, to pin with [`Request::schema`](crate::Request::schema).
    pub fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// What the handler sent beside its result.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the time went.
    pub fn timing(&self) -> Timing {
        self.timing
    }
}
