//! A call with options.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use pycrust_protocol::header::{TraceContext, flags};
use pycrust_transport::monotonic_ns;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Encoding;
#[cfg(feature = "binding")]
use crate::calls::Body;
use crate::client::{Call, Encoded, RpcClient, decode, reply, write};
use crate::error::Error;
use crate::metadata::MetadataValue;
use crate::reply::Reply;
use crate::stream::{Arguments, Streaming};

/// No arguments, as MessagePack: the stream has them.
const NOTHING: &[u8] = &[0xc0];

fn nothing() -> Encoded {
    Encoded { payload: NOTHING.to_vec(), attachments: Vec::new() }
}

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
        self.set(flags::IDEMPOTENT, idempotent);
        self
    }

    /// Whether a newer such call of this method takes the place of older ones that this client has waiting in
    /// the worker's queue; those end in `ABORTED`. For observations of which only the last one counts.
    pub fn latest(mut self, latest: bool) -> Self {
        self.set(flags::LATEST, latest);
        self
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.call.set(flag, on);
    }

    /// Adds metadata: text or bytes that the handler finds in `current_call().metadata`.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        self.call.metadata.insert(name.into(), value.into());
        self
    }

    /// Items of a streamed answer that may come before they are taken; 64 by default, at least 1.
    pub fn window(mut self, items: u32) -> Self {
        self.call.window = items.max(1);
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
        self.client.send(&self.call, args)
    }

    /// Makes the call and expects a stream: see [`RpcClient::stream`]. The time limit is the whole stream's.
    pub fn stream<A, R>(mut self, args: &A) -> Streaming<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.set(flags::STREAM, true);
        let opening = self.client.open(&self.call, self.client.write(&self.call, args), None);
        Streaming::new(self.call.method, opening, decode)
    }

    /// Makes the call with a stream of arguments, for a handler that takes an iterator, and waits for its result.
    ///
    /// Arguments are taken from the stream as the handler takes them.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn upload<S, R>(mut self, arguments: S) -> Result<Reply<R>, Error>
    where
        S: Stream<Item: Serialize> + Send + 'static,
        R: DeserializeOwned,
    {
        self.set(flags::UPLOAD, true);
        let arguments = self.arguments(arguments);
        let started_ns = monotonic_ns();
        let open = self.client.open(&self.call, Ok(nothing()), Some(arguments)).await?;
        reply(self.call.method, &open.answer().await?, started_ns)
    }

    /// Makes the call with a stream of arguments and expects a stream: both go on at once.
    pub fn exchange<S, R>(mut self, arguments: S) -> Streaming<R>
    where
        S: Stream<Item: Serialize> + Send + 'static,
        R: DeserializeOwned,
    {
        self.set(flags::STREAM | flags::UPLOAD, true);
        let arguments = self.arguments(arguments);
        let opening = self.client.open(&self.call, Ok(nothing()), Some(arguments));
        Streaming::new(self.call.method, opening, decode)
    }

    /// Sends the call and wants no answer: it returns once the call is on its way. Whether it ran is not told.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`] that the client itself finds: arguments that can't be encoded, no worker, no
    /// room in time.
    pub async fn notify<A: Serialize + ?Sized>(mut self, args: &A) -> Result<(), Error> {
        self.set(flags::ONE_WAY, true);
        self.client.notify(&self.call, args).await
    }

    /// Makes the call with arguments that are MessagePack already; the result stays MessagePack.
    #[cfg(feature = "binding")]
    pub(crate) async fn send_raw(self, arguments: Encoded) -> Result<Body, Error> {
        let call = self.client.outgoing(&self.call, Ok(arguments))?;
        let (finished, _) = self.client.make(call).await?;
        Ok(finished.body)
    }

    /// The same with a streamed answer.
    #[cfg(feature = "binding")]
    pub(crate) fn stream_raw(mut self, arguments: Encoded) -> Streaming<Body> {
        self.set(flags::STREAM, true);
        let opening = self.client.open(&self.call, Ok(arguments), None);
        Streaming::new(self.call.method, opening, as_it_is)
    }

    /// The same with arguments that are a stream, each MessagePack already.
    #[cfg(feature = "binding")]
    pub(crate) fn exchange_raw(mut self, arguments: Arguments) -> Streaming<Body> {
        self.set(flags::STREAM | flags::UPLOAD, true);
        let opening = self.client.open(&self.call, Ok(nothing()), Some(arguments));
        Streaming::new(self.call.method, opening, as_it_is)
    }

    /// The same without an answer.
    #[cfg(feature = "binding")]
    pub(crate) async fn notify_raw(mut self, arguments: Encoded) -> Result<(), Error> {
        self.set(flags::ONE_WAY, true);
        self.client.notify_outgoing(self.client.outgoing(&self.call, Ok(arguments))?).await
    }

    fn arguments<S>(&self, arguments: S) -> Arguments
    where
        S: Stream<Item: Serialize> + Send + 'static,
    {
        let (encoding, method) = (self.client.encoding(), self.call.method.to_owned());
        Box::pin(Writing { arguments: Box::pin(arguments), encoding, method })
    }
}

/// An item that stays MessagePack.
#[cfg(feature = "binding")]
#[expect(clippy::unnecessary_wraps, reason = "a stream's items may be unreadable, these can't")]
fn as_it_is(_method: &str, item: &Body) -> Result<Body, Error> {
    Ok(Body { payload: item.payload.clone(), attachments: item.attachments.clone() })
}

/// A stream of arguments as they are sent.
struct Writing<S> {
    arguments: Pin<Box<S>>,
    encoding: Encoding,
    method: String,
}

impl<S: Stream<Item: Serialize>> Stream for Writing<S> {
    type Item = Result<Encoded, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.arguments.as_mut().poll_next(cx));
        Poll::Ready(next.map(|argument| write(self.encoding, &self.method, &argument)))
    }
}
