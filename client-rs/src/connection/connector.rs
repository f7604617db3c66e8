//! Finds, keeps and replaces the connection of a client.

use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::limits::fitting;
use pycrust_protocol::name::EndpointName;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{ConnectError, Connecting, Process, Progress, Runtime, TransportError, monotonic_ns};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::connection::backoff::jittered;
#[cfg(feature = "testing")]
use crate::connection::pipe::Door;
use crate::connection::session::Session;
use crate::connection::state::{ConnectionState, INHERITED, States};
use crate::connection::timer::{self, Sleep};
use crate::connection::waiting::Waiting;
use crate::connection::wire::Wire;
use crate::connection::{descriptor, home, threads};
use crate::error::Error;
use crate::options::FOREVER;
use crate::options::{Options, Retry};
use crate::spin::Spin;
use crate::telemetry;

/// What an error of a connection, not of a call, is about.
const SUBJECT: &str = "connect";

/// What is known of a connection that ended before it was told of.
const AT_ONCE: &str = "the connection ended at once";

/// Bytes of a client's name that are sent; a worker keeps no more.
const MAX_CLIENT_NAME: usize = 128;

/// The connection of a client and its clones.
pub(crate) struct Connector {
    address: Address,
    /// Why no call could be made, if none could.
    unfit: Option<String>,
    max_in_flight: usize,
    spin: Spin,
    /// Between attempts of callers that wait for a worker.
    retry: Retry,
    /// What the client's users are told of it.
    pub(crate) states: Arc<States>,
    /// Taken for the time that a clone of an `Arc` takes.
    state: Mutex<State>,
    /// A handshake that took longer than the call for which it was begun: the next one goes on with it.
    begun: Mutex<Option<Connecting>>,
    /// Told when it is connected or closed.
    changed: Notify,
    /// The process that the client was made in: another one touches nothing of it, least of all a lock.
    process: Process,
}

/// Whom to connect with.
#[derive(Clone)]
struct Address {
    name: String,
    /// Where workers are looked for, if the user said.
    runtime_dir: Option<PathBuf>,
    /// What the worker's side calls this client.
    client_name: String,
    /// The worker of a test, in this process, which takes its place.
    #[cfg(feature = "testing")]
    inside: Option<Door>,
}

enum State {
    Down(Failures),
    Connecting(Arc<Attempt>, Failures),
    Up(Arc<Session>),
    Closed,
}

/// Attempts that failed since there was a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// The pause after the last one.
    pause: Duration,
    /// When it is over, on `CLOCK_MONOTONIC`.
    until_ns: u64,
}

impl Failures {
    /// One more. Callers that don't wait may try before the pause is over: that does not make it longer.
    fn after(self, retry: Retry) -> Self {
        let now_ns = monotonic_ns();
        if now_ns < self.until_ns {
            return Self { count: self.count + 1, ..self };
        }
        let pause = match self.count {
            0 => retry.first_pause,
            _ => self.pause.saturating_mul(2),
        };
        let pause = pause.min(retry.longest_pause).min(FOREVER);
        let until_ns = now_ns.saturating_add(jittered(pause).as_nanos() as u64);
        Self { count: self.count + 1, pause, until_ns }
    }
}

/// One attempt to connect, whoever waits for it.
#[derive(Default)]
struct Attempt {
    outcome: OnceLock<Result<Arc<Session>, Error>>,
    over: Notify,
    /// Known once it is spawned, if it is.
    task: OnceLock<AbortHandle>,
}

impl Attempt {
    fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// What a caller without a connection finds.
enum Found {
    Session(Arc<Session>),
    /// An attempt, to be waited for.
    Attempt(Arc<Attempt>),
    /// The same, to be made by this caller.
    Mine(UnderWay),
}

impl Connector {
    pub(crate) fn new(
        name: &str,
        options: &Options,
        #[cfg(feature = "testing")] inside: Option<Door>,
    ) -> Arc<Self> {
        Arc::new(Self {
            address: Address {
                name: name.into(),
                runtime_dir: options.runtime_dir.clone(),
                client_name: fitting(&options.client_name, MAX_CLIENT_NAME).into(),
                #[cfg(feature = "testing")]
                inside,
            },
            unfit: options.check().err(),
            max_in_flight: options.max_in_flight,
            spin: options.spin,
            retry: options.retry,
            states: Arc::new(States::new(name)),
            state: Mutex::new(State::Down(Failures::default())),
            begun: Mutex::default(),
            changed: Notify::new(),
            process: Process::current(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.address.name
    }

    /// The connection, if there is one that has not ended.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        if !self.process.is_current() {
            return None;
        }
        match &*self.state.lock() {
            State::Up(session) if !session.ended() => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// A connection. Callers that come while one is being made wait for the same one.
    pub(crate) async fn connect<W: Waiting>(
        self: &Arc<Self>,
        waiting: &W,
        expires_ns: Option<u64>,
    ) -> Result<Arc<Session>, Error> {
        let attempt = match self.find()? {
            Found::Session(session) => return Ok(session),
            Found::Attempt(attempt) => attempt,
            Found::Mine(under_way) => {
                let attempt = Arc::clone(&under_way.attempt);
                // It goes on if the caller who began it goes away.
                waiting.connect(under_way, expires_ns);
                attempt
            }
        };
        let session = loop {
            let over = attempt.over.notified();
            if let Some(outcome) = attempt.outcome.get() {
                break outcome.clone()?;
            }
            waiting.until(None, over).await;
        };
        // Where each caller waits: the attempt is made in none of these places.
        waiting.attend(&session).map_err(|error| Error::not_waited_for(SUBJECT, &error))?;
        Ok(session)
    }

    /// A connection, as soon as there is a worker. All who wait make one attempt at a time, with pauses in between.
    pub(crate) async fn connect_when_ready<W: Waiting>(
        self: &Arc<Self>,
        waiting: &W,
        expires_ns: Option<u64>,
    ) -> Result<Arc<Session>, Error> {
        loop {
            let changed = self.changed.notified();
            if let Some(until_ns) = self.pausing_until() {
                waiting.until(Some(until_ns), changed).await;
                continue;
            }
            match self.connect(waiting, expires_ns).await {
                Err(error) if error.code() == Code::Unavailable => {}
                outcome => return outcome,
            }
        }
    }

    /// When the pause after the last attempt is over, if it isn't.
    fn pausing_until(&self) -> Option<u64> {
        if !self.process.is_current() {
            return None;
        }
        match &*self.state.lock() {
            State::Down(failures) if failures.until_ns > monotonic_ns() => Some(failures.until_ns),
            _ => None,
        }
    }

    fn find(self: &Arc<Self>) -> Result<Found, Error> {
        if !self.process.is_current() {
            return Err(inherited(SUBJECT));
        }
        if let Some(reason) = &self.unfit {
            return Err(Error::of_call(Code::InvalidArgument, SUBJECT, reason.as_str()));
        }
        let mut state = self.state.lock();
        let failures = match &*state {
            State::Up(session) if !session.ended() => return Ok(Found::Session(Arc::clone(session))),
            State::Connecting(attempt, _) => return Ok(Found::Attempt(Arc::clone(attempt))),
            State::Closed => return Err(closed()),
            State::Up(_) => Failures::default(),
            State::Down(failures) => *failures,
        };
        let attempt = Arc::new(Attempt::default());
        let before = mem::replace(&mut *state, State::Connecting(Arc::clone(&attempt), failures));
        drop(state);
        drop(before);
        if failures.count == 0 {
            // Once it has failed, it is told of again when it succeeds, or fails for another reason.
            if self.states.set(ConnectionState::Connecting) {
                ConnectionState::Connecting.report(self.name());
            }
        }
        Ok(Found::Mine(UnderWay { connector: Arc::downgrade(self), attempt }))
    }

    /// Ends the connection for good: what is left of it, to be dropped where that may block.
    pub(crate) fn close(&self) -> Option<Arc<Session>> {
        if !self.process.is_current() {
            return None;
        }
        let before = mem::replace(&mut *self.state.lock(), State::Closed);
        let begun = self.begun.lock().take();
        drop(begun);
        if self.states.set(ConnectionState::Closed) {
            ConnectionState::Closed.report(self.name());
        }
        self.changed.notify_waiters();
        match before {
            State::Up(session) => {
                session.flush_reports();
                session.end(Code::Cancelled, "the client was closed");
                Some(session)
            }
            State::Connecting(attempt, _) => {
                attempt.abort();
                None
            }
            State::Down(_) | State::Closed => None,
        }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if self.process.is_current()
            && let State::Connecting(attempt, _) = self.state.get_mut()
        {
            attempt.abort();
        }
    }
}

/// An attempt under way.
pub(crate) struct UnderWay {
    connector: Weak<Connector>,
    attempt: Arc<Attempt>,
}

impl UnderWay {
    /// Connects on threads of the crate's own.
    pub(crate) fn start(self) {
        match home::handle() {
            Ok(home) => {
                let attempt = Arc::clone(&self.attempt);
                let _ = attempt.task.set(home.spawn(self.run()).abort_handle());
            }
            Err(error) => self.end(Err(Error::no_thread(SUBJECT, &error))),
        }
    }

    async fn run(self) {
        let Some(address) = self.connector.upgrade().map(|connector| connector.address.clone()) else {
            return;
        };
        let connected = address.connect().await;
        let Some(connector) = self.connector.upgrade() else { return };
        self.end(connected.map(|link| connector.session(link)));
    }

    /// Connects on this very thread, but not longer than until then.
    pub(crate) fn run_here(self, expires_ns: Option<u64>) {
        let Some(connector) = self.connector.upgrade() else { return };
        let connected = connector.address.connect_here(&connector.begun, expires_ns);
        self.end(connected.map(|link| connector.session(link)));
    }

    fn end(&self, outcome: Result<Arc<Session>, Error>) {
        let Some(connector) = self.connector.upgrade() else { return };
        let mut state = connector.state.lock();
        let next = match (&*state, &outcome) {
            (State::Connecting(attempt, failures), outcome) if Arc::ptr_eq(attempt, &self.attempt) => {
                match outcome {
                    Ok(session) => Some(State::Up(Arc::clone(session))),
                    // It goes on with the next call.
                    Err(error) if error.code() == Code::DeadlineExceeded => Some(State::Down(*failures)),
                    Err(_) => Some(State::Down(failures.after(connector.retry))),
                }
            }
            // Closed meanwhile.
            _ => None,
        };
        let outcome = match next {
            Some(next) => {
                *state = next;
                // Under the lock, so that it is told in order with a close.
                let told = connector.tell(&outcome);
                drop(state);
                // Whoever listens to telemetry may use the client.
                told.report(connector.name());
                outcome
            }
            None => {
                drop(state);
                drop(outcome);
                Err(closed())
            }
        };
        if outcome.is_ok() {
            connector.changed.notify_waiters();
        }
        if self.attempt.outcome.set(outcome).is_ok() {
            self.attempt.over.notify_waiters();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.attempt.outcome.get().is_none() {
            self.end(Err(Error::of_call(Code::Unavailable, SUBJECT, "connecting stopped")));
        }
    }
}

impl Address {
    /// The first step, as far as that goes without waiting for the worker.
    fn dial(&self) -> Result<Progress, Error> {
        let name = EndpointName::new(&self.name)
            .map_err(|error| Error::of_call(Code::InvalidArgument, SUBJECT, error.to_string()))?;
        // Each time: it may have been removed, or not have been there.
        let runtime = match &self.runtime_dir {
            Some(dir) => Runtime::at(dir),
            None => Runtime::discover(),
        };
        let runtime = runtime.map_err(|error| transport_error(&error))?;
        proceed(Connecting::new(&runtime, &name, &self.client_name))
    }

    /// Makes a connection: the work on threads of ours, the waits in between on none.
    async fn connect(self) -> Result<Wire, Error> {
        #[cfg(feature = "testing")]
        if let Some(door) = &self.inside {
            return door.connect();
        }
        let mut progress = on_a_hand(move || self.dial()).await?;
        loop {
            match progress {
                Progress::Connected(link) => return Ok(Wire::Shared(*link)),
                Progress::Waits(waits) => {
                    wait(&waits).await.map_err(|error| Error::not_waited_for(SUBJECT, &error))?;
                    progress = on_a_hand(move || proceed(waits)).await?;
                }
            }
        }
    }

    /// Makes a connection on this very thread. What is not done when the time is over is left in `begun`.
    fn connect_here(
        &self,
        begun: &Mutex<Option<Connecting>>,
        expires_ns: Option<u64>,
    ) -> Result<Wire, Error> {
        #[cfg(feature = "testing")]
        if let Some(door) = &self.inside {
            return door.connect();
        }
        let before = begun.lock().take();
        // The worker that was dialled may be gone.
        let mut progress = match before.map(proceed) {
            Some(Ok(progress)) => progress,
            Some(Err(_)) | None => self.dial()?,
        };
        loop {
            let waits = match progress {
                Progress::Connected(link) => return Ok(Wire::Shared(*link)),
                Progress::Waits(waits) => waits,
            };
            let left = expires_ns.map(|at| Duration::from_nanos(at.saturating_sub(monotonic_ns())));
            if left.is_some_and(|left| left.is_zero()) {
                *begun.lock() = Some(waits);
                let reason = "the connection takes longer than that; the next call goes on with it";
                return Err(Error::of_call(Code::DeadlineExceeded, SUBJECT, reason));
            }
            waits.wait(left.map_or_else(|| waits.until(), |left| Instant::now() + left));
            progress = proceed(waits)?;
        }
    }
}

fn proceed(connecting: Connecting) -> Result<Progress, Error> {
    connecting.proceed().map_err(|error| match &error {
        ConnectError::Refused { code, reason } => Error::of_call(*code, SUBJECT, reason.as_str()),
        ConnectError::Transport(error) => transport_error(error),
        ConnectError::Version { .. } => Error::of_call(Code::FailedPrecondition, SUBJECT, error.to_string()),
        _ => Error::of_call(Code::Unavailable, SUBJECT, error.to_string()),
    })
}

async fn on_a_hand(
    step: impl FnOnce() -> Result<Progress, Error> + Send + 'static,
) -> Result<Progress, Error> {
    let mut step = threads::start(step).map_err(|error| Error::no_thread(SUBJECT, &error))?;
    step.outcome()
        .await
        .unwrap_or_else(|| Err(Error::of_call(Code::Internal, SUBJECT, "connecting panicked")))
}

/// Waits until a handshake can go on, or is to.
async fn wait(connecting: &Connecting) -> io::Result<()> {
    let until_ns = timer::after(connecting.until().saturating_duration_since(Instant::now()));
    match connecting.socket() {
        Some(socket) => {
            let socket = descriptor::watch(&Handle::current(), socket)?;
            timer::until(Some(until_ns), socket.readable()).await;
        }
        None => Sleep::until(until_ns).await,
    }
    Ok(())
}

impl Connector {
    /// Tells how an attempt ended.
    fn tell(&self, outcome: &Result<Arc<Session>, Error>) -> Told {
        match outcome {
            Err(error) => {
                let state = ConnectionState::Disconnected { reason: error.message().into() };
                Told { lost: false, state: self.states.set(state.clone()).then_some(state) }
            }
            Ok(session) => {
                let welcome = session.link.welcome();
                let (pid, generation, connection) = (welcome.pid, welcome.generation, welcome.connection);
                let state = ConnectionState::Connected { pid, generation, connection };
                let state = self.states.set(state.clone()).then_some(state);
                // It may have ended before it was told of.
                let lost = session.ended() && self.states.ended(generation, connection, AT_ONCE);
                Told { state, lost }
            }
        }
    }

    fn session(&self, link: Wire) -> Arc<Session> {
        Session::new(link, self.max_in_flight, self.spin, Arc::clone(&self.states))
    }
}

/// What the client's users were told of an attempt.
struct Told {
    /// The new state, if it is one.
    state: Option<ConnectionState>,
    /// Whether that was over at once.
    lost: bool,
}

impl Told {
    /// Tells the same to telemetry.
    fn report(&self, endpoint: &str) {
        if let Some(state) = &self.state {
            state.report(endpoint);
        }
        if self.lost {
            telemetry::lost(endpoint, AT_ONCE);
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.address.name).finish_non_exhaustive()
    }
}

/// A client is used in a child that was forked from the process that made it.
pub(crate) fn inherited(method: &str) -> Error {
    Error::of_call(Code::FailedPrecondition, method, INHERITED)
}

fn closed() -> Error {
    Error::of_call(Code::Cancelled, SUBJECT, "the client is closed")
}

fn transport_error(error: &TransportError) -> Error {
    let code = match error {
        TransportError::RuntimeDir { .. } | TransportError::Unproven(_) => Code::FailedPrecondition,
        TransportError::Descriptors(_) => Code::ResourceExhausted,
        _ => Code::Unavailable,
    };
    Error::of_call(code, SUBJECT, error.to_string())
}
