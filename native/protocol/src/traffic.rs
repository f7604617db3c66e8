//! Recorded calls as `pycrust.traffic` gives them: from a cursor on, a page at a time.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Malformed;
use crate::limits::MAX_TRAFFIC_CALLS;
use crate::payload;

/// The arguments of `pycrust.traffic`: by name, by position, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficQuery {
    /// The number of the last call that is known already; 0 is none.
    #[serde(default)]
    pub after: u64,
    /// Calls that are wanted, at most.
    #[serde(default = "most")]
    pub most: u64,
}

fn most() -> u64 {
    MAX_TRAFFIC_CALLS as u64
}

impl Default for TrafficQuery {
    fn default() -> Self {
        Self { after: 0, most: most() }
    }
}

impl TrafficQuery {
    /// Reads the arguments.
    ///
    /// # Errors
    /// What is wrong with the payload.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        if payload.is_empty() {
            return Ok(Self::default());
        }
        payload::check(payload)?;
        let wrong = |_| Malformed::new(0, "the arguments of pycrust.traffic are after and most, two counts");
        Ok(rmp_serde::from_slice::<Option<Self>>(payload).map_err(wrong)?.unwrap_or_default())
    }
}

/// The answer to `pycrust.traffic`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficPage {
    /// Whether calls are recorded at the moment.
    pub recording: bool,
    /// Whether a hook of the endpoint's decides what is shown, so that no payload is told.
    pub hooked: bool,
    /// The number of the oldest call that is held; of the next one, if none is.
    pub first: u64,
    /// The number of the last recorded call; 0 before the first.
    pub last: u64,
    /// Calls that were left out by sampling since the worker began.
    pub skipped: u64,
    /// Calls with numbers above the cursor, the oldest first, as many as there is room for.
    pub calls: Vec<TrafficCall>,
}

/// One recorded call, without what its endpoint hides.
#[allow(clippy::struct_excessive_bools, reason = "each says something else, as the message has it")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCall {
    /// Its number among the recorded calls, from 1.
    pub seq: u64,
    /// The caller's number for it, unique on its connection only.
    pub id: u64,
    /// What was called.
    pub method: String,
    /// The version that answered; 0 where none did.
    pub version: u32,
    /// The status of the answer.
    pub status: u8,
    /// The status that the caller saw, once it has told.
    pub seen: Option<u8>,
    /// The request's flags.
    pub flags: u8,
    /// What the caller calls itself.
    pub client: String,
    /// Its process.
    pub client_pid: u32,
    /// The number of its connection.
    pub connection: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended_unix_ns: u64,
    /// Nanoseconds from its publishing to its answer.
    pub duration_ns: u64,
    /// Nanoseconds that it had; 0 is without end.
    pub deadline_ns: u64,
    /// Nanoseconds until the caller had its answer, as it measured, once it has told.
    pub round_trip_ns: Option<u64>,
    /// Where the time went.
    pub stages: TrafficStages,
    /// Whether a handler was started for it.
    pub ran: bool,
    /// Whether the answer is a stream.
    pub streamed: bool,
    /// Items of the answer, of a stream.
    pub items: u64,
    /// Of these, the first ones that are kept.
    pub items_kept: u64,
    /// Arguments that the handler took of those that the caller streamed.
    pub uploaded: u64,
    /// Of these, the first ones that are kept.
    pub uploaded_kept: u64,
    /// The names of the method's arguments by position.
    pub parameters: Vec<String>,
    /// The arguments as MessagePack, as far as they are told.
    pub request: ByteBuf,
    /// The arrays among them, if they are kept and nothing is hidden.
    pub request_arrays: Vec<ByteBuf>,
    /// Bytes that the arguments had.
    pub request_len: u64,
    /// The caller's metadata as MessagePack.
    pub request_metadata: ByteBuf,
    /// The result or the error as MessagePack, as far as it is told; of a stream, its items in a row.
    pub response: ByteBuf,
    /// Bytes that the answer had.
    pub response_len: u64,
    /// The answer's metadata as MessagePack.
    pub response_metadata: ByteBuf,
    /// What the handler printed: pairs of channel and text.
    pub output: Vec<(String, String)>,
    /// Bytes of output that are not told.
    pub output_lost: u64,
    /// Whether fields of the arguments are missing.
    pub request_dropped: bool,
    /// Whether fields of the answer are missing.
    pub response_dropped: bool,
}

/// Nanoseconds of each stage of a recorded call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficStages {
    /// On the way to the worker.
    pub transit: u64,
    /// In the worker's queue.
    pub queue: u64,
    /// Waiting for the interpreter.
    pub interpreter: u64,
    /// Decoding and validating.
    pub decode: u64,
    /// In the handler.
    pub handler: u64,
    /// Serialising and encoding.
    pub encode: u64,
    /// On the way back, once the client has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<u64>,
}
