//! What goes wrong: malformed bytes, and the payload of an error response.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes that break the specification: where, and how.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("malformed frame at byte {offset}: {reason}")]
pub struct Malformed {
    /// Offset of the offending byte from the start of the header or the control message.
    pub offset: usize,
    /// What was expected there and what was found.
    pub reason: String,
}

impl Malformed {
    /// Says that the bytes at `offset` break the specification for `reason`.
    pub fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self { offset, reason: reason.into() }
    }
}

/// The payload of a response whose status is not 0: a MessagePack map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPayload {
    /// What happened, where, and what to do about it.
    pub message: String,
    /// The Python exception's qualified name; empty where no exception was raised.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub exception: String,
    /// MessagePack of the details, whose value stands in the map as it is (empty: there are none).
    /// For a validation error, the list of [`ValidationIssue`]s.
    #[serde(default, with = "embedded", skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<u8>,
    /// The Python traceback as text, where the endpoint allows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traceback: String,
    /// Whether the handler had started when the call ended.
    #[serde(default)]
    pub may_have_run: bool,
}

impl ErrorPayload {
    /// An error with a message and nothing else.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The payload as MessagePack.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and bytes into a Vec: there is nothing in it that can fail.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    /// Reads a payload; one that is no such map becomes a message that says so.
    pub fn decode(payload: &[u8]) -> Self {
        rmp_serde::from_slice(payload).unwrap_or_else(|error| {
            Self::message(format!("the worker sent an error that can't be read: {error}"))
        })
    }
}

/// MessagePack bytes in Rust that are a value among others on the wire.
mod embedded {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    #[expect(clippy::ptr_arg, reason = "serde passes the field as it is")]
    pub(super) fn serialize<S: Serializer>(bytes: &Vec<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        let value = rmpv::decode::read_value(&mut bytes.as_slice()).map_err(ser::Error::custom)?;
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let value = rmpv::Value::deserialize(deserializer)?;
        let mut bytes = Vec::new();
        if !value.is_nil() {
            rmpv::encode::write_value(&mut bytes, &value).map_err(de::Error::custom)?;
        }
        Ok(bytes)
    }
}

/// One entry of a validation error, as Pydantic lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationIssue {
    /// Where in the arguments, from the outside in: field names and list indices.
    pub loc: Vec<Location>,
    /// What is wrong, for a person.
    pub msg: String,
    /// Pydantic's name for the kind of error, such as `int_parsing`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One step of a [`ValidationIssue`]'s location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Location {
    /// An index into a list or a position among the arguments.
    Index(i64),
    /// The name of a field or of an argument.
    Field(String),
}
