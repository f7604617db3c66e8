//! The client's side of the handshake.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::{MAX_IN_FLIGHT, PROTOCOL_VERSION};
use pycrust_protocol::name::EndpointName;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::claiming::listener;
use crate::claiming::peer::PeerProcess;
use crate::claiming::prefix::is_prefix_of;
use crate::claiming::runtime_dir::Runtime;
use crate::connection::control_socket::{self, Received};
use crate::connection::established::{Connection, Parts};
use crate::connection::link::{Link, Peer};
use crate::descriptors;
use crate::error::{ConnectError, TransportError};
use crate::faults::reached;
use crate::fork::Descriptor;
use crate::iceoryx::iox::{self, Size};
use crate::iceoryx::node::Node;
use crate::shortage::PER_CONNECTION;
use crate::sleeping::doorbell::Doorbell;
use crate::sleeping::polling;
use crate::sleeping::shared_flags::SharedFlags;
use crate::sleeping::shared_flags::Side;

/// How long the worker may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two attempts at a worker that has more clients to accept than it keeps a place for.
const QUEUED: Duration = Duration::from_millis(5);

/// Connects to the worker that serves `name`. Blocks for some milliseconds, at most five seconds a step.
///
/// `client` is a name for this process that a person recognises.
///
/// # Errors
/// [`ConnectError::NotFound`] if nobody serves the name, [`ConnectError::Refused`] if the worker does not
/// want this client, [`ConnectError::Transport`] otherwise.
pub fn connect(runtime: &Runtime, name: &EndpointName, client: &str) -> Result<Connection, ConnectError> {
    let mut connecting = Connecting::new(runtime, name, client);
    loop {
        match connecting.proceed()? {
            Progress::Connected(connection) => return Ok(*connection),
            Progress::Waits(waits) => {
                waits.wait(waits.until());
                connecting = waits;
            }
        }
    }
}

/// Asks the worker that serves `name` to drain and stop, so that this process can serve it. Returns once it has said that
/// it will, or where nobody serves the name.
///
/// # Errors
/// Those of [`connect`], but for [`ConnectError::NotFound`].
pub fn ask_for_name(runtime: &Runtime, name: &EndpointName) -> Result<(), ConnectError> {
    let until = Instant::now() + PATIENCE;
    let control = loop {
        match dial(runtime, name, until) {
            Ok(Some(socket)) => break Descriptor::from(socket),
            Ok(None) => std::thread::sleep(QUEUED),
            Err(ConnectError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    };
    let peer = PeerProcess::of(&control)?;
    say(&control, &Message::HandOver { endpoint: name.to_string() });
    loop {
        polling::poll_until(control.as_fd(), until);
        match control_socket::receive(&control) {
            Received::Message(Message::Goodbye { .. }, _) | Received::HungUp => return Ok(()),
            Received::Message(Message::Refused { code, reason }, _) => {
                return Err(ConnectError::Refused { code, reason });
            }
            Received::Message(other, _) => {
                return Err(breach(peer.pid, format!("expected a goodbye, got {other:?}")));
            }
            Received::Malformed(reason) => return Err(breach(peer.pid, reason)),
            Received::Nothing if Instant::now() < until => {}
            Received::Nothing => {
                let (what, seconds) = ("hand the name over", PATIENCE.as_secs());
                return Err(TransportError::Silent { pid: peer.pid, what, seconds }.into());
            }
        }
    }
}

/// A handshake under way, step by step: between two steps it waits for the worker, and nobody need wait with it.
pub struct Connecting {
    runtime: Runtime,
    name: EndpointName,
    /// This process, for a person.
    client: String,
    stage: Stage,
    /// When the worker must have done what comes next.
    until: Instant,
}

/// What comes next.
enum Stage {
    /// The control socket is to be connected.
    Dials,
    /// A welcome is to come.
    Greets(Descriptor, PeerProcess),
    /// The worker is to say that it serves.
    Opens(Descriptor, Box<Connection>),
}

/// How far a handshake is.
pub enum Progress {
    /// It goes on once there is something to read, or its time is over.
    Waits(Connecting),
    /// It is over.
    Connected(Box<Connection>),
}

impl Connecting {
    /// A handshake that has not begun; what it is told is that of [`connect`].
    pub fn new(runtime: &Runtime, name: &EndpointName, client: &str) -> Self {
        Self {
            runtime: runtime.clone(),
            name: name.clone(),
            client: client.into(),
            stage: Stage::Dials,
            until: Instant::now() + PATIENCE,
        }
    }

    /// Goes on as far as it can without waiting for the worker, which is work of some milliseconds.
    ///
    /// # Errors
    /// Those of [`connect`], also if the worker took too long.
    pub fn proceed(mut self) -> Result<Progress, ConnectError> {
        loop {
            self.stage = match self.stage {
                Stage::Dials => match dial(&self.runtime, &self.name, self.until)? {
                    Some(socket) => greet(socket.into(), &self.name, &self.client)?,
                    None => return Ok(Progress::Waits(Self { stage: Stage::Dials, ..self })),
                },
                Stage::Greets(control, peer) => {
                    match hear(&control, peer.pid, self.until, "answer the hello") {
                        Ok(None) => {
                            return Ok(Progress::Waits(Self { stage: Stage::Greets(control, peer), ..self }));
                        }
                        heard => open(control, peer, heard, &self.name)?,
                    }
                }
                Stage::Opens(control, connection) => {
                    let pid = connection.peer().pid;
                    match hear(&control, pid, self.until, "begin to serve")? {
                        None => {
                            let stage = Stage::Opens(control, connection);
                            return Ok(Progress::Waits(Self { stage, ..self }));
                        }
                        Some((Message::Serving, _)) => {
                            reached("connect.served");
                            return Ok(Progress::Connected(connection));
                        }
                        Some((other, _)) => {
                            return Err(breach(pid, format!("expected the worker to serve, got {other:?}")));
                        }
                    }
                }
            };
            self.until = Instant::now() + PATIENCE;
        }
    }

    /// What becomes readable when it can go on; nothing while the worker has no place for one more client, whom
    /// it does not tell when it has.
    pub fn socket(&self) -> Option<Descriptor> {
        match &self.stage {
            Stage::Dials => None,
            Stage::Greets(control, _) | Stage::Opens(control, _) => Some(control.clone()),
        }
    }

    /// When it is to go on, whether there is something to read or not.
    pub fn until(&self) -> Instant {
        match &self.stage {
            Stage::Dials => self.until.min(Instant::now() + QUEUED),
            _ => self.until,
        }
    }

    /// Blocks until it can go on, or is to, at the latest until then.
    pub fn wait(&self, until: Instant) {
        let until = until.min(self.until());
        match self.socket() {
            Some(socket) => {
                polling::poll_until(socket.as_fd(), until);
            }
            None => std::thread::sleep(until.saturating_duration_since(Instant::now())),
        }
    }
}

/// Says hello, once it is known who is at the other end.
fn greet(control: Descriptor, name: &EndpointName, client: &str) -> Result<Stage, ConnectError> {
    reached("connect.dialled");
    let peer = PeerProcess::of(&control).inspect_err(|error| part(&control, error))?;
    let hello = Hello { protocol: PROTOCOL_VERSION, endpoint: name.to_string(), client: client.into() };
    say(&control, &Message::Hello(hello));
    reached("connect.hello_said");
    Ok(Stage::Greets(control, peer))
}

/// Opens what the worker has offered, if it has.
fn open(
    control: Descriptor,
    peer: PeerProcess,
    heard: Result<Option<Heard>, ConnectError>,
    name: &EndpointName,
) -> Result<Stage, ConnectError> {
    let made = heard
        .and_then(|heard| offered(peer, heard, name))
        .and_then(|offer| descriptors::explained(|| open_ports(offer, &control)).map_err(Into::into));
    let connection = made.inspect_err(|error| part(&control, error))?;
    reached("connect.opened");
    say(&control, &Message::Opened);
    Ok(Stage::Opens(control, Box::new(connection)))
}

/// Says why there will be no connection: the worker's log says so too. It may be the one who is gone.
fn part(control: &Descriptor, error: &impl ToString) {
    say(control, &Message::Goodbye { reason: error.to_string() });
}

/// What a worker has offered.
struct Offer {
    peer: PeerProcess,
    name: String,
    welcome: Welcome,
    peer_bell: Doorbell,
    own_bell: Doorbell,
    flags: SharedFlags,
}

/// A message and the descriptors beside it.
type Heard = (Message, Vec<OwnedFd>);

/// What a worker's answer to a hello offers.
fn offered(peer: PeerProcess, heard: Option<Heard>, name: &EndpointName) -> Result<Offer, ConnectError> {
    let pid = peer.pid;
    let (welcome, fds) = match heard {
        Some((Message::Welcome(welcome), fds)) => (welcome, fds),
        other => return Err(breach(pid, format!("expected a welcome, got {other:?}"))),
    };
    if welcome.protocol != PROTOCOL_VERSION {
        return Err(ConnectError::Version { worker: welcome.protocol, client: PROTOCOL_VERSION });
    }
    check(&welcome, name).map_err(|reason| breach(pid, reason))?;
    let [to_ring, to_hear, memfd] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| breach(pid, format!("expected 3 descriptors, got {}", fds.len())))?;
    let bell = |given: &OwnedFd| {
        Doorbell::open(given).map_err(|error| TransportError::system("open a doorbell", error))
    };
    let (peer_bell, own_bell) = (bell(&to_ring)?, bell(&to_hear)?);
    let flags = SharedFlags::open(memfd.as_fd())
        .map_err(|error| TransportError::system("map the shared flags", error))?;
    Ok(Offer { peer, name: name.to_string(), welcome, peer_bell, own_bell, flags })
}

/// Opens what the worker has made in shared memory.
fn open_ports(offer: Offer, control: &Descriptor) -> Result<Connection, TransportError> {
    reached("connect.offered");
    let Offer { peer, name, welcome, peer_bell, own_bell, flags } = offer;
    let node = Node::join(&welcome.prefix)?;
    iox::check_room()?;
    let out = iox::sender(&node.service(&welcome.request_service, Size::Small, false)?, Size::Small)?;
    let inn = iox::receiver(&node.service(&welcome.response_service, Size::Small, false)?, Size::Small)?;
    let parts = Parts {
        side: Side::Client,
        peer: Peer { pid: peer.pid, name },
        welcome,
        control: control.clone(),
        pidfd: peer.pidfd,
        own_bell,
        peer_bell,
        flags,
        node,
    };
    let connection = Connection::new(parts, out, inn);
    // Dropped, it says goodbye, with this reason and not another.
    connection.update().inspect_err(|error| connection.part(&error.to_string()))?;
    Ok(connection)
}

/// Connects the control socket of the worker, wherever it is to be found; `None` while it has no place for one more
/// client.
fn dial(runtime: &Runtime, name: &EndpointName, until: Instant) -> Result<Option<OwnedFd>, ConnectError> {
    descriptors::check(PER_CONNECTION)?;
    let mut failed = None;
    for place in runtime.places() {
        let tried = place
            .check()
            .map_err(|reason| TransportError::RuntimeDir { path: place.dir().into(), reason })
            .and_then(|()| match dial_at(&place.socket_path(name), until) {
                Ok(Dialled::Nobody) => dial_at(&place.older_socket_path(name), until),
                dialled => dialled,
            });
        match tried {
            Ok(Dialled::Connected(socket)) => return Ok(Some(socket)),
            Ok(Dialled::Queued) => return Ok(None),
            Ok(Dialled::Nobody) => {}
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

/// What was found at the path of a socket.
enum Dialled {
    Connected(OwnedFd),
    /// The queue of clients to be accepted is full, and a Unix socket can't be polled for that.
    Queued,
    /// Nobody listens there.
    Nobody,
}

/// Connects the socket at `path`.
fn dial_at(path: &Path, until: Instant) -> Result<Dialled, TransportError> {
    let fail = |error: Errno| TransportError::system(format!("connect to {}", path.display()), error);
    let socket = listener::socket().map_err(fail)?;
    let address = SocketAddrUnix::new(path).map_err(fail)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(Dialled::Connected(socket)),
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(Dialled::Nobody),
            Err(Errno::AGAIN) if Instant::now() < until => return Ok(Dialled::Queued),
            Err(Errno::INTR) => {}
            Err(error) => return Err(fail(error)),
        }
    }
}

/// Checks every number and name of a welcome.
fn check(welcome: &Welcome, name: &EndpointName) -> Result<(), String> {
    if welcome.max_in_flight == 0 || welcome.max_in_flight as usize > MAX_IN_FLIGHT {
        return Err(format!("it allows {} calls in flight", welcome.max_in_flight));
    }
    // The prefix names files that this process makes and removes.
    if !is_prefix_of(&welcome.prefix, name) {
        return Err(format!("its prefix is {:?}", welcome.prefix));
    }
    Ok(())
}

/// A refusal, with what workers before version 3 left out: they are the older ones.
fn advised(reason: String) -> String {
    match reason.strip_suffix(": install matching versions") {
        Some(numbers) => format!("{numbers}: upgrade the worker"),
        None => reason,
    }
}

/// Sends a message. A worker that is gone has left its reason to be heard, or a hang-up.
fn say(control: impl AsFd, message: &Message) {
    let _ = control_socket::send(control, message, &[]);
}

/// The next message, if it has come; a refusal is an error, and so is none until then.
fn hear(
    control: impl AsFd,
    pid: u32,
    until: Instant,
    what: &'static str,
) -> Result<Option<Heard>, ConnectError> {
    match control_socket::receive(&control) {
        Received::Message(Message::Refused { code, reason }, _) => {
            Err(ConnectError::Refused { code, reason: advised(reason) })
        }
        Received::Message(Message::Goodbye { reason }, _) => {
            Err(ConnectError::Refused { code: pycrust_protocol::Code::Unavailable, reason })
        }
        Received::Message(message, fds) => Ok(Some((message, fds))),
        Received::HungUp => Err(breach(pid, "it hung up".into())),
        Received::Malformed(reason) => Err(breach(pid, reason)),
        Received::Nothing if Instant::now() < until => Ok(None),
        Received::Nothing => Err(TransportError::Silent { pid, what, seconds: PATIENCE.as_secs() }.into()),
    }
}

/// The worker broke the handshake.
fn breach(pid: u32, reason: String) -> ConnectError {
    ConnectError::Transport(TransportError::Handshake { pid, reason })
}
