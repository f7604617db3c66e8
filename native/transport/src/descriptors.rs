//! File descriptors: said before they run out half-way, and with what helps.

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
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::MFILE | Errno::NFILE))
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

/// How many descriptors this process has open.
fn open() -> io::Result<u64> {
    // Linux since 6.2 says it without a descriptor.
    match fs::metadata("/proc/self/fd")?.len() {
        // One of them is the listing's own.
        0 => Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}
