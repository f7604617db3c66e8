//! The crate's own small runtime: where a connection is made, whatever becomes of the runtime that asked for it.
//!
//! It is one thread that waits for descriptors and times. Connecting goes on there while the caller's runtime is not
//! run, or ends, and holds no thread of anybody's while it waits for the worker.

use std::future::pending;
use std::io;

use pycrust_transport::PerProcess;
use pycrust_transport::sync::Mutex;
use tokio::runtime::{Builder, Handle};

/// The runtime: a forked child, which does not have its thread, makes one of its own.
static HOME: PerProcess<Mutex<Option<Handle>>> = PerProcess::new();

/// The runtime, made when it is first needed; it is never ended, and nobody waits for it.
///
/// # Errors
/// The system's, if it gives this process no thread or no descriptors for it.
pub(crate) fn handle() -> io::Result<Handle> {
    let mut home = HOME.get().lock();
    if let Some(handle) = &*home {
        return Ok(handle.clone());
    }
    let (told, made) = std::sync::mpsc::sync_channel(1);
    // Made on its own thread: without one, it would have to be dropped here, where a runtime must not be.
    std::thread::Builder::new().name("pycrust-connect".into()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_io().build();
        let _ = told.send(runtime.as_ref().map(|runtime| runtime.handle().clone()).map_err(io::Error::kind));
        if let Ok(runtime) = runtime {
            runtime.block_on(pending::<()>());
        }
    })?;
    let handle = made.recv().map_err(io::Error::other)??;
    *home = Some(handle.clone());
    Ok(handle)
}
