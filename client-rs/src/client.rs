//! The client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::call::outgoing::Call;
use crate::connection::state::{ConnectionState, StateChanges};
use crate::connection::waiting::Tokio;
use crate::connection::{threads, timer};
use crate::error::Error;
use crate::method::{Method, Pinned, pins};
use crate::pacing::Pacer;
use crate::shared::Shared;
use crate::tensor::{Arena, Element, TensorMut};

/// Calls the handlers of one endpoint.
///
/// Cloning is cheap, and clones share one connection. When the worker goes away, the calls in flight end in
/// `UNAVAILABLE`, and the next call connects to the worker that serves the name then.
///
/// It is used on a Tokio runtime with I/O enabled, multi-thread or current-thread; clones may be
/// used on different runtimes at the same time. No call blocks a runtime's thread.
///
/// A client belongs to the process that made it: in a forked child every call on it ends in `FAILED_PRECONDITION` at once,
/// and the child makes clients of its own, on a runtime of its own. (Tokio waits for a runtime's threads when that is
/// dropped, and a child has none of them: leave the parent's alone, or use `shutdown_background`.)
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
    pub(crate) shared: Arc<Shared>,
}

impl RpcClient {
    /// Connects to the worker that serves `name`.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn connect() -> Result<(), pycrust_client::Error> {
    /// let client = pycrust_client::RpcClient::connect("calculator").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(name: &str) -> Result<Self, Error> {
        Self::builder(name).connect().await
    }

    /// A client that differs from the usual one.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use pycrust_client::RpcClient;
    ///
    /// let client = RpcClient::builder("calculator").timeout(Duration::from_millis(50)).connect_lazy();
    /// assert_eq!((client.endpoint(), client.is_connected()), ("calculator", false));
    /// ```
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    pub(crate) async fn connect_with(builder: Builder) -> Result<Self, Error> {
        let client = builder.connect_lazy();
        client.shared.begin(&Tokio).await?;
        Ok(client)
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
    ///
    /// # Examples
    /// ```
    /// use pycrust_client::Code;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
    /// # let client = worker.client();
    /// let sum: i32 = client.call("add", &(10, 20)).await?;
    /// assert_eq!(sum, 30);
    ///
    /// let missing = client.call::<_, i32>("subtract", &(10, 20)).await.unwrap_err();
    /// assert_eq!(missing.code(), Code::Unimplemented);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<'a, A, R>(
        &'a self,
        method: &'a str,
        args: &A,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_of(&Call::new(method), args)
    }

    /// Like [`call`](Self::call), with a time limit of its own. [`Duration::MAX`] is no limit.
    ///
    /// # Errors
    /// Those of [`call`](Self::call).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use pycrust_client::Code;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on_async("slow", |(): ()| std::future::pending::<Result<i32, _>>());
    /// # let client = worker.client();
    /// let late = client.call_with_timeout::<_, i32>("slow", &(), Duration::from_millis(5)).await.unwrap_err();
    /// assert_eq!(late.code(), Code::DeadlineExceeded);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
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
        self.call_of(&Call::with_timeout(method, timeout), args)
    }

    fn call_of<'a, A, R>(
        &'a self,
        call: &Call<'a>,
        args: &A,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let encoded = self.shared.encode(call, args);
        self.shared.call(&Tokio, encoded)
    }

    /// Calls a method with its own options and waits for its result; otherwise as [`call`](Self::call).
    ///
    /// # Errors
    /// Those of [`call`](Self::call); `FAILED_PRECONDITION` if the method is pinned to another schema than its handler has.
    ///
    /// # Examples
    /// ```no_run
    /// use pycrust_client::{Error, Method, RpcClient};
    ///
    /// const GREET: Method<str, String> = Method::new("greet").idempotent();
    ///
    /// # async fn greet(client: RpcClient) -> Result<(), Error> {
    /// let greeting = client.invoke(&GREET, "Ada").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn invoke<'a, A, R>(
        &'a self,
        method: &Method<A, R>,
        args: &A,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, A, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_of(&method.call(), args)
    }

    /// Whether the worker has these methods, as they were built against: all are looked at, at once.
    ///
    /// One that is not [pinned](Method::schema) has only to be there. One that is [described](Method::described) may
    /// differ in what does not concern callers that were built before.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`, which names every method that differs, with both hashes and, where it is described, what
    /// differs, and every one that is missing; `UNIMPLEMENTED` if some are missing and none differs. [`Error::details`]
    /// are a list of maps with the keys `method`, `pinned`, `live`, `version` (0 where it is missing) and `changes`.
    /// Otherwise those of [`call`](Self::call).
    ///
    /// # Examples
    /// ```no_run
    /// # use pycrust_client::{Error, Method, RpcClient};
    /// # const ADD: Method<(i32, i32), i32> = Method::new("add");
    /// # const PLACE: Method<str, u64> = Method::new("place");
    /// # async fn check(client: RpcClient) -> Result<(), Error> {
    /// client.check(&[&ADD, &PLACE]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check(&self, methods: &[&dyn Pinned]) -> Result<(), Error> {
        self.shared.check(&Tokio, &pins(methods)).await
    }

    /// Paces a loop that calls on this client, or on clones of it: one pacer for a client, since the worker is told of the
    /// last one's ticks. The first tick comes at once.
    ///
    /// # Panics
    /// If the period is zero.
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
    /// let mut pacer = client.pacer(Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     pacer.tick().await;
    ///     let sum: i32 = client.call("add", &(10, 20)).await?;
    /// }
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pacer(&self, period: Duration) -> Pacer {
        Pacer::new(Arc::clone(&self.shared), period)
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
        self.shared.allocate(&Tokio, shape).await
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
        self.shared.build(&Tokio, bytes, build).await
    }

    /// Closes the connection, also for all clones, and waits until it is taken down.
    ///
    /// Calls in flight end in `CANCELLED`, and so does every later call. Closing again does nothing.
    ///
    /// # Examples
    /// ```
    /// use pycrust_client::Code;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
    /// # let client = worker.client();
    /// client.close().await;
    /// let closed = client.call::<_, i32>("add", &(10, 20)).await.unwrap_err();
    /// assert_eq!(closed.code(), Code::Cancelled);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) {
        let Some(session) = self.shared.connector.close() else { return };
        // It takes milliseconds. Where there is no thread for it, it was done here, on the way out.
        if let Ok(mut taking_down) = threads::start(move || drop(session)) {
            let limit_ns = timer::after(self.shared.options.timeout);
            timer::until(Some(limit_ns), taking_down.outcome()).await;
        }
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
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pycrust_client::Error> {
    /// # #[cfg(feature = "testing")] {
    /// # let worker = pycrust_client::testing::Worker::new("calculator");
    /// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
    /// # let client = worker.client();
    /// client.ready("add", &(0, 0)).await?;
    /// assert!(client.is_connected());
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready<A: Serialize + ?Sized>(&self, method: &str, args: &A) -> Result<(), Error> {
        self.shared.ready(&Tokio, method, args).await
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.shared.endpoint()
    }

    /// Whether there is a connection right now. The next call makes one if there is not.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected()
    }
}

/// The ways to connect on Tokio.
impl Builder {
    /// A client that connects when its first call is made: there need be no worker yet. A name that no endpoint can have
    /// is found then, too.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn add() -> Result<(), pycrust_client::Error> {
    /// let client = pycrust_client::RpcClient::builder("calculator").wait_for_ready(true).connect_lazy();
    /// let sum: i32 = client.call("add", &(1, 2)).await?; // waits for the worker, 30 s at most
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_lazy(self) -> RpcClient {
        RpcClient { shared: Arc::new(Shared::new(self)) }
    }

    /// Connects, and asks the worker through the data path whether it is there.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that no endpoint can have or options with which no call can be made, `UNAVAILABLE` if nobody serves it (the
    /// message says where was looked and which endpoints live there), `FAILED_PRECONDITION` if the runtime
    /// directory can't be trusted or the caller is in no Tokio runtime, or in one without I/O, or what the worker
    /// refused with.
    pub async fn connect(self) -> Result<RpcClient, Error> {
        RpcClient::connect_with(self).await
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_s_future_has_room_for_what_every_call_needs_only() {
        let client = RpcClient::builder("nobody").connect_lazy();
        let (call, send) = (client.call::<_, i64>("add", &(1, 2)), client.request("add"));
        let send = send.send::<_, i64>(&(1, 2));
        let sizes = [size_of_val(&call), size_of_val(&send)];
        // Each time that it is moved, so many bytes are copied.
        assert!(sizes.iter().all(|size| *size <= 1280), "{sizes:?} bytes");
    }
}
