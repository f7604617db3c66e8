//! The client's side of the handshake.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::{MAX_IN_FLIGHT, PROTOCOL_VERSION};
use pycrust_protocol::name::EndpointName;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::connection::{Connection, Parts};
use crate::control_socket::{self, Received};
use crate::descriptors::{self, PER_CONNECTION};
use crate::error::{ConnectError, TransportError};
use crate::fork::Descriptor;
use crate::iox::{self, Size};
use crate::lifeline::Lifeline;
use crate::link::{Link, Peer, Side};
use crate::listener;
use crate::peer::PeerProcess;
use crate::runtime::{Runtime, is_prefix_of};
use crate::time;
use crate::words::Words;

/// How long the worker may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the worker that serves `name`. Blocks for some milliseconds, at most five seconds a step.
///
/// `client` is a name for this process that a person recognises.
///
/// # Errors
/// [`ConnectError::NotFound`] if nobody serves the name, [`ConnectError::Refused`] if the worker does not
/// want this client, [`ConnectError::Transport`] otherwise.
pub fn connect(runtime: &Runtime, name: &EndpointName, client: &str) -> Result<Connection, ConnectError> {
    descriptors::check(PER_CONNECTION)?;
    let control = Descriptor::from(dial(runtime, name)?);
    let made = shake_hands(&control, name, client)
        .and_then(|offer| open_ports(offer, &control).map_err(|error| short_of(error).into()));
    let connection = made.inspect_err(|error| {
        // The worker's log says so too. It may be the one who is gone.
        say(&control, &Message::Goodbye { reason: error.to_string() });
    })?;
    say(&control, &Message::Opened);
    let pid = connection.peer().pid;
    match hear(&control, pid, "begin to serve")? {
        (Message::Serving, _) => Ok(connection),
        (other, _) => Err(breach(pid, format!("expected the worker to serve, got {other:?}"))),
    }
}

/// What iceoryx2 had too few of: it does not say.
pub(crate) fn short_of(error: TransportError) -> TransportError {
    match error {
        TransportError::SharedMemory { .. } => descriptors::check(PER_CONNECTION / 2).err().unwrap_or(error),
        error => error,
    }
}

/// What a worker has offered.
struct Offer {
    peer: PeerProcess,
    name: String,
    welcome: Welcome,
    peer_bell: OwnedFd,
    own_bell: OwnedFd,
    words: Words,
}

/// Says hello and hears the welcome.
fn shake_hands(control: &Descriptor, name: &EndpointName, client: &str) -> Result<Offer, ConnectError> {
    let peer = PeerProcess::of(control)?;
    let pid = peer.pid;
    let hello = Hello { protocol: PROTOCOL_VERSION, endpoint: name.to_string(), client: client.into() };
    say(control, &Message::Hello(hello));
    let (welcome, fds) = match hear(control, pid, "answer the hello")? {
        (Message::Welcome(welcome), fds) => (welcome, fds),
        (other, _) => return Err(breach(pid, format!("expected a welcome, got {other:?}"))),
    };
    check(&welcome, name).map_err(|reason| breach(pid, reason))?;
    let [peer_bell, own_bell, memfd] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| breach(pid, format!("expected 3 descriptors, got {}", fds.len())))?;
    for bell in [&peer_bell, &own_bell] {
        // A doorbell that could block would let the worker hold up whoever rings it.
        rustix::fs::fcntl_setfl(bell, rustix::fs::OFlags::NONBLOCK)
            .map_err(|error| TransportError::system("set up a doorbell", error))?;
    }
    let words =
        Words::open(memfd.as_fd()).map_err(|error| TransportError::system("map the flag words", error))?;
    Ok(Offer { peer, name: name.to_string(), welcome, peer_bell, own_bell, words })
}

/// Opens what the worker has made in shared memory.
fn open_ports(offer: Offer, control: &Descriptor) -> Result<Connection, TransportError> {
    let Offer { peer, name, welcome, peer_bell, own_bell, words } = offer;
    let lifeline = Lifeline::join(&welcome.prefix)?;
    iox::check_room()?;
    let out = iox::sender(&lifeline.service(&welcome.request_service, Size::Small, false)?, Size::Small)?;
    let inn = iox::receiver(&lifeline.service(&welcome.response_service, Size::Small, false)?, Size::Small)?;
    let parts = Parts {
        side: Side::Client,
        peer: Peer { pid: peer.pid, name },
        welcome,
        control: control.clone(),
        pidfd: peer.pidfd,
        own_bell: own_bell.into(),
        peer_bell: peer_bell.into(),
        words,
        lifeline,
    };
    let connection = Connection::new(parts, out, inn);
    // Dropped, it says goodbye, with this reason and not another.
    connection.update().inspect_err(|error| connection.part(&error.to_string()))?;
    Ok(connection)
}

/// Connects the control socket of the worker, wherever it is to be found.
fn dial(runtime: &Runtime, name: &EndpointName) -> Result<OwnedFd, ConnectError> {
    let mut failed = None;
    for place in runtime.places() {
        let tried = place
            .check()
            .map_err(|reason| TransportError::RuntimeDir { path: place.dir().into(), reason })
            .and_then(|()| dial_at(&place.socket_path(name)));
        match tried {
            Ok(Some(socket)) => return Ok(socket),
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Err(ConnectError::NotFound {
            endpoint: name.to_string(),
            looked_in: runtime.dirs(),
            live: runtime.look(),
        }),
    }
}

/// Connects the socket at `path`; `None` if nobody listens there.
fn dial_at(path: &Path) -> Result<Option<OwnedFd>, TransportError> {
    let fail = |error: Errno| TransportError::system(format!("connect to {}", path.display()), error);
    let socket = listener::socket().map_err(fail)?;
    let address = SocketAddrUnix::new(path).map_err(fail)?;
    let until = Instant::now() + PATIENCE;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(Some(socket)),
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
            // The queue of clients to be accepted is full, and a Unix socket can't be polled for that.
            Err(Errno::AGAIN) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(fail(error)),
        }
    }
}

/// Checks every number and name of a welcome.
fn check(welcome: &Welcome, name: &EndpointName) -> Result<(), String> {
    if welcome.protocol != PROTOCOL_VERSION {
        return Err(format!(
            "it speaks protocol {}, this client {PROTOCOL_VERSION}: install matching versions",
            welcome.protocol
        ));
    }
    if welcome.max_in_flight == 0 || welcome.max_in_flight as usize > MAX_IN_FLIGHT {
        return Err(format!("it allows {} calls in flight", welcome.max_in_flight));
    }
    // The prefix names files that this process makes and removes.
    if !is_prefix_of(&welcome.prefix, name) {
        return Err(format!("its prefix is {:?}", welcome.prefix));
    }
    Ok(())
}

/// Sends a message. A worker that is gone has left its reason to be heard, or a hang-up.
fn say(control: impl AsFd, message: &Message) {
    let _ = control_socket::send(control, message, &[]);
}

/// Waits for a message; a refusal is an error.
fn hear(control: impl AsFd, pid: u32, what: &'static str) -> Result<(Message, Vec<OwnedFd>), ConnectError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match control_socket::receive(&control) {
            Received::Message(Message::Refused { code, reason }, _) => {
                return Err(ConnectError::Refused { code, reason });
            }
            Received::Message(Message::Goodbye { reason }, _) => {
                return Err(ConnectError::Refused { code: pycrust_protocol::Code::Unavailable, reason });
            }
            Received::Message(message, fds) => return Ok((message, fds)),
            Received::HungUp => return Err(breach(pid, "it hung up".into())),
            Received::Malformed(reason) => return Err(breach(pid, reason)),
            Received::Nothing => {}
        }
        if !time::poll_until(control.as_fd(), until) {
            return Err(TransportError::Silent { pid, what, seconds: PATIENCE.as_secs() }.into());
        }
    }
}

/// The worker broke the handshake.
fn breach(pid: u32, reason: String) -> ConnectError {
    ConnectError::Transport(TransportError::Handshake { pid, reason })
}
