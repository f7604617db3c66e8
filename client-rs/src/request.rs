//! A call with options of its own.

use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::TraceContext;
use pycrust_transport::monotonic_ns;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::buffers;
use crate::builder::Encoding;
use crate::call::Outgoing;
use crate::client::RpcClient;
use crate::error::Error;
use crate::reply::{Reply, Timing};

/// A call with options of its own; [`RpcClient::request`] makes one.
#[derive(Debug, Clone)]
#[must_use = "nothing is called before `send`"]
pub struct Request<'a> {
    client: &'a RpcClient,
    method: &'a str,
    timeout: Duration,
    idempotent: bool,
    schema_pin: u64,
    trace: TraceContext,
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a RpcClient, method: &'a str, timeout: Duration) -> Self {
        Self { client, method, timeout, idempotent: false, schema_pin: 0, trace: TraceContext::default() }
    }

    /// The call's time, which travels with it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that running the call twice does no harm: it is sent again, within its time, if its worker went
    /// away and another one serves the endpoint.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// The schema hash that the caller was built against: another one at the worker is FAILED_PRECONDITION.
    pub fn schema_pin(mut self, hash: u64) -> Self {
        self.schema_pin = hash;
        self
    }

    /// The W3C trace context that the call belongs to.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace;
        self
    }

    /// Calls and waits for the answer. Dropping the future cancels the call.
    ///
    /// # Errors
    /// What the worker answered; DEADLINE_EXCEEDED when the time is over; UNAVAILABLE if there is no worker or
    /// it went away; INVALID_ARGUMENT if the arguments can't be encoded, INTERNAL if the result can't be
    /// decoded.
    pub async fn send<A, R>(self, args: &A) -> Result<Reply<R>, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let started_ns = monotonic_ns();
        let mut payload = buffers::take();
        encode(self.client.encoding(), args, &mut payload).map_err(|error| {
            let reason = format!("the arguments ({}) can't be encoded: {error}", std::any::type_name::<A>());
            Error::new(Code::InvalidArgument, self.method, reason)
        })?;
        let timeout_ns = u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX);
        let mut outgoing = Outgoing {
            method: self.method,
            payload,
            started_ns,
            timeout: self.timeout,
            expires_ns: started_ns.checked_add(timeout_ns),
            idempotent: self.idempotent,
            schema_pin: self.schema_pin,
            trace: self.trace,
            when_full: self.client.when_full(),
        };
        let outcome = self.client.run(&mut outgoing).await;
        buffers::give(outgoing.payload);
        let finished = outcome?;
        if finished.status != Code::Ok {
            return Err(Error::answered(finished.status, self.method, &finished.payload));
        }
        let timing = Timing::new(started_ns, &finished);
        let value = rmp_serde::from_slice(&finished.payload).map_err(|error| {
            let reason = format!("the result is no {}: {error}", std::any::type_name::<R>());
            Error::new(Code::Internal, self.method, reason).maybe_run()
        })?;
        buffers::give(finished.payload);
        Ok(Reply::new(value, finished.header.version, timing))
    }
}

fn encode<A: Serialize + ?Sized>(
    encoding: Encoding,
    args: &A,
    out: &mut Vec<u8>,
) -> Result<(), rmp_serde::encode::Error> {
    match encoding {
        Encoding::Array => rmp_serde::encode::write(out, args),
        Encoding::Map => rmp_serde::encode::write_named(out, args),
    }
}
