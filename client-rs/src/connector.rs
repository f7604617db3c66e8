//! Finds, keeps and replaces the connection of a client.

use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};

use pycrust_protocol::Code;
use pycrust_protocol::name::EndpointName;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{ConnectError, Runtime, TransportError, connect};
use tokio::sync::Notify;

use crate::builder::Options;
use crate::driver;
use crate::error::Error;
use crate::session::Session;
use crate::spin::Spin;
use crate::state::{ConnectionState, States};

/// What an error of a connection, not of a call, is about.
const SUBJECT: &str = "connect";

/// The connection of a client and its clones.
pub(crate) struct Connector {
    name: EndpointName,
    runtime: Runtime,
    /// What the worker's side calls this client.
    client_name: String,
    max_in_flight: usize,
    spin: Spin,
    /// What the client's users are told of it.
    pub(crate) states: Arc<States>,
    /// Taken for the time that a clone of an `Arc` takes.
    state: Mutex<State>,
}

enum State {
    Down,
    Connecting(Arc<Attempt>),
    Up(Arc<Session>),
    Closed,
}

/// One attempt to connect, whoever waits for it.
#[derive(Default)]
struct Attempt {
    outcome: OnceLock<Result<Arc<Session>, Error>>,
    over: Notify,
}

impl Connector {
    pub(crate) fn new(name: EndpointName, options: &Options) -> Result<Arc<Self>, Error> {
        let runtime = match &options.runtime_dir {
            Some(dir) => Runtime::at(dir),
            None => Runtime::discover(),
        };
        Ok(Arc::new(Self {
            name,
            runtime: runtime.map_err(|error| transport_error(&error))?,
            client_name: options.client_name.clone(),
            max_in_flight: options.max_in_flight,
            spin: options.spin,
            states: Arc::new(States::new()),
            state: Mutex::new(State::Down),
        }))
    }

    pub(crate) fn name(&self) -> &EndpointName {
        &self.name
    }

    /// The connection, if there is one that has not ended.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        match &*self.state.lock() {
            State::Up(session) if !session.ended() => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// A connection. Callers that come while one is being made wait for the same one.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<Arc<Session>, Error> {
        let attempt = {
            let mut state = self.state.lock();
            let ended = match &*state {
                State::Up(session) if !session.ended() => return Ok(Arc::clone(session)),
                State::Connecting(attempt) => Err(Arc::clone(attempt)),
                State::Closed => return Err(closed()),
                State::Up(_) | State::Down => Ok(()),
            };
            match ended {
                Err(attempt) => attempt,
                Ok(()) => {
                    let attempt = Arc::new(Attempt::default());
                    let before = mem::replace(&mut *state, State::Connecting(Arc::clone(&attempt)));
                    drop(state);
                    drop(before);
                    self.states.set(ConnectionState::Connecting);
                    // A task of its own: it goes on if the caller who began it goes away.
                    let connecting =
                        Connecting { connector: Arc::clone(self), attempt: Arc::clone(&attempt) };
                    tokio::task::spawn_blocking(move || connecting.run());
                    attempt
                }
            }
        };
        loop {
            let over = attempt.over.notified();
            if let Some(outcome) = attempt.outcome.get() {
                return outcome.clone();
            }
            over.await;
        }
    }

    /// Ends the connection for good and waits until it is taken down.
    pub(crate) async fn close(&self) {
        let before = mem::replace(&mut *self.state.lock(), State::Closed);
        self.states.set(ConnectionState::Closed);
        // An attempt under way finds the state changed and drops its connection.
        let State::Up(session) = before else { return };
        session.flush_reports();
        session.end(Code::Cancelled, "the client was closed");
        session.drop_in_place();
        // It takes milliseconds. Should the runtime end first, it is done by then or there and then.
        let _ = tokio::task::spawn_blocking(move || drop(session)).await;
    }
}

/// An attempt under way. Dropped without having run if the runtime ends first.
struct Connecting {
    connector: Arc<Connector>,
    attempt: Arc<Attempt>,
}

impl Connecting {
    /// Connects; blocks.
    fn run(self) {
        let outcome = self.connector.attempt();
        self.end(outcome);
    }

    fn end(&self, outcome: Result<Arc<Session>, Error>) {
        let next = match &outcome {
            Ok(session) => State::Up(Arc::clone(session)),
            Err(_) => State::Down,
        };
        let mut state = self.connector.state.lock();
        let wanted = matches!(&*state, State::Connecting(attempt) if Arc::ptr_eq(attempt, &self.attempt));
        let outcome = if wanted {
            *state = next;
            // Under the lock, so that it is told in order with a close.
            self.connector.tell(&outcome);
            outcome
        } else {
            // Closed meanwhile.
            drop(state);
            drop(next);
            Err(closed())
        };
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

    /// Connects, without a Tokio runtime; blocks.
    pub(crate) fn connect_blocking(&self) -> Result<Arc<Session>, Error> {
        let link = connect(&self.runtime, &self.name, &self.client_name).map_err(|error| match &error {
            ConnectError::Refused { code, reason } => Error::of_call(*code, SUBJECT, reason.as_str()),
            ConnectError::Transport(error) => transport_error(error),
            _ => Error::of_call(Code::Unavailable, SUBJECT, error.to_string()),
        })?;
        Ok(Session::new(link, self.max_in_flight, self.spin, Arc::clone(&self.states)))
    }

    /// Connects; blocks.
    fn attempt(&self) -> Result<Arc<Session>, Error> {
        let session = self.connect_blocking()?;
        driver::ensure(&session).map_err(|error| {
            Error::of_call(
                Code::ResourceExhausted,
                SUBJECT,
                format!("the connection can't be waited for: {error}"),
            )
        })?;
        Ok(session)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

fn closed() -> Error {
    Error::of_call(Code::Cancelled, SUBJECT, "the client is closed")
}

fn transport_error(error: &TransportError) -> Error {
    let code = match error {
        TransportError::RuntimeDir { .. } => Code::FailedPrecondition,
        _ => Code::Unavailable,
    };
    Error::of_call(code, SUBJECT, error.to_string())
}
