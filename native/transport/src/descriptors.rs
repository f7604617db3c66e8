//! File descriptors: said before they run out half-way, and with what helps.

use std::cell::Cell;
use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::error::TransportError;

/// What one connection may need, on either side: two doorbells, the control socket and the peer's process, which stay open;
/// what the first one of a process opens, its node and its lock in the worker's life; and some for an instant.
pub(crate) const PER_CONNECTION: u64 = 12;

/// Fails unless this process may open so many descriptors more.
pub(crate) fn check(needed: u64) -> Result<(), TransportError> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    match open() {
        Ok(open) if open + needed <= limit => Ok(()),
        Ok(open) => Err(TransportError::Descriptors(format!(
            "this process has {open} of at most {limit} open and needs up to {needed} more: raise the limit \
             (ulimit -n, LimitNOFILE= of a systemd service), or close some"
        ))),
        Err(error) if is_shortage(&error) => Err(shortage(&error, needed)),
        // Not known: what is opened says so itself.
        Err(_) => Ok(()),
    }
}

/// Whether an error says that there are no descriptors.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|shortage| error.raw_os_error() == Some(shortage.raw_os_error()))
}

/// What to say of such an error.
pub(crate) fn shortage(error: &io::Error, needed: u64) -> TransportError {
    let whole_system = error.raw_os_error() == Some(Errno::NFILE.raw_os_error());
    TransportError::Descriptors(if whole_system {
        "the whole system has none left: raise fs.file-max (sysctl), or close some".into()
    } else {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        format!(
            "this process has all {limit} open that it may and needs up to {needed} more: raise the limit \
             (ulimit -n, LimitNOFILE= of a systemd service), or close some"
        )
    })
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
                return shortage(&last, PER_CONNECTION / 2);
            }
            check(PER_CONNECTION / 2).err().unwrap_or(error)
        }
        error => error,
    })
}

/// How many descriptors this process has open.
fn open() -> io::Result<u64> {
    // Linux since 6.2 says it without a descriptor.
    match fs::metadata("/proc/self/fd")?.len() {
        // One of them is the listing's own.
        0 => Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}
