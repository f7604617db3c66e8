//! What reads bytes and has no state: the protocol's crate.

mod control;
mod handshake;
mod header;
mod names;
mod numbers;
mod order;
mod payload;
mod sample;

pub use control::{request, response};
pub use handshake::handshake;
pub use header::header;
pub use names::names;
pub use numbers::{integer, tensor};
pub use order::order;
pub use payload::{beside, error, payload};
pub use sample::{layout, reports, sample};
