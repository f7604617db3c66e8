//! A call with options.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use pycrust_protocol::header::{TraceContext, flags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::argument::Arg;
#[cfg(feature = "binding")]
use crate::call::answer::Finished;
use crate::call::answer::reply;
use crate::call::items::Items;
use crate::call::outgoing::{Call, Encoded, write};
use crate::call::reply::Reply;
use crate::call::stream::Arguments;
use crate::call::streaming::{Streaming, decode};
use crate::client::RpcClient;
#[cfg(feature = "binding")]
use crate::connection::in_flight::Body;
use crate::connection::waiting::Tokio;
use crate::error::Error;
use crate::metadata::MetadataValue;
use crate::method::Method;
use crate::options::Encoding;
use crate::shared::Shared;

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
pub struct Request<'a, C = &'a RpcClient> {
    pub(crate) client: C,
    pub(crate) call: Call<'a>,
}

/// What a call says, on either client.
impl<'a, C> Request<'a, C> {
    pub(crate) fn new(client: C, method: &'a str) -> Self {
        Self { client, call: Call::new(method) }
    }

    pub(crate) fn of<A: ?Sized, R>(client: C, method: &Method<A, R>) -> Self {
        Self { client, call: method.call() }
    }

    /// The time that the call has, from now to its answer; of one that streams, to the end of its stream.
    /// [`Duration::MAX`] is no limit.
    ///
    /// Without it a call has the client's [usual time](crate::Builder::timeout), and one whose arguments or answer
    /// stream has no limit: those take as long as they take. [`idle_timeout`](Self::idle_timeout) is for them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// The longest that a call which streams may be silent while its caller waits: neither an item of the answer comes
    /// nor an argument goes. Then it ends in `DEADLINE_EXCEEDED` and is cancelled. Without limit by default.
    pub fn idle_timeout(mut self, longest: Duration) -> Self {
        self.call.idle_timeout = Some(longest);
        self
    }

    /// Whether the call waits, within its time, while it certainly did not run: there is no worker, the connection ended
    /// before the call was sent, or the worker did not take it (it stops, or the method is expected and not
    /// registered yet). Otherwise it fails with `UNAVAILABLE` at once. By default as
    /// [the client's builder](crate::Builder::wait_for_ready) says.
    ///
    /// A call that may have run is never made again for it: that is for [`idempotent`](Self::idempotent) ones.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.call.wait_for_ready = Some(wait);
        self
    }

    /// The time at which the call's time is over.
    pub fn deadline(self, at: Instant) -> Self {
        self.timeout(at.saturating_duration_since(Instant::now()))
    }

    /// Whether running the call twice does no harm. If so, it is made again within its time when the worker
    /// goes away, or is not there yet.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
    /// # let client = worker.client();
    /// worker.disconnect(); // as a worker that dies
    /// let sum = client.request("add").idempotent(true).send::<_, i32>(&(10, 20)).await?;
    /// assert_eq!(sum.into_value(), 30);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
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

    /// Gives the call its one argument, by position: `def place(order)` gets all of `order`, where the fields of a struct
    /// would otherwise be bound to parameters of their names.
    ///
    /// # Examples
    /// ```no_run
    /// #[derive(serde::Serialize)]
    /// struct Order { symbol: String, lots: u32 }
    ///
    /// # async fn place(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
    /// let order = Order { symbol: "BUND".into(), lots: 3 };
    /// let number = client.request("place").arg(&order).send::<u64>().await?.into_value();
    /// # Ok(())
    /// # }
    /// ```
    pub fn arg<T: Serialize + ?Sized>(self, argument: &T) -> RequestWith<'a, '_, C, T> {
        RequestWith { request: self, argument }
    }

    /// Prepares for arguments that stream.
    pub(crate) fn uploads(&mut self, streams: bool) {
        self.set(flags::UPLOAD, true);
        self.set(flags::STREAM, streams);
    }
}

/// A call with options and its one argument; see [`Request::arg`].
///
/// # Examples
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { symbol: String, lots: u32 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("place", |order: Order| Ok(order.lots));
/// # let client = worker.client();
/// let order = Order { symbol: "BUND".into(), lots: 3 };
/// let number: u32 = client.request("place").idempotent(true).arg(&order).send().await?.into_value();
/// assert_eq!(number, 3);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing before `send`"]
pub struct RequestWith<'a, 'v, C, T: ?Sized> {
    pub(crate) request: Request<'a, C>,
    pub(crate) argument: &'v T,
}

impl<'a, T: Serialize + ?Sized> RequestWith<'a, '_, &'a RpcClient, T> {
    /// As [`Request::send`].
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub fn send<R: DeserializeOwned>(self) -> impl Future<Output = Result<Reply<R>, Error>> + Send {
        self.request.send(&Arg(self.argument))
    }

    /// As [`Request::stream`].
    pub fn stream<R: DeserializeOwned>(self) -> Streaming<R> {
        self.request.stream(&Arg(self.argument))
    }

    /// As [`Request::notify`].
    ///
    /// # Errors
    /// Those of [`Request::notify`].
    pub async fn notify(self) -> Result<(), Error> {
        self.request.notify(&Arg(self.argument)).await
    }
}

/// The calls that are more than a value for a value.
impl RpcClient {
    /// A call with options, whose answer says more than the value.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
    /// # let client = worker.client();
    /// let reply = client.request("add").timeout(Duration::from_secs(1)).send::<_, i32>(&(10, 20)).await?;
    /// assert_eq!(*reply.value(), 30);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<'a>(&'a self, method: &'a str) -> Request<'a> {
        Request::new(self, method)
    }

    /// A call of a method, with its options and others of the moment: sent, streamed, uploaded or without an answer.
    ///
    /// # Examples
    /// ```no_run
    /// use pycrust_client::{Error, Method, RpcClient};
    ///
    /// const PRICE: Method<(String, f64), f64> = Method::new("price").idempotent();
    ///
    /// # async fn ask(client: RpcClient) -> Result<(), Error> {
    /// let request = client.request_of(&PRICE).metadata("desk", "rates");
    /// let reply = request.send::<_, f64>(&("BUND", 2.5)).await?;
    /// println!("{} from version {}", reply.value(), reply.version());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_of<A: ?Sized, R>(&self, method: &Method<A, R>) -> Request<'_> {
        Request::of(self, method)
    }

    /// Calls a method whose handler streams, with its options; otherwise as [`stream`](Self::stream).
    ///
    /// # Examples
    /// ```no_run
    /// use pycrust_client::{Error, Method, RpcClient};
    ///
    /// const TICKS: Method<str, (String, f64)> = Method::new("ticks");
    ///
    /// # async fn watch(client: RpcClient) -> Result<(), Error> {
    /// let mut ticks = client.open(&TICKS, "BUND");
    /// while let Some(tick) = ticks.next().await {
    ///     let (symbol, price) = tick?;
    ///     println!("{symbol}: {price}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn open<A, R>(&self, method: &Method<A, R>, args: &A) -> Streaming<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.request_of(method).stream(args)
    }

    /// Calls a handler that streams, with no time limit: the items of its answer as they come.
    ///
    /// The arguments are encoded before this returns; the call is made when the stream is first polled. A
    /// handler that does not stream gives one item.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn watch(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
    /// let mut ticks = client.stream::<_, (String, f64)>("ticks", &("BUND",));
    /// while let Some(tick) = ticks.next().await {
    ///     let (symbol, price) = tick?;
    ///     println!("{symbol}: {price}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<A, R>(&self, method: &str, args: &A) -> Streaming<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.request(method).stream(args)
    }

    /// The items of a call that streams.
    pub(crate) fn items(
        &self,
        call: &Call<'_>,
        encoded: Result<Encoded, Error>,
        arguments: Option<Arguments<'static>>,
    ) -> Items<'static> {
        Shared::items(&self.shared, Arc::new(Tokio), call, encoded, arguments)
    }
}

impl<'a> Request<'a> {
    /// Makes the call. The arguments are encoded before this returns.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub fn send<A, R>(self, args: &A) -> impl Future<Output = Result<Reply<R>, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let shared = &self.client.shared;
        let encoded = shared.encode(&self.call, args);
        shared.send(&Tokio, encoded)
    }

    /// Makes the call and expects a stream: see [`RpcClient::stream`].
    pub fn stream<A, R>(mut self, args: &A) -> Streaming<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.set(flags::STREAM, true);
        let encoded = self.client.shared.write(&self.call, args);
        Streaming::new(self.client.items(&self.call, encoded, None), decode)
    }

    /// Makes the call with a stream of arguments, for a handler that takes an iterator, and waits for its result.
    ///
    /// Arguments are taken from the stream as the handler takes them.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on_upload("sum", |numbers: pycrust_client::testing::Arguments<i64>| async move {
    /// #     Ok(numbers.all().await?.iter().sum::<i64>())
    /// # });
    /// # let client = worker.client();
    /// let numbers = futures::stream::iter(1..=3_i64);
    /// let sum = client.request("sum").upload::<_, i64>(numbers).await?;
    /// assert_eq!(sum.into_value(), 6);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn upload<S, R>(mut self, arguments: S) -> Result<Reply<R>, Error>
    where
        S: Stream<Item: Serialize> + Send + 'static,
        R: DeserializeOwned,
    {
        self.uploads(false);
        let arguments = written(self.client.shared.options.encoding, self.call.method, arguments);
        reply(self.call.method, self.client.shared.upload(&Tokio, &self.call, arguments).await?)
    }

    /// Makes the call with a stream of arguments and expects a stream: both go on at once.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on_exchange("double", |mut numbers: pycrust_client::testing::Arguments<i64>, items| async move {
    /// #     while let Some(number) = numbers.next().await {
    /// #         items.send(2 * number?).await?;
    /// #     }
    /// #     Ok(())
    /// # });
    /// # let client = worker.client();
    /// let mut doubled = client.request("double").exchange::<_, i64>(futures::stream::iter(1..=2_i64));
    /// assert_eq!(doubled.next().await.transpose()?, Some(2));
    /// assert_eq!(doubled.next().await.transpose()?, Some(4));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn exchange<S, R>(mut self, arguments: S) -> Streaming<R>
    where
        S: Stream<Item: Serialize> + Send + 'static,
        R: DeserializeOwned,
    {
        self.uploads(true);
        let arguments = written(self.client.shared.options.encoding, self.call.method, arguments);
        Streaming::new(self.client.items(&self.call, Ok(Encoded::nothing()), Some(arguments)), decode)
    }

    /// Sends the call and wants no answer: it returns once the call is on its way. Whether it ran is not told.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`] that the client itself finds: arguments that can't be encoded, no worker, no
    /// room in time.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("log", |(line,): (String,)| Ok(println!("{line}")));
    /// # let client = worker.client();
    /// client.request("log").notify(&("the arm is warm",)).await?;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn notify<A: Serialize + ?Sized>(mut self, args: &A) -> Result<(), Error> {
        self.set(flags::ONE_WAY, true);
        let call = self.client.shared.encode(&self.call, args)?;
        self.client.shared.notify(&Tokio, call).await
    }

    /// Makes the call with arguments that are MessagePack already; the result stays MessagePack.
    #[cfg(feature = "binding")]
    pub(crate) async fn send_raw(self, arguments: Encoded) -> Result<Finished, Error> {
        let mut call = self.client.shared.outgoing(&self.call, Ok(arguments))?;
        self.client.shared.make(&Tokio, &mut call).await
    }

    /// The same with a streamed answer.
    #[cfg(feature = "binding")]
    pub(crate) fn stream_raw(mut self, arguments: Encoded) -> Streaming<Body> {
        self.set(flags::STREAM, true);
        Streaming::new(self.client.items(&self.call, Ok(arguments), None), |_, item| Ok(item))
    }

    /// The same with arguments that are a stream, each MessagePack already.
    #[cfg(feature = "binding")]
    pub(crate) fn exchange_raw(mut self, arguments: Arguments<'static>) -> Streaming<Body> {
        self.uploads(true);
        let items = self.client.items(&self.call, Ok(Encoded::nothing()), Some(arguments));
        Streaming::new(items, |_, item| Ok(item))
    }

    /// The same without an answer.
    #[cfg(feature = "binding")]
    pub(crate) async fn notify_raw(mut self, arguments: Encoded) -> Result<(), Error> {
        self.set(flags::ONE_WAY, true);
        let call = self.client.shared.outgoing(&self.call, Ok(arguments))?;
        self.client.shared.notify(&Tokio, call).await
    }
}

/// A stream of arguments as they are sent.
pub(crate) fn written<'u, S>(encoding: Encoding, method: &str, arguments: S) -> Arguments<'u>
where
    S: Stream<Item: Serialize> + Send + 'u,
{
    Box::pin(Writing { arguments: Box::pin(arguments), encoding, method: method.to_owned() })
}

/// Such a stream.
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
