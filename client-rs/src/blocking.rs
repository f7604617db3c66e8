//! A client without Tokio, for threads that run nothing else: real-time loops, plain programs.
//!
//! The calling thread itself sends, polls and sleeps; no other thread takes part in a call, and after the first one nothing
//! is allocated for one whose arguments and result fit into 4 kB. One client makes one call at a time, beside any number of
//! open streams: give each thread its own. All that the client on Tokio can do, this one can, and in the same way.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pycrust_client::blocking::RpcClient;
//!
//! # fn step() -> Result<(), pycrust_client::Error> {
//! let mut client = RpcClient::connect("arm")?;
//! let torque: f64 = client.call_with_timeout("torque", &(0.1, 0.2), Duration::from_millis(2))?;
//! # Ok(())
//! # }
//! ```

mod pacer;
mod request;
mod streaming;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pycrust_transport::AppliedRealTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::call::outgoing::Call;
use crate::connection::driver;
use crate::connection::state::{ConnectionState, StateChanges};
use crate::connection::thread::Thread;
use crate::error::Error;
use crate::method::{Method, Pinned, pins};
use crate::shared::Shared;
use crate::tensor::{Arena, Element, TensorMut};

pub use self::pacer::Pacer;
pub use self::streaming::Streaming;

/// A call with options, on this client; see [`RpcClient::request`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// # fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let mut client = worker.blocking_client();
/// let reply = client.request("add").timeout(Duration::from_secs(1)).send::<_, i32>(&(10, 20))?;
/// assert_eq!((*reply.value(), reply.version()), (30, 1));
/// # }
/// # Ok(())
/// # }
/// ```
pub type Request<'a> = crate::Request<'a, &'a mut RpcClient>;

/// Calls the handlers of one endpoint from one thread; see the [module](self).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let mut client = worker.blocking_client();
/// let sum: i32 = client.call("add", &(10, 20))?;
/// assert_eq!(sum, 30);
/// client.close();
/// # }
/// # Ok(())
/// # }
/// ```
pub struct RpcClient {
    shared: Arc<Shared>,
    thread: Thread,
    /// What the thread that made it was given, until it is dropped.
    realtime: Option<AppliedRealTime>,
}

/// The ways to connect without Tokio.
impl Builder {
    /// Like [`connect_lazy`](Self::connect_lazy), without Tokio: see [`blocking`](crate::blocking).
    pub fn connect_lazy_blocking(mut self) -> RpcClient {
        let applied = self.options.realtime.take().map(|realtime| realtime.apply());
        let realtime = match applied {
            Some(Ok(applied)) => Some(applied),
            Some(Err(error)) => {
                self.options.refused = Some(error.to_string());
                None
            }
            None => None,
        };
        for line in realtime.iter().flat_map(AppliedRealTime::missing) {
            log::warn!("{}: {line}", self.name);
        }
        RpcClient { shared: Arc::new(Shared::new(self)), thread: Thread::default(), realtime }
    }

    /// Connects without Tokio: see [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_blocking(self) -> Result<RpcClient, Error> {
        RpcClient::connect_with(self)
    }
}

impl StateChanges {
    /// The same as [`next`](Self::next), for a thread without Tokio: it blocks until then.
    pub fn wait(&mut self) -> Option<ConnectionState> {
        Thread::default().block_on(self.next())
    }
}

impl RpcClient {
    /// Connects to the worker that serves `name`.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    pub fn connect(name: &str) -> Result<Self, Error> {
        Builder::new(name).connect_blocking()
    }

    pub(crate) fn connect_with(builder: Builder) -> Result<Self, Error> {
        let client = builder.connect_lazy_blocking();
        client.thread.block_on(client.shared.begin(&client.thread))?;
        Ok(client)
    }

    /// Calls a handler with the client's usual time limit.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn call<A, R>(&mut self, method: &str, args: &A) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_of(&Call::new(method), args)
    }

    /// Like [`call`](Self::call), with a time limit of its own. [`Duration::MAX`] is no limit.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn call_with_timeout<A, R>(&mut self, method: &str, args: &A, timeout: Duration) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_of(&Call::with_timeout(method, timeout), args)
    }

    fn call_of<A, R>(&self, call: &Call<'_>, args: &A) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let encoded = self.shared.encode(call, args);
        self.thread.block_on(self.shared.call(&self.thread, encoded))
    }

    /// As in [`crate::RpcClient::invoke`].
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::invoke`].
    pub fn invoke<A, R>(&mut self, method: &Method<A, R>, args: &A) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_of(&method.call(), args)
    }

    /// As in [`crate::RpcClient::check`].
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::check`].
    pub fn check(&mut self, methods: &[&dyn Pinned]) -> Result<(), Error> {
        self.thread.block_on(self.shared.check(&self.thread, &pins(methods)))
    }

    /// As in [`crate::RpcClient::request_of`].
    pub fn request_of<A: ?Sized, R>(&mut self, method: &Method<A, R>) -> Request<'_> {
        Request::of(self, method)
    }

    /// As in [`crate::RpcClient::open`].
    pub fn open<A, R>(&mut self, method: &Method<A, R>, args: &A) -> Streaming<'static, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.request_of(method).stream(args)
    }

    /// A call with options.
    pub fn request<'a>(&'a mut self, method: &'a str) -> Request<'a> {
        Request::new(self, method)
    }

    /// Calls a handler that streams: see [`crate::RpcClient::stream`]. Other calls may be made while it is open.
    ///
    /// # Examples
    /// ```no_run
    /// # fn watch(mut client: pycrust_client::blocking::RpcClient) -> Result<(), pycrust_client::Error> {
    /// for tick in client.stream::<_, (String, f64)>("ticks", &("BUND",)) {
    ///     let (symbol, price) = tick?;
    ///     println!("{symbol}: {price}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<A, R>(&mut self, method: &str, args: &A) -> Streaming<'static, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.request(method).stream(args)
    }

    /// As in [`crate::RpcClient::pacer`].
    ///
    /// # Panics
    /// If the period is zero.
    pub fn pacer(&self, period: Duration) -> Pacer {
        Pacer::new(Arc::clone(&self.shared), period)
    }

    /// As in [`crate::RpcClient::allocate`].
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::allocate`].
    pub fn allocate<T: Element>(&mut self, shape: &[usize]) -> Result<TensorMut<T>, Error> {
        self.thread.block_on(self.shared.allocate(&self.thread, shape))
    }

    /// As in [`crate::RpcClient::build`].
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::allocate`].
    pub fn build<T: Send>(
        &mut self,
        bytes: usize,
        build: impl FnOnce(&Arena) -> T + Send,
    ) -> Result<T, Error> {
        self.thread.block_on(self.shared.build(&self.thread, bytes, build))
    }

    /// Closes the connection and takes it down: streams end in `CANCELLED`, and so does every later call. Closing again
    /// does nothing.
    pub fn close(&mut self) {
        let session = self.shared.connector.close();
        self.thread.forget();
        // This thread is the client's: it may block.
        session.inspect(|session| session.drop_in_place());
    }

    /// Where the client stands with its worker right now.
    pub fn state(&self) -> ConnectionState {
        // Nobody else looks between calls.
        if let Some(session) = self.shared.connector.current() {
            driver::look_at_control(&session);
        }
        self.shared.connector.states.now()
    }

    /// Tells of every change of [`state`](Self::state) from now on, for another thread
    /// ([`StateChanges::wait`] blocks): changes are found by calls, and by `state`.
    pub fn state_changes(&self) -> StateChanges {
        self.shared.connector.states.changes()
    }

    /// As in [`crate::RpcClient::ready`].
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn ready<A: Serialize + ?Sized>(&mut self, method: &str, args: &A) -> Result<(), Error> {
        let (thread, shared) = (&self.thread, &self.shared);
        thread.block_on(shared.ready(thread, method, args))
    }

    /// What the thread that connected was given, if [`Builder::realtime`] asked for it: until the client is dropped, there.
    pub fn realtime(&self) -> Option<&AppliedRealTime> {
        self.realtime.as_ref()
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.shared.endpoint()
    }

    /// Whether there is a connection right now. The next call makes one if there is not.
    pub fn is_connected(&self) -> bool {
        matches!(self.state(), ConnectionState::Connected { .. })
    }
}

impl Drop for RpcClient {
    fn drop(&mut self) {
        self.thread.forget();
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f)
    }
}
