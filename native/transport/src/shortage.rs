//! When descriptors run out: how that is seen, and what helps.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// What one connection may need, on either side: two doorbells, the control socket and the peer's process, which stay open;
/// what the first one of a process opens, its node and its lock in the worker's life; and some for an instant.
pub(crate) const PER_CONNECTION: u64 = 12;

/// Whether an error says that there are no descriptors.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|shortage| error.raw_os_error() == Some(shortage.raw_os_error()))
}

/// What to say of such an error.
pub(crate) fn shortage(error: &io::Error, needed: u64) -> String {
    let whole_system = error.raw_os_error() == Some(Errno::NFILE.raw_os_error());
    if whole_system {
        "the whole system has none left: raise fs.file-max (sysctl), or close some".into()
    } else {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        format!(
            "this process has all {limit} open that it may and needs up to {needed} more: raise the limit \
             (ulimit -n, LimitNOFILE= of a systemd service), or close some"
        )
    }
}
