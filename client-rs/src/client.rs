//! The client: which connection a call takes, and what happens when that one ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pycrust_protocol::Code;
use pycrust_protocol::header::TraceContext;
use pycrust_protocol::name::EndpointName;
use pycrust_protocol::reserved::{HEALTH, Health};
use pycrust_transport::{ConnectError, Connection, Runtime, TransportError, connect, monotonic_ns};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::builder::{Builder, Encoding, WhenFull};
use crate::call::{self, Failure, Finished, Outgoing, until};
use crate::driver;
use crate::error::Error;
use crate::request::Request;
use crate::session::Session;

/// Connections that one call is tried on.
const ATTEMPTS: u32 = 3;
/// Time between two looks for a worker that has not appeared yet.
const LOOK: Duration = Duration::from_millis(20);
/// How long a new connection may take to prove itself.
const PROBE: Duration = Duration::from_secs(5);

/// Calls the handlers of one endpoint. Clones share one connection.
///
/// The client survives its worker: calls in flight at the worker's end fail with UNAVAILABLE, and the next
/// call connects to whoever serves the endpoint then.
#[derive(Clone)]
pub struct RpcClient {
    inner: Arc<Inner>,
}

struct Inner {
    name: EndpointName,
    options: Builder,
    /// The connection, if there was one.
    session: Mutex<Option<Arc<Session>>>,
    /// Held while connecting: one connection is made at a time.
    connecting: tokio::sync::Mutex<()>,
    closed: AtomicBool,
}

impl RpcClient {
    /// Connects to the worker that serves `endpoint`, with default options.
    ///
    /// # Errors
    /// See [`Builder::connect`].
    ///
    /// # Panics
    /// See [`Builder::connect`].
    pub async fn connect(endpoint: &str) -> Result<Self, Error> {
        Self::builder(endpoint).connect().await
    }

    /// Options for connecting to `endpoint`.
    pub fn builder(endpoint: &str) -> Builder {
        Builder::new(endpoint)
    }

    pub(crate) async fn open(options: Builder) -> Result<Self, Error> {
        let name = EndpointName::new(&options.endpoint)
            .map_err(|error| Error::new(Code::InvalidArgument, "connect", error.to_string()))?;
        let wait_until = Instant::now() + options.wait_for_worker;
        let inner = Inner {
            name,
            options,
            session: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
            closed: AtomicBool::new(false),
        };
        let client = Self { inner: Arc::new(inner) };
        loop {
            match client.session().await {
                Ok(_) => return Ok(client),
                Err(error) if error.code() == Code::Unavailable && Instant::now() < wait_until => {
                    sleep(LOOK).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Calls `method` and waits for its answer, for the client's default time.
    ///
    /// Arguments are a struct, a tuple, a map or, for a single one, a value; `&()` is none. Dropping the future
    /// cancels the call.
    ///
    /// # Errors
    /// See [`Request::send`].
    pub async fn call<A, R>(&self, method: &str, args: &A) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        Ok(self.request(method).send(args).await?.into_value())
    }

    /// The same, within `timeout`.
    ///
    /// # Errors
    /// See [`Request::send`].
    pub async fn call_with_timeout<A, R>(&self, method: &str, args: &A, timeout: Duration) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        Ok(self.request(method).timeout(timeout).send(args).await?.into_value())
    }

    /// A call with options of its own, whose answer says which version made it and where the time went.
    pub fn request<'a>(&'a self, method: &'a str) -> Request<'a> {
        Request::new(self, method, self.inner.options.timeout)
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.inner.name.as_str()
    }

    /// Whether there is a connection, as far as this side knows.
    pub fn is_connected(&self) -> bool {
        self.inner.session.lock().as_ref().is_some_and(|session| !session.ended())
    }

    /// Closes the connection, for all clones. Calls in flight and later ones fail with CANCELLED. A second time
    /// it does nothing.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        let session = self.inner.session.lock().take();
        if let Some(session) = session {
            session.flush_reports();
            session.end(Code::Cancelled, "the client was closed");
            session.drop_in_place();
            // Taking down the shared memory takes milliseconds; when this returns, that is done, unless a call
            // still holds on to it.
            let _ = spawn_blocking(move || drop(session)).await;
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.inner.options.encoding
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.inner.options.when_full
    }

    /// Makes a call, on a new connection if the one that there was has ended.
    pub(crate) async fn run(&self, call: &mut Outgoing<'_>) -> Result<Finished, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let session = match self.ready_session() {
                Some(session) => session,
                None => until(call, self.session())
                    .await
                    .ok_or_else(|| call.too_late("the connection took longer"))??,
            };
            match call::run(&session, call).await {
                Ok(finished) => return Ok(finished),
                Err(Failure::Failed(error)) => return Err(error),
                Err(Failure::NotSent) if attempt < ATTEMPTS => {}
                Err(Failure::NotSent) => {
                    let reason = "every connection ended before the call could be sent";
                    return Err(Error::new(Code::Unavailable, call.method, reason));
                }
                Err(Failure::Lost(error)) => {
                    let again = call.idempotent && error.code() == Code::Unavailable && attempt < ATTEMPTS;
                    if !again {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The connection, if it lives.
    fn ready_session(&self) -> Option<Arc<Session>> {
        let session = self.inner.session.lock();
        session.as_ref().filter(|session| !session.ended()).cloned()
    }

    /// The connection; a new one if there is none that lives.
    async fn session(&self) -> Result<Arc<Session>, Error> {
        let _connecting = self.inner.connecting.lock().await;
        if let Some(session) = self.ready_session() {
            return Ok(session);
        }
        self.check_open()?;
        let before = self.inner.session.lock().take();
        drop(before);
        let link = self.link().await?;
        let options = &self.inner.options;
        let session = Session::new(link, options.max_in_flight, options.spin);
        driver::ensure(&session).map_err(|error| {
            let reason = format!("the connection can't be waited for: {error}");
            Error::new(Code::ResourceExhausted, "connect", reason)
        })?;
        self.probe(&session).await?;
        let mut current = self.inner.session.lock();
        self.check_open()?;
        *current = Some(Arc::clone(&session));
        Ok(session)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::new(Code::Cancelled, "connect", "the client was closed"));
        }
        Ok(())
    }

    /// Shakes hands with the worker, on a thread that may block.
    async fn link(&self) -> Result<Connection, Error> {
        let inner = Arc::clone(&self.inner);
        let connected = spawn_blocking(move || {
            let runtime = match &inner.options.runtime_dir {
                Some(dir) => Runtime::at(dir)?,
                None => Runtime::discover()?,
            };
            connect(&runtime, &inner.name, &inner.options.client_name)
        });
        match connected.await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(refused(&error)),
            Err(error) => Err(Error::new(Code::Internal, "connect", format!("connecting stopped: {error}"))),
        }
    }

    /// Asks the worker through the data path whether it is well.
    async fn probe(&self, session: &Arc<Session>) -> Result<(), Error> {
        let started_ns = monotonic_ns();
        let mut call = Outgoing {
            method: HEALTH,
            payload: vec![0xc0],
            started_ns,
            timeout: PROBE,
            expires_ns: Some(started_ns + PROBE.as_nanos() as u64),
            idempotent: true,
            schema_pin: 0,
            trace: TraceContext::default(),
            when_full: WhenFull::Wait,
        };
        let finished = match call::run(session, &mut call).await {
            Ok(finished) => finished,
            Err(Failure::NotSent) => {
                return Err(Error::new(Code::Unavailable, "connect", "the worker went away at once"));
            }
            Err(Failure::Lost(error) | Failure::Failed(error)) => return Err(error),
        };
        if finished.status != Code::Ok {
            return Err(Error::answered(finished.status, HEALTH, &finished.payload));
        }
        let health: Health = rmp_serde::from_slice(&finished.payload)
            .map_err(|error| Error::new(Code::Internal, HEALTH, error.to_string()))?;
        log::debug!("connected to {} (pid {}), {}", health.endpoint, health.pid, health.status);
        Ok(())
    }
}

/// What a caller is told of a connection that did not come about.
fn refused(error: &ConnectError) -> Error {
    let code = match error {
        ConnectError::Refused { code, .. } => *code,
        ConnectError::Transport(TransportError::RuntimeDir { .. }) => Code::FailedPrecondition,
        _ => Code::Unavailable,
    };
    Error::new(code, "connect", error.to_string())
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient")
            .field("endpoint", &self.endpoint())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
