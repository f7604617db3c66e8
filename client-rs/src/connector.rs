//! Finds, keeps and replaces the connection of a client.

use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::name::EndpointName;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{ConnectError, Process, Runtime, TransportError, connect, monotonic_ns};
use tokio::sync::Notify;

use crate::builder::{Options, Retry};
use crate::error::Error;
use crate::retries::jittered;
use crate::session::Session;
use crate::spin::Spin;
use crate::state::{ConnectionState, INHERITED, States};
use crate::waiting::{Prepare, Waiting};

/// What an error of a connection, not of a call, is about.
const SUBJECT: &str = "connect";

/// The connection of a client and its clones.
pub(crate) struct Connector {
    name: String,
    /// Where workers are looked for, if the user said.
    runtime_dir: Option<PathBuf>,
    /// What the worker's side calls this client.
    client_name: String,
    max_in_flight: usize,
    spin: Spin,
    /// Between attempts of callers that wait for a worker.
    retry: Retry,
    /// What the client's users are told of it.
    pub(crate) states: Arc<States>,
    /// Taken for the time that a clone of an `Arc` takes.
    state: Mutex<State>,
    /// Told when it is connected or closed.
    changed: Notify,
    /// The process that the client was made in: another one touches nothing of it, least of all a lock.
    process: Process,
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
            _ => (self.pause * 2).min(retry.longest_pause),
        };
        let until_ns = now_ns.saturating_add(jittered(pause).as_nanos() as u64);
        Self { count: self.count + 1, pause, until_ns }
    }
}

/// One attempt to connect, whoever waits for it.
#[derive(Default)]
struct Attempt {
    outcome: OnceLock<Result<Arc<Session>, Error>>,
    over: Notify,
}

/// What a caller without a connection finds.
enum Found {
    Session(Arc<Session>),
    /// An attempt, to be waited for.
    Attempt(Arc<Attempt>),
    /// The same, to be made by this caller.
    Mine(Connecting),
}

impl Connector {
    pub(crate) fn new(name: &str, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            runtime_dir: options.runtime_dir.clone(),
            client_name: options.client_name.clone(),
            max_in_flight: options.max_in_flight,
            spin: options.spin,
            retry: options.retry,
            states: Arc::new(States::new()),
            state: Mutex::new(State::Down(Failures::default())),
            changed: Notify::new(),
            process: Process::current(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
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
    pub(crate) async fn connect<W: Waiting>(self: &Arc<Self>, waiting: &W) -> Result<Arc<Session>, Error> {
        let attempt = match self.find()? {
            Found::Session(session) => return Ok(session),
            Found::Attempt(attempt) => attempt,
            Found::Mine(connecting) => {
                let attempt = Arc::clone(&connecting.attempt);
                // It goes on if the caller who began it goes away.
                waiting.connect(move |prepare| connecting.run(prepare));
                attempt
            }
        };
        loop {
            let over = attempt.over.notified();
            if let Some(outcome) = attempt.outcome.get() {
                return outcome.clone();
            }
            waiting.until(None, over).await;
        }
    }

    /// A connection, as soon as there is a worker. All who wait make one attempt at a time, with pauses in between.
    pub(crate) async fn connect_when_ready<W: Waiting>(
        self: &Arc<Self>,
        waiting: &W,
    ) -> Result<Arc<Session>, Error> {
        loop {
            let changed = self.changed.notified();
            if let Some(until_ns) = self.pausing_until() {
                waiting.until(Some(until_ns), changed).await;
                continue;
            }
            match self.connect(waiting).await {
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
            self.states.set(ConnectionState::Connecting);
        }
        Ok(Found::Mine(Connecting { connector: Arc::clone(self), attempt }))
    }

    /// Ends the connection for good: what is left of it, to be dropped where that may block.
    pub(crate) fn close(&self) -> Option<Arc<Session>> {
        if !self.process.is_current() {
            return None;
        }
        let before = mem::replace(&mut *self.state.lock(), State::Closed);
        self.states.set(ConnectionState::Closed);
        self.changed.notify_waiters();
        // An attempt under way finds the state changed and drops its connection.
        let State::Up(session) = before else { return None };
        session.flush_reports();
        session.end(Code::Cancelled, "the client was closed");
        session.drop_in_place();
        Some(session)
    }
}

/// An attempt under way. Dropped without having run if the runtime ends first.
struct Connecting {
    connector: Arc<Connector>,
    attempt: Arc<Attempt>,
}

impl Connecting {
    /// Connects; blocks.
    fn run(self, prepare: Prepare) {
        let outcome = self.connector.attempt(prepare);
        self.end(outcome);
    }

    fn end(&self, outcome: Result<Arc<Session>, Error>) {
        let mut state = self.connector.state.lock();
        let next = match (&*state, &outcome) {
            (State::Connecting(attempt, failures), outcome) if Arc::ptr_eq(attempt, &self.attempt) => {
                match outcome {
                    Ok(session) => Some(State::Up(Arc::clone(session))),
                    Err(_) => Some(State::Down(failures.after(self.connector.retry))),
                }
            }
            // Closed meanwhile.
            _ => None,
        };
        let outcome = match next {
            Some(next) => {
                *state = next;
                // Under the lock, so that it is told in order with a close.
                self.connector.tell(&outcome);
                drop(state);
                outcome
            }
            None => {
                drop(state);
                drop(outcome);
                Err(closed())
            }
        };
        if outcome.is_ok() {
            self.connector.changed.notify_waiters();
        }
        if self.attempt.outcome.set(outcome).is_ok() {
            self.attempt.over.notify_waiters();
        }
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if self.attempt.outcome.get().is_none() {
            let reason = "the Tokio runtime that was connecting has ended";
            self.end(Err(Error::of_call(Code::Unavailable, SUBJECT, reason)));
        }
    }
}

impl Connector {
    /// Tells how an attempt ended.
    fn tell(&self, outcome: &Result<Arc<Session>, Error>) {
        match outcome {
            Err(error) => self.states.set(ConnectionState::Disconnected { reason: error.message().into() }),
            Ok(session) => {
                let welcome = session.link.welcome();
                let (pid, generation, connection) = (welcome.pid, welcome.generation, welcome.connection);
                self.states.set(ConnectionState::Connected { pid, generation, connection });
                // It may have ended before it was told of.
                if session.ended() {
                    self.states.ended(generation, connection, "the connection ended at once");
                }
            }
        }
    }

    /// Connects; blocks.
    fn attempt(&self, prepare: Prepare) -> Result<Arc<Session>, Error> {
        let name = EndpointName::new(&self.name)
            .map_err(|error| Error::of_call(Code::InvalidArgument, SUBJECT, error.to_string()))?;
        // Each time: it may have been removed, or not have been there.
        let runtime = match &self.runtime_dir {
            Some(dir) => Runtime::at(dir),
            None => Runtime::discover(),
        };
        let runtime = runtime.map_err(|error| transport_error(&error))?;
        let link = connect(&runtime, &name, &self.client_name).map_err(|error| match &error {
            ConnectError::Refused { code, reason } => Error::of_call(*code, SUBJECT, reason.as_str()),
            ConnectError::Transport(error) => transport_error(error),
            _ => Error::of_call(Code::Unavailable, SUBJECT, error.to_string()),
        })?;
        let session = Session::new(link, self.max_in_flight, self.spin, Arc::clone(&self.states));
        prepare(&session).map_err(|error| {
            let reason = format!("the connection can't be waited for: {error}");
            Error::of_call(Code::ResourceExhausted, SUBJECT, reason)
        })?;
        Ok(session)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
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
