//! A worker in the same process, for tests of programs that use this crate.
//!
//! Closures stand for its handlers. Clients are the real ones: arguments and results are encoded and decoded, calls have
//! deadlines, are cancelled, fail, wait and are made again as with a worker in Python, and no kernel, no other process
//! and no shared memory is needed. It is behind the feature `testing`, which belongs into the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! pycrust-client = { version = "*", features = ["testing"] }
//! ```
//!
//! ```
//! use pycrust_client::testing::Worker;
//! use pycrust_client::{Code, Error, Raw};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct AddArgs { a: i32, b: i32 }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let worker = Worker::new("calculator");
//! worker.on("add", |args: AddArgs| Ok(args.a + args.b));
//!
//! // What is tested gets this in the place of `RpcClient::connect("calculator").await?`.
//! let client = worker.client();
//! let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
//! assert_eq!(sum, 30);
//! assert_eq!(worker.calls("add"), [Raw::of(&AddArgs { a: 10, b: 20 })?]);
//!
//! worker.fail_next("add", Error::new(Code::NotFound, "no such number"));
//! let failed = client.call::<_, i32>("add", &(1, 2)).await.unwrap_err();
//! assert_eq!(failed.code(), Code::NotFound);
//! # Ok(())
//! # }
//! ```

mod call;
mod core;
mod handlers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::core::Core;
use crate::blocking;
use crate::builder::Builder;
use crate::client::RpcClient;
use crate::connection::pipe::Door;
use crate::error::Error;
use crate::method::Pinned;
use crate::raw::Raw;

pub use self::handlers::{Arguments, Items, is_cancelled};

/// A worker whose handlers are closures; see the [module](self).
///
/// A closure takes what a handler takes: a struct or a map by name or position, a tuple by position, `()` for nothing, or
/// the one argument itself. Its error arrives as that of a handler does, with code, message and details, and so does its
/// panic, as `UNKNOWN`. All runs on threads of the worker's own: each call of [`on`](Self::on) on one of its own, the rest
/// on one together, which must not be blocked. It ends when it is dropped: its clients are then disconnected.
///
/// # Examples
/// ```
/// # use pycrust_client::Error;
/// use pycrust_client::testing::Worker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let worker = Worker::new("calculator");
/// worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// let client = worker.client();
/// assert_eq!(client.call::<_, i32>("add", &(10, 20)).await?, 30);
///
/// // The worker is ended and comes back: idempotent calls are made again.
/// worker.restart();
/// let again = client.request("add").idempotent(true).send::<_, i32>(&(10, 20)).await?;
/// assert_eq!(again.into_value(), 30);
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    core: Arc<Core>,
}

impl Worker {
    /// A worker that serves a name, to its own clients alone.
    ///
    /// # Panics
    /// If the system gives this process no thread for it.
    pub fn new(name: &str) -> Self {
        match Core::start(name) {
            Ok(core) => Self { core },
            Err(error) => panic!("the system gives this process no thread for a worker: {error}"),
        }
    }

    /// A client of it, which connects with its first call.
    pub fn client(&self) -> RpcClient {
        self.builder().connect_lazy()
    }

    /// A client of it without Tokio: see [`blocking`].
    pub fn blocking_client(&self) -> blocking::RpcClient {
        self.builder().connect_lazy_blocking()
    }

    /// For a client of it that differs from the usual one.
    ///
    /// # Examples
    /// ```
    /// # use pycrust_client::Error;
    /// use pycrust_client::Encoding;
    /// use pycrust_client::testing::Worker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let worker = Worker::new("calculator");
    /// let client = worker.builder().encoding(Encoding::Array).wait_for_ready(true).connect().await?;
    /// assert!(client.is_connected());
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(&self) -> Builder {
        let mut builder = Builder::new(&self.core.name);
        builder.inside = Some(Door(Arc::<Core>::clone(&self.core)));
        builder
    }

    /// Registers a closure under a name, in the place of one that was there: a new version. It may block; one that takes
    /// its time may look at [`is_cancelled`].
    pub fn on<A, R, F>(&self, method: &str, closure: F) -> &Self
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(A) -> Result<R, Error> + Send + Sync + 'static,
    {
        self.publish(method, handlers::plain(closure))
    }

    /// The same with a closure that gives a future. It is dropped where it waits if its caller gives up or its time is over.
    ///
    /// # Examples
    /// ```
    /// # use pycrust_client::Error;
    /// use pycrust_client::testing::Worker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let worker = Worker::new("calculator");
    /// worker.on_async("slow", |(a, b): (i32, i32)| async move {
    ///     tokio::task::yield_now().await;
    ///     Ok(a + b)
    /// });
    /// assert_eq!(worker.client().call::<_, i32>("slow", &(1, 2)).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_async<A, R, F, W>(&self, method: &str, closure: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(A) -> W + Send + Sync + 'static,
        W: Future<Output = Result<R, Error>> + Send + 'static,
    {
        self.publish(method, handlers::asynchronous(closure))
    }

    /// A handler that streams its answer: the items of an iterator, which is asked for the next as the caller takes them,
    /// and must not block.
    ///
    /// # Examples
    /// ```
    /// # use pycrust_client::Error;
    /// use pycrust_client::testing::Worker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let worker = Worker::new("calculator");
    /// worker.on_stream("count", |to: u32| (0..to).map(Ok));
    /// let client = worker.client();
    /// let mut numbers = client.stream::<_, u32>("count", &3);
    /// assert_eq!(numbers.next().await.transpose()?, Some(0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_stream<A, T, I, F>(&self, method: &str, closure: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + Sync + 'static,
        I: IntoIterator<Item = Result<T, Error>, IntoIter: Send + 'static>,
        F: Fn(A) -> I + Send + Sync + 'static,
    {
        self.publish(method, handlers::iterating(closure))
    }

    /// The same with a closure that sends its items when it has them, until its future ends.
    pub fn on_stream_async<A, T, F, W>(&self, method: &str, closure: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        T: 'static,
        F: Fn(A, Items<T>) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.publish(method, handlers::streaming(closure))
    }

    /// A handler that takes a stream of arguments.
    ///
    /// # Examples
    /// ```
    /// # use pycrust_client::Error;
    /// use pycrust_client::testing::{Arguments, Worker};
    ///
    /// let worker = Worker::new("calculator");
    /// worker.on_upload("sum", |numbers: Arguments<i64>| async move {
    ///     Ok(numbers.all().await?.iter().sum::<i64>())
    /// });
    /// let mut client = worker.blocking_client();
    /// assert_eq!(client.request("sum").upload::<_, i64>(1..=3_i64)?.into_value(), 6);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_upload<T, R, F, W>(&self, method: &str, closure: F) -> &Self
    where
        T: 'static,
        R: Serialize + Send + 'static,
        F: Fn(Arguments<T>) -> W + Send + Sync + 'static,
        W: Future<Output = Result<R, Error>> + Send + 'static,
    {
        self.publish(method, handlers::uploading(closure))
    }

    /// A handler that takes a stream of arguments and streams its answer.
    pub fn on_exchange<T, R, F, W>(&self, method: &str, closure: F) -> &Self
    where
        T: 'static,
        R: 'static,
        F: Fn(Arguments<T>, Items<R>) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.publish(method, handlers::exchanging(closure))
    }

    fn publish(&self, method: &str, handler: handlers::Handler) -> &Self {
        self.core.publish(method, Some(handler));
        self
    }

    /// Takes a handler away: later calls end in `UNIMPLEMENTED`.
    pub fn remove(&self, method: &str) {
        self.core.publish(method, None);
    }

    /// Has calls of a method answered with `UNAVAILABLE`, as not run, while it has no handler: it is expected to come, as
    /// from a cell of a notebook that was not run yet.
    pub fn expect(&self, method: &str) -> &Self {
        self.core.entry(method, |entry| entry.expected = true);
        self
    }

    /// The hash of a method's schema from now on: calls that are pinned to another one are refused. Without one, they are
    /// not.
    pub fn schema(&self, method: &str, hash: u64) -> &Self {
        self.described(method, hash, "")
    }

    /// The same with the schema: JSON text `{"kind": …, "request": …, "response": …}`, for callers that compare it with
    /// theirs.
    pub fn described(&self, method: &str, hash: u64, schema: &str) -> &Self {
        self.core.entry(method, |entry| (entry.schema_hash, entry.schema) = (hash, schema.into()));
        self
    }

    /// Gives methods the schemas that these were built against: a worker that fits a program.
    pub fn fits(&self, methods: &[&dyn Pinned]) -> &Self {
        for method in methods {
            self.described(method.name(), method.schema_hash(), method.description());
        }
        self
    }

    /// Lets calls of a method wait so long before they run; one whose caller gives up meanwhile never does.
    pub fn delay(&self, method: &str, delay: Duration) -> &Self {
        self.core.entry(method, |entry| entry.delay = delay);
        self
    }

    /// Answers the next call of a method with this error, in the place of its handler; several of them one call each. Whether the call may have
    /// run is what the error says: [`Error::having_run`].
    pub fn fail_next(&self, method: &str, error: Error) -> &Self {
        self.core.entry(method, |entry| entry.failures.push_back(error));
        self
    }

    /// The arguments of each call of a method that was begun, in their order: those that were refused, or cancelled before
    /// they ran, are not among them.
    pub fn calls(&self, method: &str) -> Vec<Raw> {
        self.core.entry(method, |entry| entry.calls.clone())
    }

    /// Calls of a method that were given up by their callers: a future or a stream was dropped, or its time was over, or
    /// its client was closed.
    pub fn cancelled(&self, method: &str) -> usize {
        self.core.entry(method, |entry| entry.cancelled)
    }

    /// Ends all connections without a word, as if the worker were killed, and takes clients that come back: calls in flight
    /// end in `UNAVAILABLE` and may have run.
    pub fn disconnect(&self) {
        self.core.hang_up(None, true, false);
    }

    /// The same as another worker: it takes clients again also after [`stop`](Self::stop). Its handlers stay.
    pub fn restart(&self) {
        self.core.hang_up(None, true, true);
    }

    /// Says goodbye to all clients, and takes none until it is [restarted](Self::restart).
    pub fn stop(&self) {
        self.core.hang_up(Some("the worker of the test was stopped"), false, false);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.core.end();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.core.name).finish_non_exhaustive()
    }
}
