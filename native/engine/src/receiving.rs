//! What comes in: clients, and their frames.

mod arrivals;
pub(crate) mod builtin;
pub(crate) mod intake;
