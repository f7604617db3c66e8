//! What comes in: clients, and their frames.

mod arrivals;
pub(crate) mod builtin;
pub(crate) mod exposed;
pub(crate) mod intake;
mod interpreter;
