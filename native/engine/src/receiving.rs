//! What comes in: the leader takes frames, answers what the worker answers itself, and passes the rest on.

mod arrivals;
pub(crate) mod builtin;
pub(crate) mod intake;
pub(crate) mod receiver;
