//! The client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_protocol::header::TraceContext;
use pycrust_protocol::limits::{MAX_BODY_LEN, MAX_METHOD_LEN};
use pycrust_protocol::name::EndpointName;
use pycrust_protocol::reserved::{HEALTH, Health, READY};
use pycrust_protocol::{Code, ErrorPayload};
use pycrust_transport::{Attachment, Link, SendError, monotonic_ns};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::beside;
use crate::buffers;
use crate::builder::{Builder, Encoding, Options, WhenFull};
use crate::call::{self, Failure, Finished, Outgoing, until};
use crate::calls::Body;
use crate::connector::Connector;
use crate::error::Error;
use crate::metadata::{self, Metadata};
use crate::reply::Reply;
use crate::request::Request;
use crate::retries::{MAX_CONNECTIONS, Retries, never_sent};
use crate::session::Session;
use crate::state::{ConnectionState, StateChanges};
use crate::stream::{Arguments, Open, Opening, Streaming};
use crate::tensor::{Arena, Element, TensorMut};

/// The first pause of a connection that waits for its worker; each next one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest such pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a worker has for its first sign of life on a new connection.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Items of a stream that come before more are granted, unless the call says otherwise.
pub(crate) const DEFAULT_WINDOW: u32 = 64;

/// Time limits from here on are none.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Calls the handlers of one endpoint.
///
/// Cloning is cheap, and clones share one connection. When the worker goes away, the calls in flight end in
/// `UNAVAILABLE`, and the next call connects to the worker that serves the name then.
///
/// It is used on a Tokio runtime with I/O and time enabled, multi-thread or current-thread; clones may be
/// used on different runtimes at the same time. No call blocks a runtime's thread.
///
/// # Examples
/// ```no_run
/// use pycrust_client::RpcClient;
///
/// #[derive(serde::Serialize)]
/// struct AddArgs { a: i32, b: i32 }
///
/// # async fn add() -> Result<(), pycrust_client::Error> {
/// let client = RpcClient::connect("calculator").await?;
/// let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
/// assert_eq!(sum, 30);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RpcClient {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    /// Finds, keeps and replaces the connection.
    connector: Arc<Connector>,
}

/// A call and its options, before its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) timeout: Duration,
    /// Bits of [`flags`].
    pub(crate) flags: u8,
    pub(crate) schema_pin: u64,
    pub(crate) trace: TraceContext,
    pub(crate) metadata: Metadata,
    pub(crate) window: u32,
}

impl<'a> Call<'a> {
    pub(crate) fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    pub(crate) fn new(method: &'a str, timeout: Duration) -> Self {
        let trace = TraceContext::default();
        let metadata = Metadata::new();
        Self { method, timeout, flags: 0, schema_pin: 0, trace, metadata, window: DEFAULT_WINDOW }
    }
}

impl RpcClient {
    /// Connects to the worker that serves `name`.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    ///
    /// # Panics
    /// In a Tokio runtime without its I/O or time driver (`enable_all`).
    pub async fn connect(name: &str) -> Result<Self, Error> {
        Self::builder(name).connect().await
    }

    /// A client that differs from the usual one.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    pub(crate) async fn connect_with(name: &str, options: Options) -> Result<Self, Error> {
        let name = EndpointName::new(name)
            .map_err(|error| Error::of_call(Code::InvalidArgument, "connect", error.to_string()))?;
        let connector = Connector::new(name, &options)?;
        let client = Self { shared: Arc::new(Shared { options, connector }) };
        let started_ns = monotonic_ns();
        let patience = client.shared.options.wait_for_worker;
        let mut pause = FIRST_PAUSE;
        loop {
            match client.probe().await {
                Ok(()) => return Ok(client),
                Err(error) => {
                    let waited = Duration::from_nanos(monotonic_ns() - started_ns);
                    if error.code() != Code::Unavailable || waited >= patience {
                        return Err(error);
                    }
                    tokio::time::sleep(pause.min(patience.saturating_sub(waited))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Connects if need be, and asks the worker through the data path whether it is there.
    async fn probe(&self) -> Result<(), Error> {
        let call = Call::new(HEALTH, self.default_timeout().min(PROBE_TIMEOUT));
        self.send::<_, Health>(&call, &()).await.map(drop)
    }

    /// Calls a handler with the client's usual time limit and waits for its result.
    ///
    /// The arguments are encoded before this returns; the call is made when the future is first polled.
    /// Dropping the future cancels the call: one that is still queued never runs.
    ///
    /// # Errors
    /// Each call gets exactly one answer or one error, and [`Error::code`] says which:
    /// `INVALID_ARGUMENT` if the arguments don't validate ([`Error::details`] lists what is wrong) or can't be
    /// encoded, `UNIMPLEMENTED` if there is no such method, `UNKNOWN` if the handler raised
    /// ([`Error::exception`], [`Error::traceback`]), or the code that it chose, `DEADLINE_EXCEEDED`,
    /// `RESOURCE_EXHAUSTED` if a queue is full, `INTERNAL` if the result can't be encoded or decoded,
    /// `UNAVAILABLE` if the worker is not there or went away, `CANCELLED` if the client was closed,
    /// `FAILED_PRECONDITION` outside a Tokio runtime.
    pub fn call<'a, A, R>(
        &'a self,
        method: &'a str,
        args: &A,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with_timeout(method, args, self.default_timeout())
    }

    /// Like [`call`](Self::call), with a time limit of its own. [`Duration::MAX`] is no limit.
    ///
    /// # Errors
    /// Those of [`call`](Self::call).
    pub fn call_with_timeout<'a, A, R>(
        &'a self,
        method: &'a str,
        args: &A,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let encoded = self.encode(&Call::new(method, timeout), args);
        async move {
            let call = encoded?;
            let (finished, _) = self.make(call).await?;
            let value = decode(method, &finished.body);
            buffers::give(finished.body.payload);
            value
        }
    }

    /// A call with options, whose answer says more than the value.
    pub fn request<'a>(&'a self, method: &'a str) -> Request<'a> {
        Request::new(self, method)
    }

    pub(crate) fn send<'a, A, R>(
        &'a self,
        call: &Call<'a>,
        args: &A,
    ) -> impl Future<Output = Result<Reply<R>, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let method = call.method;
        let encoded = self.encode(call, args);
        async move {
            let call = encoded?;
            let (finished, started_ns) = self.make(call).await?;
            reply(method, &finished, started_ns)
        }
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
        self.request(method).timeout(Duration::MAX).stream(args)
    }

    /// Opens a call that streams, on as many connections as it takes.
    pub(crate) fn open(
        &self,
        call: &Call<'_>,
        payload: Result<Encoded, Error>,
        mut arguments: Option<Arguments>,
    ) -> Opening {
        let encoded = self.outgoing(call, payload).map(Outgoing::into_owned);
        let client = self.clone();
        Box::pin(async move {
            let (method, mut call) = encoded?;
            let mut call = call.borrowed(&method);
            in_runtime(&method)?;
            for _ in 0..MAX_CONNECTIONS {
                let session = client.session(&call).await?;
                match Open::new(&session, &mut call, &mut arguments).await {
                    Ok(open) => return Ok(open),
                    Err(Failure::NotSent) => {}
                    Err(Failure::Lost(error) | Failure::Failed(error)) => return Err(error),
                }
            }
            Err(never_sent(&method))
        })
    }

    /// Sends a call that gets no answer.
    pub(crate) async fn notify<A: Serialize + ?Sized>(&self, call: &Call<'_>, args: &A) -> Result<(), Error> {
        let encoded = self.encode(call, args);
        self.notify_outgoing(encoded?).await
    }

    /// The same, of a call that is ready to be sent.
    pub(crate) async fn notify_outgoing(&self, mut call: Outgoing<'_>) -> Result<(), Error> {
        in_runtime(call.method)?;
        for _ in 0..MAX_CONNECTIONS {
            let session = self.session(&call).await?;
            match call::notify(&session, &mut call).await {
                Ok(()) => return Ok(()),
                Err(Failure::NotSent) => {}
                Err(Failure::Lost(error) | Failure::Failed(error)) => return Err(error),
            }
        }
        Err(never_sent(call.method))
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.shared.options.encoding
    }

    /// The time that a call has unless it says otherwise.
    pub(crate) fn default_timeout(&self) -> Duration {
        self.shared.options.timeout
    }

    /// Encodes arguments.
    pub(crate) fn write<A: Serialize + ?Sized>(&self, call: &Call<'_>, args: &A) -> Result<Encoded, Error> {
        write(self.encoding(), call.method, args)
    }

    fn encode<'a, A: Serialize + ?Sized>(&self, call: &Call<'a>, args: &A) -> Result<Outgoing<'a>, Error> {
        let started_ns = monotonic_ns();
        let payload = self.write(call, args);
        let mut outgoing = self.outgoing(call, payload)?;
        outgoing.started_ns = started_ns;
        Ok(outgoing)
    }

    /// Checks what a call says.
    pub(crate) fn outgoing<'a>(
        &self,
        call: &Call<'a>,
        payload: Result<Encoded, Error>,
    ) -> Result<Outgoing<'a>, Error> {
        outgoing(call, payload, self.shared.options.when_full)
    }

    /// Makes a call, on as many connections as it takes and may. The answer, and when the call started.
    pub(crate) async fn make(&self, mut call: Outgoing<'_>) -> Result<(Finished, u64), Error> {
        in_runtime(call.method)?;
        let mut retries = Retries::new(self.shared.options.retry);
        let finished = loop {
            match self.attempt(&mut call).await {
                Ok(finished) => break finished,
                Err(failure) => match retries.after(failure, &call)? {
                    Duration::ZERO => {}
                    pause => tokio::time::sleep(pause).await,
                },
            }
        };
        buffers::give(call.payload);
        if finished.status == Code::Ok {
            return Ok((finished, call.started_ns));
        }
        let error = Error::answered(finished.status, call.method, &finished.body.payload);
        buffers::give(finished.body.payload);
        Err(error)
    }

    /// Makes a call on the connection of the moment.
    async fn attempt(&self, call: &mut Outgoing<'_>) -> Result<Finished, Failure> {
        let session = self.session(call).await.map_err(Failure::Failed)?;
        call::run(&session, call).await
    }

    /// The connection of the moment, made if there is none.
    async fn session(&self, call: &Outgoing<'_>) -> Result<Arc<Session>, Error> {
        let connector = &self.shared.connector;
        match connector.current() {
            Some(session) => Ok(session),
            None => match until(call, connector.connect()).await {
                Some(connected) => connected.map_err(|error| error.of(call.method)),
                None => Err(call.too_late("the connection took longer than that")),
            },
        }
    }

    /// An array of arguments that is built in shared memory, so that sending it copies nothing. Its elements are
    /// written before the call.
    ///
    /// Of several arrays in one call, those are sent where they are that were [built](Self::build) together.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if no frame could hold it; those of [`call`](Self::call) for want of a worker.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn see(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
    /// let mut image = client.allocate::<u8>(&[224, 224, 3]).await?;
    /// image.as_mut_slice().fill(128);
    /// let seen: String = client.call("classify", &(&image,)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn allocate<T: Element>(&self, shape: &[usize]) -> Result<TensorMut<T>, Error> {
        let bytes = TensorMut::<T>::bytes(shape).filter(|bytes| *bytes <= MAX_BODY_LEN);
        let Some(bytes) = bytes else {
            let reason = format!("an array of the shape {shape:?} has more than {MAX_BODY_LEN} bytes");
            return Err(Error::of_call(Code::InvalidArgument, "allocate", reason));
        };
        self.build(bytes, |arena| arena.allocate(shape)).await
    }

    /// Several arrays for one call, in one piece of shared memory of `bytes` bytes; 63 more for each array after
    /// the first make up for their alignment.
    ///
    /// # Errors
    /// Those of [`allocate`](Self::allocate).
    ///
    /// # Examples
    /// ```no_run
    /// # async fn see(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
    /// let (mut left, mut right) = client
    ///     .build(2 * 224 * 224 * 3 + 64, |arena| {
    ///         (arena.allocate::<u8>(&[224, 224, 3]), arena.allocate::<u8>(&[224, 224, 3]))
    ///     })
    ///     .await?;
    /// left.as_mut_slice().fill(1);
    /// right.as_mut_slice().fill(2);
    /// let depth: f64 = client.call("stereo", &(&left, &right)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn build<T>(&self, bytes: usize, build: impl FnOnce(&Arena) -> T) -> Result<T, Error> {
        let method = "allocate";
        in_runtime(method)?;
        let call = self.outgoing(&Call::new(method, self.default_timeout()), Ok(Encoded::default()))?;
        let session = self.session(&call).await?;
        let block = if bytes <= session.sent_large.load(Ordering::Acquire) {
            session.link.block(bytes)
        } else {
            // The first one waits for the worker, a larger one makes a segment.
            let shared = Arc::clone(&session);
            let made = tokio::task::spawn_blocking(move || {
                let block = shared.link.block(bytes);
                if block.is_ok() {
                    shared.sent_large.fetch_max(bytes, Ordering::Release);
                }
                block
            });
            // The driver serves the control socket meanwhile.
            call::ensure_driver(&session, &call).map_err(|_| never_sent(method))?;
            made.await.unwrap_or(Err(SendError::Gone))
        };
        // Without shared memory it is built on the heap; what is wrong is found when it is sent.
        Ok(build(&Arena::new(block.ok())))
    }

    /// Closes the connection, also for all clones, and waits until it is taken down.
    ///
    /// Calls in flight end in `CANCELLED`, and so does every later call. Closing again does nothing.
    pub async fn close(&self) {
        self.shared.connector.close().await;
    }

    /// Where the client stands with its worker right now.
    pub fn state(&self) -> ConnectionState {
        self.shared.connector.states.now()
    }

    /// Tells of every change of [`state`](Self::state) from now on.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn watch(client: pycrust_client::RpcClient) {
    /// let mut changes = client.state_changes();
    /// while let Some(state) = changes.next().await {
    ///     println!("{state:?}");
    /// }
    /// # }
    /// ```
    pub fn state_changes(&self) -> StateChanges {
        self.shared.connector.states.changes()
    }

    /// Whether the worker serves and `method` answers these arguments: the readiness of a real handler.
    ///
    /// # Errors
    /// Those of [`call`](Self::call).
    pub async fn ready<A: Serialize + ?Sized>(&self, method: &str, args: &A) -> Result<(), Error> {
        let Encoded { payload, attachments } = write(self.encoding(), method, args)?;
        if !attachments.is_empty() {
            let reason = "the question whether a handler is ready has no room for arrays";
            return Err(Error::of_call(Code::InvalidArgument, method, reason));
        }
        self.call::<_, serde::de::IgnoredAny>(READY, &(method, serde_bytes::Bytes::new(&payload))).await?;
        Ok(())
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.shared.connector.name().as_str()
    }

    /// Whether there is a connection right now. The next call makes one if there is not.
    pub fn is_connected(&self) -> bool {
        self.shared.connector.current().is_some()
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient")
            .field("endpoint", &self.endpoint())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

/// Arguments, or one of those that are streamed, as they are sent.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// MessagePack.
    pub(crate) payload: Vec<u8>,
    /// The arrays in it.
    pub(crate) attachments: Vec<Attachment>,
}

impl Encoded {
    /// Its bytes, as a stream counts them.
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.attachments.iter().map(Attachment::len).sum::<usize>()
    }
}

/// Writes arguments, or one of those that are streamed.
pub(crate) fn write<A: Serialize + ?Sized>(
    encoding: Encoding,
    method: &str,
    args: &A,
) -> Result<Encoded, Error> {
    let mut payload = buffers::take();
    let (written, attachments) = beside::collecting(|| match encoding {
        Encoding::Array => rmp_serde::encode::write(&mut payload, args),
        Encoding::Map => rmp_serde::encode::write_named(&mut payload, args),
    });
    written.map_err(|error| {
        let name = std::any::type_name::<A>();
        let reason = format!("arguments of type {name} can't be encoded: {error}");
        Error::of_call(Code::InvalidArgument, method, reason)
    })?;
    Ok(Encoded { payload, attachments })
}

/// Reads a result.
pub(crate) fn decode<R: DeserializeOwned>(method: &str, body: &Body) -> Result<R, Error> {
    let payload = &body.payload;
    beside::giving(&body.attachments, || rmp_serde::from_slice(payload)).map_err(|error| {
        let (name, len) = (std::any::type_name::<R>(), payload.len());
        let reason = format!("the result ({len} bytes of MessagePack) is no {name}: {error}");
        let error = ErrorPayload { may_have_run: true, ..ErrorPayload::message(reason) };
        Error::from_parts(Code::Internal, method, error)
    })
}

/// Reads a result with what is known about it.
pub(crate) fn reply<R: DeserializeOwned>(
    method: &str,
    finished: &Finished,
    started_ns: u64,
) -> Result<Reply<R>, Error> {
    if finished.status != Code::Ok {
        return Err(Error::answered(finished.status, method, &finished.body.payload));
    }
    Ok(Reply::new(decode(method, &finished.body)?, finished, started_ns))
}

fn in_runtime(method: &str) -> Result<(), Error> {
    if Handle::try_current().is_ok() {
        return Ok(());
    }
    let reason = "there is no Tokio runtime here: call from a task, or from block_on of one";
    Err(Error::of_call(Code::FailedPrecondition, method, reason))
}

/// Checks what a call says.
pub(crate) fn outgoing<'a>(
    call: &Call<'a>,
    payload: Result<Encoded, Error>,
    when_full: WhenFull,
) -> Result<Outgoing<'a>, Error> {
    let started_ns = monotonic_ns();
    let &Call { method, timeout, flags, schema_pin, trace, window, .. } = call;
    let refuse = |reason: String| Err(Error::of_call(Code::InvalidArgument, method, reason));
    if !(1..=MAX_METHOD_LEN).contains(&method.len()) {
        let len = method.len();
        return refuse(format!("a method's name has 1 to {MAX_METHOD_LEN} bytes, this one has {len}"));
    }
    let metadata = match metadata::encoded(&call.metadata) {
        Ok(metadata) => metadata,
        Err(reason) => return refuse(reason),
    };
    let Encoded { payload, attachments } = payload?;
    let expires_ns = (timeout < FOREVER).then(|| started_ns.saturating_add(timeout.as_nanos() as u64));
    Ok(Outgoing {
        method,
        payload,
        attachments,
        started_ns,
        timeout,
        expires_ns,
        flags,
        schema_pin,
        trace,
        metadata,
        window,
        when_full,
    })
}
