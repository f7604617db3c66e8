//! What goes wrong: malformed bytes, and the payload of an error response.

use rmp::Marker::{self, FixMap};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::control::put_str;
use crate::payload;
use crate::reader::Reader;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorPayload {
    /// What happened, where, and what to do about it. Key `message`.
    pub message: String,
    /// The Python exception's qualified name; empty where no exception was raised. Key `type`.
    pub exception: String,
    /// MessagePack of the details, empty for none; in the map it is that value itself, under `details`.
    /// For a validation error, the list of [`ValidationIssue`]s.
    pub details: Vec<u8>,
    /// The Python traceback as text, where the endpoint allows it. Key `traceback`.
    pub traceback: String,
    /// Whether the handler had started when the call ended. Key `may_have_run`.
    pub may_have_run: bool,
}

impl ErrorPayload {
    /// An error with a message and nothing else.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The payload as MessagePack. Fields that are empty are left out, and so are `details` that are
    /// not one value that may cross: the message must arrive, whatever else is wrong.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::ErrorPayload;
    ///
    /// let sent = ErrorPayload { details: vec![0x91, 0x07], ..ErrorPayload::message("no") }; // [7]
    /// let bytes = sent.encode();
    /// assert_eq!(bytes, b"\x83\xa7message\xa2no\xa7details\x91\x07\xacmay_have_run\xc2");
    /// assert_eq!(ErrorPayload::decode(&bytes), sent);
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FixMap(0).to_u8()];
        let mut put = |key: &str, value: &dyn Fn(&mut Vec<u8>)| {
            out[0] += 1; // A fixmap's low bits count its entries: here 5 at most.
            put_str(&mut out, key);
            value(&mut out);
        };
        put("message", &|out| put_str(out, &self.message));
        if !self.exception.is_empty() {
            put("type", &|out| put_str(out, &self.exception));
        }
        // One level of nesting is taken: the map itself.
        if !self.details.is_empty() && payload::check_within(&self.details, 1).is_ok() {
            put("details", &|out| out.extend_from_slice(&self.details));
        }
        if !self.traceback.is_empty() {
            put("traceback", &|out| put_str(out, &self.traceback));
        }
        let may_have_run = if self.may_have_run { Marker::True } else { Marker::False };
        put("may_have_run", &|out| out.push(may_have_run.to_u8()));
        out
    }

    /// Reads a payload; one that is no such map becomes a message that says so.
    pub fn decode(payload: &[u8]) -> Self {
        Self::read(payload).unwrap_or_else(|malformed| {
            let Malformed { offset, reason } = malformed;
            let what = "the worker sent an error that can't be read";
            Self::message(format!("{what}: byte {offset}: {reason}"))
        })
    }

    fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let mut error = Self::default();
        let mut has_message = false;
        for _ in 0..reader.map_len("the error")? {
            let key = skipped(&mut reader)?;
            let at = reader.at();
            let value = skipped(&mut reader)?;
            if value == [Marker::Null.to_u8()] {
                continue;
            }
            let key = Reader::new(key).str("a key").unwrap_or_default();
            let mut read = Reader::new(value);
            let outcome = match key {
                "message" => read.str(key).map(|text| {
                    error.message = text.into();
                    has_message = true;
                }),
                "type" => read.str(key).map(|text| error.exception = text.into()),
                "traceback" => read.str(key).map(|text| error.traceback = text.into()),
                "may_have_run" => read.bool(key).map(|flag| error.may_have_run = flag),
                "details" => {
                    error.details = value.to_vec();
                    Ok(())
                }
                _ => Ok(()),
            };
            outcome.map_err(|within| Malformed::new(at + within.offset, within.reason))?;
        }
        reader.end("the error")?;
        if has_message { Ok(error) } else { Err(Malformed::new(0, "it has no message")) }
    }
}

/// Passes over one value of the map and gives its bytes.
fn skipped<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let start = reader.at();
    payload::skip(reader, 1)?;
    Ok(reader.since(start))
}

/// One entry of a validation error, as Pydantic lists it.
///
/// # Examples
/// ```
/// use pycrust_protocol::error::Location;
/// use pycrust_protocol::{ErrorPayload, ValidationIssue};
///
/// let place = [Location::Field("items".into()), Location::Index(0)];
/// let issue = ValidationIssue::new(place, "int_type", "Input should be a valid integer");
/// let details = rmp_serde::to_vec_named(&[&issue])?;
/// let error = ErrorPayload { details, ..ErrorPayload::message("1 validation error") };
///
/// let received = ErrorPayload::decode(&error.encode());
/// let issues: Vec<ValidationIssue> = rmp_serde::from_slice(&received.details)?;
/// assert_eq!(issues, [issue]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidationIssue {
    /// Where in the arguments, from the outside in: field names and list indices.
    pub loc: Vec<Location>,
    /// What is wrong, for a person.
    pub msg: String,
    /// Pydantic's name for the kind of error, such as `int_parsing`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl ValidationIssue {
    /// What is wrong at one place, from the outside in.
    pub fn new(loc: impl Into<Vec<Location>>, kind: impl Into<String>, msg: impl Into<String>) -> Self {
        Self { loc: loc.into(), msg: msg.into(), kind: kind.into() }
    }
}

/// One step of a [`ValidationIssue`]'s location. There are no others: Pydantic's are names and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Location {
    /// An index into a list or a position among the arguments.
    Index(i64),
    /// The name of a field or of an argument.
    Field(String),
}
