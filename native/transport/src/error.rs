//! What goes wrong: what happened, where, and what to do about it.

use std::io;
use std::path::PathBuf;

use pycrust_protocol::Code;
use thiserror::Error;

use crate::owner::Owner;
use crate::shortage::{PER_CONNECTION, is_shortage, shortage};

/// The transport could not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The runtime directory can't be trusted or used.
    #[error("the runtime directory {} can't be used: {reason}", path.display())]
    RuntimeDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A system call failed.
    #[error("could not {what}: {source}")]
    System {
        /// What was attempted.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Shared memory could not be set up.
    #[error("could not {what} in shared memory: {reason}")]
    SharedMemory {
        /// What was attempted.
        what: &'static str,
        /// iceoryx2's answer.
        reason: String,
    },
    /// There are no file descriptors left.
    #[error("there are not enough file descriptors: {0}")]
    Descriptors(String),
    /// The kernel can't tell who is at the other end.
    #[error("the process at the other end can't be watched: {0}")]
    Unproven(String),
    /// The peer broke the handshake.
    #[error("the other side ({}) broke the handshake: {reason}", process(*pid))]
    Handshake {
        /// The peer's process, 0 where unknown.
        pid: u32,
        /// What was expected and what came.
        reason: String,
    },
    /// The peer did not answer in time.
    #[error("the other side ({}) did not {what} within {seconds} s", process(*pid))]
    Silent {
        /// The peer's process, 0 where unknown.
        pid: u32,
        /// What it should have done.
        what: &'static str,
        /// How long it had.
        seconds: u64,
    },
}

impl TransportError {
    /// A failed system call.
    pub(crate) fn system(what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        let source = error.into();
        if is_shortage(&source) {
            return Self::Descriptors(shortage(&source, PER_CONNECTION));
        }
        Self::System { what: what.into(), source }
    }

    /// A failure inside iceoryx2.
    pub(crate) fn shared_memory(what: &'static str, reason: impl std::fmt::Debug) -> Self {
        Self::SharedMemory { what, reason: format!("{reason:?}") }
    }
}

/// A name could not be claimed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// A live process serves it.
    #[error("{} is already served by {}{}", .0.endpoint, process(.0.pid), in_notebook(&.0.notebook))]
    Served(Owner),
    /// The claim failed otherwise.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// No connection came about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody serves the name.
    #[error("{}", not_found(endpoint, looked_in, live))]
    NotFound {
        /// The name.
        endpoint: String,
        /// The runtime directories.
        looked_in: Vec<PathBuf>,
        /// Who lives there.
        live: Vec<Owner>,
    },
    /// The worker does not serve this client.
    #[error("the worker refused: {reason} ({code})")]
    Refused {
        /// The status for the caller.
        code: Code,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The worker speaks another version of the protocol, and welcomed this client all the same.
    #[error("{}", versions(*worker, *client))]
    Version {
        /// The worker's version.
        worker: u16,
        /// This side's.
        client: u16,
    },
    /// The connection failed otherwise.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A connection can't be received from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// iceoryx2 failed; the connection is of no more use.
    #[error("receiving failed: {0}")]
    Failed(String),
    /// This process was forked from the one that made the connection.
    #[error("the connection is that of the process which this one was forked from")]
    Inherited,
}

/// A frame was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The window is full and the peer knows that this side waits for room.
    #[error("the other side has not made room yet")]
    Full,
    /// The peer is gone or the connection is closed.
    #[error("the other side is gone")]
    Gone,
    /// The frame is larger than any frame may be.
    #[error("the frame has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// The frame's bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// There is no shared memory for it.
    #[error("no shared memory for a frame of {len} bytes: {reason}")]
    NoMemory {
        /// The frame's bytes.
        len: usize,
        /// What the system said.
        reason: String,
    },
    /// Anything else; the frame was not sent.
    #[error("sending failed: {0}")]
    Failed(String),
}

/// Who of two sides that speak different versions of the protocol has to change.
pub(crate) fn versions(worker: u16, client: u16) -> String {
    let older = if worker < client { "worker" } else { "client" };
    format!("the worker speaks protocol {worker}, the client {client}: upgrade the {older}")
}

/// ` in notebook X`, or nothing.
fn in_notebook(notebook: &str) -> String {
    if notebook.is_empty() { String::new() } else { format!(" in {notebook}") }
}

/// A process, for a person: it has no number here if it is in another PID namespace.
pub(crate) fn process(pid: u32) -> String {
    if pid == 0 { "a process of another PID namespace".into() } else { format!("pid {pid}") }
}

/// Directories, for a person.
fn among(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(" and ")
}

/// Why there is nobody to connect with.
fn not_found(endpoint: &str, looked_in: &[PathBuf], live: &[Owner]) -> String {
    let dirs = among(looked_in);
    if let Some(owner) = live.iter().find(|owner| owner.endpoint == endpoint) {
        return format!(
            "{endpoint:?} is being served by {}{}, but has no socket in {dirs}: the worker makes it again within seconds, \
             or its log says why it can't",
            process(owner.pid),
            in_notebook(&owner.notebook)
        );
    }
    let served: Vec<_> = live.iter().map(|owner| format!("{} (pid {})", owner.endpoint, owner.pid)).collect();
    let served = if served.is_empty() {
        "no endpoint is being served".into()
    } else {
        served.join(", ") + " can be found"
    };
    format!("no worker serves {endpoint:?}: looked in {dirs}, where {served}")
}
