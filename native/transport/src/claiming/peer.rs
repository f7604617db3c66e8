//! Who is at the other end of a control socket, as the kernel says.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use libc::{SO_PEERCRED, SOL_SOCKET, c_int, socklen_t, ucred};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::claiming::private_dir::own_uid;
use crate::error::TransportError;
use crate::fork::Guarded;

/// `SO_PEERPIDFD` of Linux's `asm-generic/socket.h`, which libc does not name.
const SO_PEERPIDFD: c_int = 77;

/// A process at the other end.
#[derive(Debug)]
pub(crate) struct PeerProcess {
    /// Its number here; 0 if it has none, being in another PID namespace.
    pub(crate) pid: u32,
    /// Refers to it, so that its end can be waited for and its number not be taken for another's.
    pub(crate) pidfd: Guarded,
}

impl PeerProcess {
    /// The process that connected a socket, or that listens at it; it must run as this user.
    pub(crate) fn of(socket: impl AsFd) -> Result<Self, TransportError> {
        let fail = |error| TransportError::system("check who is at the other end", error);
        let found = credentials(&socket).map_err(fail)?;
        let own = own_uid().map_err(|reason| fail(io::Error::other(reason)))?;
        if found.uid != own {
            let reason = format!("it runs as uid {}, this process as uid {own}", found.uid);
            return Err(fail(io::Error::new(io::ErrorKind::PermissionDenied, reason)));
        }
        let pidfd = pidfd(&socket, found.pid)?.into();
        Ok(Self { pid: found.pid, pidfd })
    }
}

/// Uid and process of the other end, as this process's namespaces number them.
pub(crate) struct Credentials {
    /// The process; 0 if it is not to be seen from here.
    pub(crate) pid: u32,
    /// Its user.
    uid: u32,
}

/// What the kernel noted when the socket was connected. (Rustix has no process 0.)
pub(crate) fn credentials(socket: &impl AsFd) -> io::Result<Credentials> {
    // SAFETY: the kernel fills a `ucred`, for which any bytes are valid.
    let found: ucred = unsafe { option(socket, SO_PEERCRED)? };
    Ok(Credentials { pid: found.pid.unsigned_abs(), uid: found.uid })
}

/// A descriptor of the peer's process.
fn pidfd(socket: &impl AsFd, pid: u32) -> Result<OwnedFd, TransportError> {
    // SAFETY: the kernel gives a number.
    match unsafe { option::<c_int>(socket, SO_PEERPIDFD) } {
        // SAFETY: it is a descriptor that was opened for us, and nobody else's.
        Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) if error.raw_os_error() != Some(Errno::NOPROTOOPT.raw_os_error()) => {
            return Err(TransportError::system("refer to the process at the other end", error));
        }
        // Linux before 6.5 has no such option.
        Err(_) => {}
    }
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
        return Err(TransportError::Unproven(
            "it is in another PID namespace, as containers are, and Linux before 6.5 can't refer to it from here: \
             let both be in one PID namespace (docker run --pid=host for both, or --pid=container:NAME)"
                .into(),
        ));
    };
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
        Errno::PERM | Errno::NOSYS | Errno::ACCESS => TransportError::Unproven(format!(
            "the system does not let this process watch it (pidfd_open: {error}): allow pidfd_open in the container's \
             seccomp profile, or use Linux 6.5 or newer"
        )),
        error => TransportError::system(format!("watch the process {pid} at the other end"), error),
    })
}

/// Reads an option of a socket.
///
/// # Safety
/// Whatever bytes the kernel gives for the option must be a valid `T`.
unsafe fn option<T>(socket: &impl AsFd, name: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the value has room for `len` bytes, and the descriptor is open.
    if unsafe { libc::getsockopt(fd, SOL_SOCKET, name, value.as_mut_ptr().cast(), &raw mut len) } == -1 {
        return Err(io::Error::last_os_error());
    }
    if len as usize != size_of::<T>() {
        return Err(io::Error::other("the kernel answers in another form"));
    }
    // SAFETY: it was filled, and the caller vouches for its bytes.
    Ok(unsafe { value.assume_init() })
}
