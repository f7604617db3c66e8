//! The PyCrust wire format: bytes in, types out.
//!
//! A frame is a fixed 128-byte [`header`] beside a body. The body's first `body_len` bytes are the
//! [`control`] message, a MessagePack array and nothing else; what follows it (metadata, round-trip
//! [`report`]s, attachments) is described by the header. `SPEC.md` beside this crate is the
//! specification, `vectors/` holds the test vectors that every implementation reads.
//!
//! ```
//! use pycrust_protocol::control::{Request, put_request_head};
//! use pycrust_protocol::header::{Common, Header, RequestHeader};
//! use pycrust_protocol::payload;
//!
//! // The caller: add(a=10, b=20), to be answered within a second.
//! let arguments = b"\x82\xa1a\x0a\xa1b\x14";
//! let mut sample = Vec::new();
//! put_request_head(&mut sample, 1 << 16, "add", arguments.len());
//! sample.extend_from_slice(arguments);
//! let common = Common { body_len: sample.len() as u32, sent_ns: 5_000, ..Common::default() };
//! let raw = RequestHeader { common, deadline_ns: 1_000_000_000, ..RequestHeader::default() }.encode();
//!
//! // The worker, to which all of this is only bytes.
//! let Header::Request(header) = Header::decode(&raw)? else { panic!("a request was sent") };
//! let parts = header.common.split(&sample)?;
//! let request = Request::decode(parts.control)?;
//! payload::check(request.payload)?;
//! assert_eq!((request.method, header.expires_ns()), ("add", Some(1_000_005_000)));
//! # Ok::<(), pycrust_protocol::Malformed>(())
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`header`] | the fixed 128 bytes, and where a sample's parts lie |
//! | [`control`] | the request's and the response's MessagePack array |
//! | [`payload`] | what a payload may be, checked without decoding it |
//! | [`reader`] | what bytes that nobody has checked say, value by value |
//! | [`metadata`] | what may travel beside a request or an answer |
//! | [`attachments`], [`tensor`] | where arrays lie beside the body, and what the body says of them |
//! | [`record`] | what is in an array's elements that have fields |
//! | [`error`], [`code`] | how a call fails: status numbers, the error's map |
//! | [`report`] | round trips that the client measured |
//! | [`handshake`], [`name`] | the control socket's messages, and what may be called what |
//! | [`reserved`] | the methods under `pycrust.` |
//! | [`limits`] | how much is too much |
//!
//! Nothing here trusts a byte: every length, offset, depth and count is checked before it is used,
//! and each failure is a [`Malformed`] with the offset and the reason.
#![forbid(unsafe_code)]
#![deny(clippy::cast_possible_truncation)]

pub mod attachments;
mod bytes;
pub mod code;
pub mod control;
pub mod error;
pub mod handshake;
pub mod header;
pub mod integer;
pub mod limits;
pub mod metadata;
pub mod name;
pub mod order;
pub mod payload;
pub mod reader;
pub mod record;
pub mod report;
pub mod reserved;
pub mod tensor;
pub mod trace;
mod traffic;

pub use code::Code;
pub use error::{ErrorPayload, Malformed, ValidationIssue};
