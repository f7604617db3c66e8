//! The worker's side of the handshake with one client.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::{PROTOCOL_VERSION, fitting};

use crate::claiming::peer::PeerProcess;
use crate::connection::control_socket::{self, Received};
use crate::connection::established::{Connection, Parts};
use crate::connection::link::Peer;
use crate::descriptors;
use crate::error::{TransportError, process, versions};
use crate::faults::reached;
use crate::fork::Descriptor;
use crate::iceoryx::iox::{self, Size};
use crate::iceoryx::node::Node;
use crate::owner::Owner;
use crate::shortage::PER_CONNECTION;
use crate::sleeping::doorbell::Doorbell;
use crate::sleeping::shared_flags::SharedFlags;
use crate::sleeping::shared_flags::Side;

/// How long a client may take for the whole handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at a time, those among them that open their ports.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// Bytes of a client's name that are kept.
const MAX_CLIENT_NAME: usize = 128;

/// What every handshake of one worker needs.
pub(crate) struct Terms {
    /// The worker.
    pub(crate) owner: Owner,
    /// Calls that a connection may have in flight.
    pub(crate) max_in_flight: u32,
    /// The worker's node.
    pub(crate) node: Arc<Node>,
}

/// A client that has connected and not said hello yet.
pub(crate) struct Caller {
    /// The control socket.
    control: Descriptor,
    /// The client's process.
    process: PeerProcess,
    /// When the handshake must have ended.
    until: Instant,
}

/// What became of a caller.
pub(crate) enum Step {
    /// It has not said hello yet.
    Waits(Caller),
    /// It was welcomed and opens its ports until then.
    Welcomed(Arc<Connection>, Instant),
    /// It has only looked whether somebody answers.
    Looked,
    /// It is about to serve the name itself, and was told that it may.
    TakesOver(u32),
    /// It was refused or has gone, for this reason.
    Gone(String),
}

impl Caller {
    /// Begins a handshake. A process that can't be served is told why; so is whoever reads the reason given back.
    pub(crate) fn new(control: OwnedFd) -> Result<Self, String> {
        let process = descriptors::check(PER_CONNECTION).and_then(|()| PeerProcess::of(&control));
        match process {
            Ok(process) => {
                let until = Instant::now() + PATIENCE;
                Ok(Self { control: control.into(), process, until })
            }
            Err(error) => Err(refuse(&control, code_of(&error), error.to_string())),
        }
    }

    /// The control socket.
    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// When the handshake must have ended.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// The client's process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Refuses the client.
    pub(crate) fn refuse(&self, code: Code, reason: String) -> String {
        refuse(&self.control, code, reason)
    }

    /// Reads the hello, if it is there, and answers it. `number` is the connection's, should it come about; whether
    /// there is a place for one more is `has_place`.
    pub(crate) fn step(self, terms: &Terms, number: u64, has_place: bool) -> Step {
        match control_socket::receive(&self.control) {
            Received::Nothing => Step::Waits(self),
            Received::HungUp => Step::Looked,
            Received::Malformed(reason) => Step::Gone(self.refuse(Code::InvalidArgument, reason)),
            Received::Message(Message::Hello(hello), _) => match terms.refusal(&hello, has_place) {
                Some((code, reason)) => {
                    let who =
                        format!("{}, {}", shown(hello.client).escape_debug(), process(self.process.pid));
                    Step::Gone(format!("{} ({who})", self.refuse(code, reason)))
                }
                None => self.welcome(terms, number, hello),
            },
            Received::Message(Message::HandOver { endpoint }, _) => match terms.other_name(&endpoint) {
                Some((code, reason)) => Step::Gone(self.refuse(code, reason)),
                None => {
                    let goodbye = Message::Goodbye { reason: "the name is handed over".into() };
                    let _ = control_socket::send(&self.control, &goodbye, &[]);
                    Step::TakesOver(self.process.pid)
                }
            },
            Received::Message(Message::Goodbye { reason }, _) => Step::Gone(reason),
            Received::Message(other, _) => {
                let reason = format!("expected a hello, got {other:?}");
                Step::Gone(self.refuse(Code::InvalidArgument, reason))
            }
        }
    }

    /// Makes the connection and hands the client what it needs of it.
    fn welcome(self, terms: &Terms, number: u64, hello: Hello) -> Step {
        reached("accept.hello_heard");
        let until = self.until;
        let welcome = terms.welcome(number);
        match self.build(terms, welcome, shown(hello.client)) {
            Ok(connection) => Step::Welcomed(Arc::new(connection), until),
            Err((caller, error)) => Step::Gone(caller.refuse(Code::ResourceExhausted, error.to_string())),
        }
    }

    fn build(
        self,
        terms: &Terms,
        welcome: Welcome,
        name: String,
    ) -> Result<Connection, (Self, TransportError)> {
        let prepared = descriptors::explained(|| {
            iox::check_room()?;
            let create = |name: &str| terms.node.service(name, Size::Small, true);
            let inn = iox::receiver(&create(&welcome.request_service)?, Size::Small)?;
            let out = iox::sender(&create(&welcome.response_service)?, Size::Small)?;
            let io = |error| TransportError::system("make doorbells and shared flags", error);
            let (own_bell, to_ring) = Doorbell::create().map_err(io)?;
            let (peer_bell, to_hear) = Doorbell::create().map_err(io)?;
            let (flags, memfd) = SharedFlags::create().map_err(io)?;
            let fds = [to_ring.as_fd(), to_hear.as_fd(), memfd.as_fd()];
            reached("accept.services_made");
            control_socket::send(&self.control, &Message::Welcome(welcome.clone()), &fds).map_err(io)?;
            reached("accept.welcomed");
            Ok((inn, out, own_bell, peer_bell, flags))
        });
        match prepared {
            Ok((inn, out, own_bell, peer_bell, flags)) => {
                let parts = Parts {
                    side: Side::Worker,
                    peer: Peer { pid: self.process.pid, name },
                    welcome,
                    control: self.control,
                    pidfd: self.process.pidfd,
                    own_bell,
                    peer_bell,
                    flags,
                    node: Arc::clone(&terms.node),
                };
                Ok(Connection::new(parts, out, inn))
            }
            Err(error) => Err((self, error)),
        }
    }
}

/// As much of a client's name as is kept.
fn shown(mut name: String) -> String {
    name.truncate(fitting(&name, MAX_CLIENT_NAME).len());
    name
}

/// Refuses whoever is at the other end of a control socket.
pub(crate) fn refuse(control: impl AsFd, code: Code, reason: String) -> String {
    // A client that does not listen sees the hang-up.
    let _ = control_socket::send(control, &Message::Refused { code, reason: reason.clone() }, &[]);
    reason
}

/// The status of a refusal.
fn code_of(error: &TransportError) -> Code {
    match error {
        TransportError::Descriptors(_) => Code::ResourceExhausted,
        _ => Code::FailedPrecondition,
    }
}

impl Terms {
    /// Why a client can't be served, if it can't.
    fn refusal(&self, hello: &Hello, has_place: bool) -> Option<(Code, String)> {
        if hello.protocol != PROTOCOL_VERSION {
            return Some((Code::FailedPrecondition, versions(PROTOCOL_VERSION, hello.protocol)));
        }
        if let Some(refusal) = self.other_name(&hello.endpoint) {
            return Some(refusal);
        }
        if !has_place {
            let reason = format!("{MAX_CONNECTIONS} clients are connected, no more are served");
            return Some((Code::ResourceExhausted, reason));
        }
        None
    }

    /// Why somebody who means another endpoint is refused.
    fn other_name(&self, asked: &str) -> Option<(Code, String)> {
        let own = &self.owner.endpoint;
        (asked != own).then(|| (Code::NotFound, format!("{own:?} is served here, not {asked:?}")))
    }

    /// What connection `number` is told.
    fn welcome(&self, number: u64) -> Welcome {
        Welcome {
            protocol: PROTOCOL_VERSION,
            pid: self.owner.pid,
            generation: self.owner.generation,
            connection: number,
            prefix: self.node.prefix().into(),
            request_service: format!("{number}/request"),
            response_service: format!("{number}/response"),
            max_in_flight: self.max_in_flight,
        }
    }
}
