//! A call that got its answer, and what the answer says.

use std::time::Duration;

use pycrust_protocol::header::ResponseHeader;
use pycrust_protocol::{Code, ErrorPayload};
use serde::de::DeserializeOwned;

use crate::call::reply::Reply;
use crate::codec;
use crate::connection::in_flight::Body;
use crate::error::Error;
use crate::metadata;
use crate::telemetry::Observed;
use crate::tensor::carried;
use crate::timing::Timing;

/// A call that got its answer, an error status included.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) header: ResponseHeader,
    pub(crate) status: Code,
    pub(crate) body: Body,
    /// MessagePack; empty if there is none.
    pub(crate) metadata: Vec<u8>,
    /// `CLOCK_MONOTONIC` before the arguments were encoded.
    pub(crate) started_ns: u64,
    /// `CLOCK_MONOTONIC` when the answer reached the caller.
    pub(crate) received_ns: u64,
    /// Tells of the call until this is dropped.
    pub(crate) observed: Observed,
}

impl Finished {
    /// The same, which tells from now on how the call ends.
    pub(crate) fn observed(mut self, observed: Observed) -> Self {
        self.observed = observed;
        self.observed.answered(self.status, self.header.version);
        self
    }

    /// The failure that the worker answered, which the call ends in.
    pub(crate) fn fail(&mut self, method: &str) -> Error {
        let failure = self.failure(method);
        self.observed.failed(&failure);
        failure
    }

    /// A failure of this side to take the answer, which the call ends in.
    pub(crate) fn misread(&mut self, failure: Error) -> Error {
        let failure = self.beside(failure);
        self.observed.failed(&failure);
        failure
    }

    /// Where its time went.
    pub(crate) fn timing(&self) -> Timing {
        let Finished { header, started_ns, received_ns, .. } = self;
        let since = |ns: u64| Duration::from_nanos(received_ns.saturating_sub(ns));
        let stages = &header.stages;
        Timing {
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

    /// The failure that the worker answered.
    pub(crate) fn failure(&self, method: &str) -> Error {
        let payload = ErrorPayload::decode(&self.body.payload);
        self.beside(Error::from_parts(self.status, method, payload))
    }

    /// A failure of this call, with what its answer said beside it.
    pub(crate) fn beside(&self, failure: Error) -> Error {
        failure.with(self.header.version, self.timing(), metadata::decoded(&self.metadata))
    }
}

/// Reads a result.
pub(crate) fn decode<R: DeserializeOwned>(method: &str, body: &Body) -> Result<R, Error> {
    let payload = &body.payload;
    carried::giving(&body.attachments, || codec::read(payload)).map_err(|error| {
        let name = std::any::type_name::<R>();
        let reason = format!("the result is no {name}: {error}");
        let error = ErrorPayload { may_have_run: true, ..ErrorPayload::message(reason) };
        Error::from_parts(Code::Internal, method, error)
    })
}

/// Reads a result with what is known about it.
pub(crate) fn reply<R: DeserializeOwned>(method: &str, mut finished: Finished) -> Result<Reply<R>, Error> {
    if finished.status != Code::Ok {
        return Err(finished.fail(method));
    }
    let value = decode(method, &finished.body).map_err(|error| finished.misread(error))?;
    Ok(Reply::new(value, &finished))
}
