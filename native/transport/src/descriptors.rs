//! File descriptors: said before they run out half-way, and with what helps.

use std::cell::Cell;
use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::error::TransportError;
use crate::shortage::{PER_CONNECTION, is_shortage, shortage};

/// Fails unless this process may open so many descriptors more.
pub(crate) fn check(needed: u64) -> Result<(), TransportError> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    match open() {
        Ok(open) if open + needed <= limit => Ok(()),
        Ok(open) => Err(TransportError::Descriptors(format!(
            "this process has {open} of at most {limit} open and needs up to {needed} more: raise the limit \
             (ulimit -n, LimitNOFILE= of a systemd service), or close some"
        ))),
        Err(error) if is_shortage(&error) => Err(TransportError::Descriptors(shortage(&error, needed))),
        // Not known: what is opened says so itself.
        Err(_) => Ok(()),
    }
}

thread_local! {
    /// The shortage that this thread met last, where iceoryx2 only passes on that something failed.
    static MET: Cell<Option<Errno>> = const { Cell::new(None) };
}

/// Remembers an error that iceoryx2 will not pass on, if it is a shortage.
pub(crate) fn note(error: Errno) -> Errno {
    if matches!(error, Errno::MFILE | Errno::NFILE) {
        MET.set(Some(error));
    }
    error
}

/// Sets up shared memory. iceoryx2 says what it could not do and not why: a shortage is told by what the system said
/// last, since other threads may have closed some by now.
pub(crate) fn explained<T>(work: impl FnOnce() -> Result<T, TransportError>) -> Result<T, TransportError> {
    MET.set(None);
    // SAFETY: the C library's place for this thread's last error.
    unsafe { *libc::__errno_location() = 0 };
    work().map_err(|error| match error {
        TransportError::SharedMemory { .. } => {
            let last = MET.take().map_or_else(io::Error::last_os_error, io::Error::from);
            if is_shortage(&last) {
                return TransportError::Descriptors(shortage(&last, PER_CONNECTION / 2));
            }
            check(PER_CONNECTION / 2).err().unwrap_or(error)
        }
        error => error,
    })
}

/// How many descriptors this process has open.
pub(crate) fn open() -> io::Result<u64> {
    // Linux since 6.2 says it without a descriptor.
    match fs::metadata("/proc/self/fd")?.len() {
        // One of them is the listing's own.
        0 => Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}
