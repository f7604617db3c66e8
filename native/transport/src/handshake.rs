//! How a client and a worker come together over the control socket.

pub(crate) mod accept;
pub(crate) mod acceptor;
pub(crate) mod claim;
pub(crate) mod connect;
pub(crate) mod control_thread;
