//! A call with options.

use std::time::{Duration, Instant};

use pycrust_protocol::header::TraceContext;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Call, RpcClient};
use crate::error::Error;
use crate::reply::Reply;

/// A call with options; see [`RpcClient::request`].
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # async fn ask(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
/// let reply = client
///     .request("price")
///     .timeout(Duration::from_millis(2))
///     .idempotent(true)
///     .send::<_, f64>(&("BUND", 2.5))
///     .await?;
/// println!("{} from version {} in {:?}", reply.value(), reply.version(), reply.timing().round_trip);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing before `send`"]
pub struct Request<'a> {
    client: &'a RpcClient,
    call: Call<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a RpcClient, method: &'a str) -> Self {
        Self { client, call: Call::new(method, client.default_timeout()) }
    }

    /// The time that the call has, from [`send`](Self::send) on. [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }

    /// The time at which the call's time is over.
    pub fn deadline(self, at: Instant) -> Self {
        self.timeout(at.saturating_duration_since(Instant::now()))
    }

    /// Whether running the call twice does no harm. If so, it is made again within its time when the worker
    /// goes away, or is not there yet.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.call.idempotent = idempotent;
        self
    }

    /// The schema that the caller was built against ([`Reply::schema_hash`]): a handler with another one
    /// refuses the call instead of misreading it.
    pub fn schema(mut self, hash: u64) -> Self {
        self.call.schema_pin = hash;
        self
    }

    /// The trace that the call belongs to.
    pub fn trace(mut self, context: TraceContext) -> Self {
        self.call.trace = context;
        self
    }

    /// Makes the call. The arguments are encoded before this returns.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub fn send<A, R>(self, args: &A) -> impl Future<Output = Result<Reply<R>, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.client.send(self.call, args)
    }
}
