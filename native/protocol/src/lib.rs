//! The PyCrust wire format: bytes in, types out.
//!
//! A frame is a fixed 128-byte [`header`] beside a body. The body's first `body_len` bytes are the
//! [`control`] message, a MessagePack array and nothing else; what follows it (metadata, round-trip
//! [`report`]s, attachments) is described by the header. `SPEC.md` beside this crate is the
//! specification, `vectors/` holds the test vectors that every implementation reads.
//!
//! Nothing here trusts a byte: every length, offset, depth and count is checked before it is used,
//! and each failure is a [`Malformed`] with the offset and the reason.
#![forbid(unsafe_code)]

mod bytes;
pub mod code;
pub mod control;
pub mod error;
pub mod handshake;
pub mod header;
pub mod limits;
pub mod name;
pub mod report;
pub mod reserved;

pub use code::Code;
pub use error::{ErrorPayload, Malformed, ValidationIssue};
