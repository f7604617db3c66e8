//! The socket at which a worker waits for clients.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::claiming::inode::{Inode, NOW};
use crate::claiming::peer;
use crate::error::TransportError;
use crate::fork::Guarded;
use crate::process::Process;

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 256;

/// The listening socket and its path.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The socket.
    fd: Guarded,
    /// Its path.
    path: PathBuf,
    /// What it has made there.
    inode: Inode,
    /// Where clients of older versions look for it, so that they are told to be upgraded: a symbolic link, since what
    /// a socket is bound to every user can read.
    older: PathBuf,
    /// The process that made it.
    process: Process,
}

impl Listener {
    /// Listens at `path`, in place of a dead owner's socket. Only the lock's holder may.
    pub(crate) fn bind(path: PathBuf, older: PathBuf) -> Result<Self, TransportError> {
        let fail = |error: Errno| TransportError::system(format!("listen at {}", path.display()), error);
        let _ = fs::remove_file(&path);
        let fd = socket().map_err(fail)?;
        rustix::net::bind(&fd, &SocketAddrUnix::new(&path).map_err(fail)?).map_err(fail)?;
        rustix::net::listen(&fd, BACKLOG).map_err(fail)?;
        let inode = Inode::at(&path).map_err(fail)?;
        let listener = Self { fd: fd.into(), path, inode, older, process: Process::current() };
        listener.link();
        Ok(listener)
    }

    /// Leads clients of older versions here, unless somebody answers there. Without it they find nobody.
    fn link(&self) {
        if let Some(name) = self.path.file_name()
            && !answers(&self.older)
        {
            let _ = fs::remove_file(&self.older);
            let _ = symlink(name, &self.older);
        }
    }

    /// Whether the link leads here.
    fn is_linked(&self) -> bool {
        fs::read_link(&self.older).is_ok_and(|to| Some(to.as_os_str()) == self.path.file_name())
    }

    /// Whether the socket has not been cleaned away.
    pub(crate) fn is_there(&self) -> bool {
        Inode::at(&self.path) == Ok(self.inode)
    }

    /// Makes the socket look new to whoever cleans old files away.
    pub(crate) fn touch(&self) {
        let _ = rustix::fs::utimensat(CWD, &self.path, &NOW, AtFlags::SYMLINK_NOFOLLOW);
        if !self.is_linked() {
            self.link();
        }
        let _ = rustix::fs::utimensat(CWD, &self.older, &NOW, AtFlags::SYMLINK_NOFOLLOW);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.process.is_current() && self.is_there() {
            if self.is_linked() {
                let _ = fs::remove_file(&self.older);
            }
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether somebody listens at `path`, or may: what can't be told counts as somebody.
pub(crate) fn answers(path: &Path) -> bool {
    who_answers(path).is_some()
}

/// The process that listens at `path`, 0 if somebody may and it is not known who.
pub(crate) fn who_answers(path: &Path) -> Option<u32> {
    let tried = socket().and_then(|fd| {
        rustix::net::connect(&fd, &SocketAddrUnix::new(path)?)?;
        Ok(peer::credentials(&fd).map_or(0, |found| found.pid))
    });
    match tried {
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTSOCK | Errno::NAMETOOLONG) => None,
        tried => Some(tried.unwrap_or(0)),
    }
}

/// A socket of the kind that both sides use.
pub(crate) fn socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}
