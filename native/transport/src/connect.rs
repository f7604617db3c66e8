//! The client's side of the handshake.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::{MAX_IN_FLIGHT, PROTOCOL_VERSION};
use pycrust_protocol::name::EndpointName;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::connection::{Connection, Parts};
use crate::control_socket::{self, Received};
use crate::error::{ConnectError, TransportError};
use crate::fork::Guarded;
use crate::iox::{self, Size};
use crate::lifeline::Lifeline;
use crate::link::{Peer, Side};
use crate::runtime::Runtime;
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
    let control: Guarded = dial(runtime, name)?.into();
    let pid = control_socket::peer_pid(&control)
        .map_err(|error| TransportError::system("check who serves the endpoint", error))?;
    let pidfd = open_pidfd(pid)?;
    let hello = Hello { protocol: PROTOCOL_VERSION, endpoint: name.to_string(), client: client.into() };
    say(&control, pid, &Message::Hello(hello))?;
    let (welcome, fds) = match hear(&control, pid, "answer the hello")? {
        (Message::Welcome(welcome), fds) => (welcome, fds),
        (other, _) => return Err(breach(pid, format!("expected a welcome, got {other:?}"))),
    };
    check(&welcome, &runtime.prefix(name)).map_err(|reason| breach(pid, reason))?;
    let [peer_bell, own_bell, memfd] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| breach(pid, format!("expected 3 descriptors, got {}", fds.len())))?;
    for bell in [&peer_bell, &own_bell] {
        // A doorbell that could block would let the worker hold up whoever rings it.
        rustix::fs::fcntl_setfl(bell, rustix::fs::OFlags::NONBLOCK)
            .map_err(|error| TransportError::system("set up a doorbell", error))?;
    }
    let (peer_bell, own_bell) = (peer_bell.into(), own_bell.into());
    let words =
        Words::open(memfd.as_fd()).map_err(|error| TransportError::system("map the flag words", error))?;

    iox::check_room()?;
    let lifeline = Arc::new(Lifeline::new(&welcome.prefix)?);
    let open = |service: &str| lifeline.with_node(|node| iox::service(node, service, Size::Small, false));
    let out = iox::sender(&open(&welcome.request_service)?, Size::Small)?;
    let inn = iox::receiver(&open(&welcome.response_service)?, Size::Small)?;
    let peer = Peer { pid, name: name.to_string() };
    let side = Side::Client;
    let parts = Parts { side, peer, welcome, control, pidfd, own_bell, peer_bell, words, lifeline };
    let connection = Connection::new(parts, out, inn);
    connection.update()?;

    say(connection.hangup_fd(), pid, &Message::Opened)?;
    match hear(connection.hangup_fd(), pid, "begin to serve")? {
        (Message::Serving, _) => Ok(connection),
        (other, _) => Err(breach(pid, format!("expected the worker to serve, got {other:?}"))),
    }
}

/// Refers to a process, so that its end can be waited for and its number not be taken for another's.
pub(crate) fn open_pidfd(pid: u32) -> Result<Guarded, TransportError> {
    Pid::from_raw(pid.cast_signed())
        .ok_or(Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .map(Guarded::from)
        .map_err(|error| TransportError::system(format!("watch the process {pid} at the other end"), error))
}

/// Connects the control socket.
fn dial(runtime: &Runtime, name: &EndpointName) -> Result<OwnedFd, ConnectError> {
    let path = runtime.socket_path(name);
    let fail = |error: Errno| TransportError::system(format!("connect to {}", path.display()), error);
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(fail)?;
    let address = SocketAddrUnix::new(&path).map_err(fail)?;
    let until = Instant::now() + PATIENCE;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::NOENT | Errno::CONNREFUSED) => {
                return Err(ConnectError::NotFound {
                    endpoint: name.to_string(),
                    looked_in: runtime.dir().into(),
                    live: runtime.live_endpoints(),
                });
            }
            // The queue of clients to be accepted is full, and a Unix socket can't be polled for that.
            Err(Errno::AGAIN) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(fail(error).into()),
        }
    }
}

/// Checks every number and name of a welcome.
fn check(welcome: &Welcome, common_prefix: &str) -> Result<(), String> {
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
    let generation = welcome.prefix.strip_prefix(common_prefix).and_then(|rest| rest.strip_suffix('_'));
    let valid = generation.is_some_and(|g| g.len() == 8 && g.bytes().all(|b| b.is_ascii_hexdigit()));
    if !valid {
        return Err(format!("its prefix is {:?}", welcome.prefix));
    }
    Ok(())
}

/// Sends a message.
fn say(control: impl AsFd, pid: u32, message: &Message) -> Result<(), ConnectError> {
    control_socket::send(control, message, &[])
        .map_err(|error| breach(pid, format!("it hung up during the handshake: {error}")))
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
