//! Fuzz targets for everything that reads bytes of another process.
//!
//! A target takes any bytes and panics where a property does not hold. `make fuzz` runs each of them with libFuzzer,
//! the tests run each over its corpus. [`TARGETS`] lists them.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a target that panics has found something")]

pub mod connections;
mod cursor;
mod oracle;
pub mod protocol;

/// What is run with an input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: [(&str, Target); 18] = [
    ("header", protocol::header),
    ("sample", protocol::sample),
    ("layout", protocol::layout),
    ("reports", protocol::reports),
    ("request", protocol::request),
    ("response", protocol::response),
    ("handshake", protocol::handshake),
    ("payload", protocol::payload),
    ("metadata", protocol::beside),
    ("error", protocol::error),
    ("tensor", protocol::tensor),
    ("integer", protocol::integer),
    ("names", protocol::names),
    ("order", protocol::order),
    ("worker", connections::worker),
    ("connection", connections::connection),
    ("client", connections::client),
    ("codec", connections::codec),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
