//! Descriptors on a runtime's I/O driver.

use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

/// Registers a descriptor with a runtime. A forked child that drops the runtime would take it out of the epoll set, which
/// it shares with its parent, were it not another one there.
///
/// # Errors
/// The system's; and one of a runtime that has no I/O driver.
pub(crate) fn watch<T: AsRawFd>(runtime: &Handle, descriptor: T) -> io::Result<AsyncFd<T>> {
    let _entered = runtime.enter();
    // Tokio can't be asked whether a runtime has an I/O driver: it panics where there is none.
    catch_unwind(AssertUnwindSafe(|| {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may close the descriptor or change their mind about \
                      it; those that come here do neither, and this crate forbids unsafe code"
        )]
        AsyncFd::with_interest(descriptor, Interest::READABLE)
    }))
    .unwrap_or_else(|_| {
        let reason = "this Tokio runtime has no I/O driver: make it with enable_io() or enable_all()";
        Err(io::Error::new(io::ErrorKind::Unsupported, reason))
    })
}
