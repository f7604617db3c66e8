//! The connection to a worker: made, kept, replaced, and how its callers wait.

pub(crate) mod backoff;
pub(crate) mod buffers;
pub(crate) mod connector;
pub(crate) mod descriptor;
pub(crate) mod driver;
pub(crate) mod home;
pub(crate) mod in_flight;
#[cfg(feature = "testing")]
pub(crate) mod pipe;
pub(crate) mod receive_turn;
pub(crate) mod session;
pub(crate) mod state;
pub(crate) mod thread;
pub(crate) mod threads;
pub(crate) mod timer;
pub(crate) mod waiting;
pub(crate) mod wire;
