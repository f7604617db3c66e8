//! For bindings to other languages: MessagePack in, MessagePack out, called from any thread.
//!
//! Calls run on a Tokio runtime of this process's own, which is made when it is first needed. A call that blocks
//! asks its caller every 100 ms whether to go on waiting, so that a person can interrupt it.

pub mod load;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use pycrust_protocol::header::TraceContext;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::call::answer::Finished;
use crate::call::outgoing::Encoded;
use crate::call::streaming::Streaming;
use crate::client::RpcClient;
use crate::connection::connector::inherited;
use crate::connection::in_flight::Body;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::request::Request;
use crate::tensor::arrays::{Array, Arrays};
use crate::timing::Timing;
use pycrust_protocol::Code;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachment, Attachments, PerProcess, ProcessLocal, stack_size};

/// Time between two questions whether to go on waiting.
const SLICE: Duration = Duration::from_millis(100);

/// Arguments of a stream that are put and not yet taken.
const FEED_BUFFER: usize = 64;

/// Bytes of them, and of their arrays: the last one may pass it.
const FEED_BYTES: usize = 16 << 20;

/// The runtime: a forked child, which has none of its threads, makes one of its own.
static RUNTIME: PerProcess<Mutex<Option<Arc<Runtime>>>> = PerProcess::new();

fn runtime() -> Result<ProcessLocal<Arc<Runtime>>, Error> {
    let mut kept = RUNTIME.get().lock();
    if let Some(runtime) = &*kept {
        return Ok(ProcessLocal::new(Arc::clone(runtime)));
    }
    // Tokio panics where it gets no thread.
    let thread = std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join);
    thread.map(drop).map_err(|error| Error::no_thread("connect", &error))?;
    let made = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("pycrust-client")
        // Results are decoded there, which may run code of whoever calls.
        .thread_stack_size(stack_size())
        .enable_all()
        .build();
    let made = made.map_err(|error| {
        let reason = format!("the client's threads can't be started: {error}");
        Error::of_call(Code::ResourceExhausted, "connect", reason)
    })?;
    let runtime = Arc::new(made);
    *kept = Some(Arc::clone(&runtime));
    Ok(ProcessLocal::new(runtime))
}

/// Runs `future` here; `None` once `keep_waiting` says no.
///
/// # Errors
/// If this process is a forked child, or becomes one while its caller is asked.
fn block_on<F: Future>(
    runtime: &ProcessLocal<Arc<Runtime>>,
    future: F,
    keep_waiting: &mut dyn FnMut() -> bool,
) -> Result<Option<F::Output>, Error> {
    if !runtime.is_here() {
        return Err(inherited(""));
    }
    runtime.block_on(async {
        let mut future = pin!(future);
        loop {
            if let Ok(output) = timeout(SLICE, &mut future).await {
                return Ok(Some(output));
            }
            if !keep_waiting() {
                return Ok(None);
            }
            // A signal's handler may fork, and nobody would ever wake its child here.
            if !runtime.is_here() {
                return Err(inherited(""));
            }
        }
    })
}

/// A value on its way out.
#[derive(Debug, Default)]
pub struct Value {
    /// MessagePack.
    pub payload: Vec<u8>,
    /// The arrays in it.
    pub attachments: Vec<Attachment>,
}

impl From<Value> for Encoded {
    fn from(value: Value) -> Self {
        let mut arrays = Arrays::default();
        for attachment in value.attachments {
            arrays.push(Array::Source(attachment.into_source()));
        }
        Self { payload: value.payload, arrays }
    }
}

/// A value that came.
#[derive(Debug, Default)]
pub struct Answer {
    /// MessagePack.
    pub payload: Vec<u8>,
    /// The arrays in it.
    pub attachments: Attachments,
    /// The handler version that answered; 0 where none did, and of an item of a stream.
    pub version: u32,
    /// Where the time went; zero of an item of a stream.
    pub timing: Timing,
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        Self { payload: body.payload, attachments: body.attachments, ..Self::default() }
    }
}

impl From<Finished> for Answer {
    fn from(finished: Finished) -> Self {
        let (version, timing) = (finished.header.version, finished.timing());
        Self { version, timing, ..finished.body.into() }
    }
}

/// What a call says beside its method and arguments.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// The time that the call has; the client's usual one by default.
    pub timeout: Option<Duration>,
    /// What travels beside the arguments.
    pub metadata: Metadata,
    /// Whether running the call twice does no harm.
    pub idempotent: bool,
    /// Whether it takes the place of older ones of this client that still wait.
    pub latest: bool,
    /// The schema that the caller was built against; 0 is any.
    pub schema: u64,
    /// The trace that the call belongs to; all zero is none.
    pub trace: TraceContext,
    /// Items of a streamed answer that may come before they are taken; 0 is the usual number.
    pub window: u32,
    /// Whether it waits for a worker that can take it; as the client does by default.
    pub wait_for_ready: Option<bool>,
    /// How long one that streams may be silent; without limit by default.
    pub idle_timeout: Option<Duration>,
}

/// A client for code that is not on a Tokio runtime.
#[derive(Debug, Clone)]
pub struct Client {
    runtime: ProcessLocal<Arc<Runtime>>,
    client: ProcessLocal<RpcClient>,
}

impl Client {
    /// Connects with what a [builder](RpcClient::builder) was told; `None` once `keep_waiting` says no.
    ///
    /// # Errors
    /// Those of [`connect`](crate::Builder::connect).
    pub fn connect(
        builder: crate::Builder,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Self>, Error> {
        let runtime = runtime()?;
        let connected = block_on(&runtime, builder.connect(), keep_waiting)?.transpose()?;
        Ok(connected.map(|client| Self { runtime, client: ProcessLocal::new(client) }))
    }

    /// One that connects when its first call is made.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if its threads can't be started.
    pub fn lazy(builder: crate::Builder) -> Result<Self, Error> {
        Ok(Self { runtime: runtime()?, client: ProcessLocal::new(builder.connect_lazy()) })
    }

    fn request<'a>(&'a self, method: &'a str, options: CallOptions) -> Request<'a> {
        let CallOptions { timeout, metadata, idempotent, latest, schema, trace, window, .. } = options;
        let request = self.client.request(method).idempotent(idempotent).latest(latest);
        let mut request = request.schema(schema).trace(trace);
        if window > 0 {
            request = request.window(window);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(longest) = options.idle_timeout {
            request = request.idle_timeout(longest);
        }
        if let Some(wait) = options.wait_for_ready {
            request = request.wait_for_ready(wait);
        }
        for (name, value) in metadata {
            request = request.metadata(name, value);
        }
        request
    }

    /// Calls and waits for the result; `None` once `keep_waiting` says no, which cancels the call.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub fn call(
        &self,
        method: &str,
        arguments: Value,
        options: CallOptions,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Answer>, Error> {
        let call = self.request(method, options).send_raw(arguments.into());
        Ok(block_on(&self.runtime, call, keep_waiting)?.transpose()?.map(Answer::from))
    }

    /// Calls, and tells `done` of the result on a thread of the runtime.
    pub fn start(
        &self,
        method: String,
        arguments: Value,
        options: CallOptions,
        done: impl FnOnce(Result<Answer, Error>) + Send + 'static,
    ) -> Pending {
        if !self.runtime.is_here() {
            done(Err(inherited(&method)));
            return Pending(None);
        }
        let client = self.clone();
        let task = self.runtime.spawn(async move {
            done(client.request(&method, options).send_raw(arguments.into()).await.map(Answer::from));
        });
        Pending(Some(ProcessLocal::new(task.abort_handle())))
    }

    /// Calls a handler that streams.
    pub fn stream(&self, method: &str, arguments: Value, options: CallOptions) -> Items {
        let items = self.request(method, options).stream_raw(arguments.into());
        Items { runtime: self.runtime.clone(), items: ProcessLocal::new(items) }
    }

    /// Sends a call that wants no answer; `None` once `keep_waiting` says no.
    ///
    /// # Errors
    /// Those of [`Request::notify`].
    pub fn notify(
        &self,
        method: &str,
        arguments: Value,
        options: CallOptions,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Result<Option<()>, Error> {
        let call = self.request(method, options).notify_raw(arguments.into());
        block_on(&self.runtime, call, keep_waiting)?.transpose()
    }

    /// Calls a handler that takes a stream of arguments, which are put into the feed by another thread than the one
    /// that takes the items of the answer: one item, if the handler does not stream.
    pub fn exchange(&self, method: &str, options: CallOptions) -> (Feed, Items) {
        let (arguments, taken) = mpsc::channel(FEED_BUFFER);
        let room = Arc::new(Semaphore::new(FEED_BYTES));
        let items = self.request(method, options).exchange_raw(Box::pin(Taken(taken)));
        let arguments = ProcessLocal::new(arguments);
        let feed = Feed { runtime: self.runtime.clone(), method: method.to_owned(), arguments, room };
        (feed, Items { runtime: self.runtime.clone(), items: ProcessLocal::new(items) })
    }

    /// Closes the connection.
    pub fn close(&self) {
        if self.runtime.is_here() {
            self.runtime.block_on(self.client.close());
        }
    }
}

/// A call that [`Client::start`] has made.
#[derive(Debug)]
pub struct Pending(Option<ProcessLocal<AbortHandle>>);

impl Pending {
    /// Cancels the call; nobody is told of its result then.
    pub fn cancel(&self) {
        if let Some(task) = self.0.as_ref().filter(|task| task.is_here()) {
            task.abort();
        }
    }
}

/// Where the arguments of a call are put that takes a stream of them. Dropping it ends them.
#[derive(Debug)]
pub struct Feed {
    runtime: ProcessLocal<Arc<Runtime>>,
    method: String,
    arguments: ProcessLocal<mpsc::Sender<Put>>,
    /// A permit for each byte that there is room for.
    room: Arc<Semaphore>,
}

/// An argument, and the room that it takes until it is taken.
type Put = (Result<Encoded, Error>, Option<OwnedSemaphorePermit>);

impl Feed {
    /// Puts one argument, as MessagePack, once there is room for it. False if the call has ended, so that no more are
    /// wanted; `None` once `keep_waiting` says no.
    pub fn put(&self, argument: Value, keep_waiting: &mut dyn FnMut() -> bool) -> Option<bool> {
        self.hand_over(Ok(argument.into()), keep_waiting)
    }

    /// There are no more arguments, for this reason: the call is cancelled and ends in `CANCELLED`.
    pub fn fail(&self, reason: &str, keep_waiting: &mut dyn FnMut() -> bool) -> Option<bool> {
        self.hand_over(Err(Error::of_call(Code::Cancelled, &self.method, reason)), keep_waiting)
    }

    fn hand_over(
        &self,
        argument: Result<Encoded, Error>,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Option<bool> {
        let len = argument.as_ref().map_or(0, Encoded::len).min(FEED_BYTES);
        let room = Arc::clone(&self.room);
        let send = async {
            // Whoever takes the arguments drops them when it goes, and there is room.
            let permit = room.acquire_many_owned(len as u32).await.ok();
            self.arguments.send((argument, permit)).await.is_ok()
        };
        // In a forked child nobody wants them.
        block_on(&self.runtime, send, keep_waiting).unwrap_or(Some(false))
    }
}

/// The arguments that were put.
struct Taken(mpsc::Receiver<Put>);

impl Stream for Taken {
    type Item = Result<Encoded, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|put| put.map(|(argument, _)| argument))
    }
}

/// The items of a streamed answer. Dropping them cancels the call.
#[derive(Debug)]
pub struct Items {
    runtime: ProcessLocal<Arc<Runtime>>,
    items: ProcessLocal<Streaming<Body>>,
}

impl Items {
    /// The next item, or `None` at the end; outside of that, `None` once `keep_waiting` says no.
    ///
    /// # Errors
    /// Those of [`Streaming::next`].
    pub fn next(&mut self, keep_waiting: &mut dyn FnMut() -> bool) -> Result<Option<Option<Answer>>, Error> {
        match block_on(&self.runtime, self.items.next(), keep_waiting)? {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(item)) => item.map(|item| Some(Some(item.into()))),
        }
    }

    /// The handler version that ended the stream; 0 before its end.
    pub fn version(&self) -> u32 {
        self.items.version()
    }
}
