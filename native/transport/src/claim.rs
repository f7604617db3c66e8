//! A worker's claim of a name.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use pycrust_protocol::name::EndpointName;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{ClaimError, TransportError};
use crate::fork::Guarded;
use crate::lockfile::LockFile;
use crate::remains;
use crate::runtime::{Owner, Runtime};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 256;

/// The claim of a name: while it lives, no other process serves it.
///
/// Clients can connect from now on; they wait for an [`Acceptor`](crate::Acceptor).
#[derive(Debug)]
pub struct Claim {
    /// What the lock file says.
    owner: Owner,
    /// The iceoryx2 prefix of this worker's life.
    prefix: String,
    /// What the prefixes of all lives of this endpoint begin with.
    common_prefix: String,
    /// The listening control socket. Its path goes before the lock does.
    socket: Listener,
    /// The lock: last, since whoever takes it next finds everything else gone.
    _lock: LockFile,
}

/// The listening socket and its path.
#[derive(Debug)]
struct Listener {
    /// The socket.
    fd: Guarded,
    /// Its path.
    path: PathBuf,
    /// The process that made it.
    pid: u32,
}

impl Claim {
    /// Claims a name and removes what a dead owner left behind.
    ///
    /// `notebook` is the notebook that this process runs in, or nothing.
    ///
    /// # Errors
    /// [`ClaimError::Served`] says which live process serves the name.
    pub fn take(runtime: &Runtime, name: &EndpointName, notebook: &str) -> Result<Self, ClaimError> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let owner = Owner {
            endpoint: name.to_string(),
            pid: std::process::id(),
            notebook: notebook.into(),
            started_unix_ns: started.as_nanos() as u64,
            // Random, so that no life is taken for another, whatever the clock does.
            generation: RandomState::new().build_hasher().finish(),
        };
        let lock = LockFile::take(&runtime.lock_path(name), &owner)?;
        let common_prefix = runtime.prefix(name);
        let prefix = format!("{common_prefix}{:08x}_", owner.generation as u32);
        remains::sweep_others(&common_prefix, &prefix);
        let socket = Listener::bind(runtime.socket_path(name))?;
        Ok(Self { owner, prefix, common_prefix, socket, _lock: lock })
    }

    /// What the lock file says about this process.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The listening control socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.fd.as_fd()
    }

    /// The iceoryx2 prefix of this worker's life.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Removes what earlier lives left and a client kept in use at the time.
    pub(crate) fn sweep_others(&self) {
        remains::sweep_others(&self.common_prefix, &self.prefix);
    }
}

impl Listener {
    /// Listens at `path`, in place of a dead owner's socket. Only the lock's holder may.
    fn bind(path: PathBuf) -> Result<Self, TransportError> {
        let fail = |error| TransportError::system(format!("listen at {}", path.display()), error);
        let _ = fs::remove_file(&path);
        let fd = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .map_err(fail)?;
        rustix::net::bind(&fd, &SocketAddrUnix::new(&path).map_err(fail)?).map_err(fail)?;
        rustix::net::listen(&fd, BACKLOG).map_err(fail)?;
        Ok(Self { fd: fd.into(), path, pid: std::process::id() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
