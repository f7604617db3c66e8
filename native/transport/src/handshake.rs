//! How a client and a worker come together over the control socket.

pub(crate) mod accept;
pub(crate) mod acceptor;
pub(crate) mod connect;
pub(crate) mod control_socket;
pub(crate) mod control_thread;
pub(crate) mod listener;
pub(crate) mod peer;
