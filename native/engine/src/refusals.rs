//! The engine's own error answers: what happened, where, and what to do about it.

use pycrust_protocol::{Code, ErrorPayload, Malformed};
use serde::Serialize;

use crate::queueing::admission::Full;

/// An error answer: its code and its payload.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The status of the answer.
    pub(crate) code: Code,
    /// The message, and whether the handler may have run.
    pub(crate) error: ErrorPayload,
}

impl Refusal {
    fn new(code: Code, message: String) -> Self {
        Self { code, error: ErrorPayload::message(message) }
    }

    fn after_start(mut self) -> Self {
        self.error.may_have_run = true;
        self
    }
}

pub(crate) fn malformed(error: &Malformed) -> Refusal {
    Refusal::new(Code::InvalidArgument, error.to_string())
}

/// For its record only: nobody is there to be answered.
pub(crate) fn gone() -> Refusal {
    Refusal::new(Code::Cancelled, "the client went away before the call was started".to_owned())
}

pub(crate) fn superseded(method: &str) -> Refusal {
    Refusal::new(Code::Aborted, format!("a newer call of {method:?} took the place of this one in the queue"))
}

pub(crate) fn full(full: Full) -> Refusal {
    let message = match full {
        Full::Client { held, bound } => format!(
            "the worker holds {held} unanswered calls of this client, at most {bound} are allowed \
             (max_in_flight_per_client); wait for answers before calling again"
        ),
        Full::Worker { held, bound } => format!(
            "the worker holds {held} unanswered calls of all clients, at most {bound} are allowed \
             (max_in_flight); try again later"
        ),
        Full::Bytes { held, bound, asked } => format!(
            "{held} bytes of arguments wait in the worker's queues and this call brings {asked} more, \
             at most {bound} are allowed (max_queued_bytes); try again later"
        ),
        Full::Waiting { held, bound, asked } => format!(
            "{held} bytes of answers wait for clients that don't take them and this answer has {asked} more, at most \
             {bound} may wait (max_waiting_bytes); take answers as they come, or ask for less at a time"
        ),
        Full::Streamed { held, bound, asked } => format!(
            "{held} bytes of streamed arguments wait for handlers that have not taken them and this item has {asked} \
             more, at most {bound} may wait (max_waiting_bytes); try again later"
        ),
    };
    let refusal = Refusal::new(Code::ResourceExhausted, message);
    if matches!(full, Full::Waiting { .. } | Full::Streamed { .. }) { refusal.after_start() } else { refusal }
}

pub(crate) fn expired(method: &str, waited_ns: u64) -> Refusal {
    Refusal::new(
        Code::DeadlineExceeded,
        format!(
            "the deadline passed before {method:?} was started; the call was {:.3} ms old",
            std::time::Duration::from_nanos(waited_ns).as_secs_f64() * 1e3
        ),
    )
}

pub(crate) fn in_vain(method: &str, left_ns: u64, takes_ns: u64) -> Refusal {
    let [left, takes] = [left_ns, takes_ns].map(|ns| std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3);
    Refusal::new(
        Code::DeadlineExceeded,
        format!(
            "the call has waited until only {left:.3} ms of its time were left, and calls of {method:?} take {takes:.3} ms: it \
             was not started"
        ),
    )
}

pub(crate) fn too_late(method: &str, left_ns: u64, takes_ns: u64, before: usize) -> Refusal {
    let [left, takes] = [left_ns, takes_ns].map(|ns| std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3);
    let before = match before {
        0 => "none is queued before it but its places are taken".to_owned(),
        1 => "1 is queued before it".to_owned(),
        _ => format!("{before} are queued before it"),
    };
    Refusal::new(
        Code::ResourceExhausted,
        format!(
            "the call had {left:.3} ms left when it came, calls of {method:?} take {takes:.3} ms and {before}: it would not \
             be answered in time and was refused (admission=\"deadline\"); call less often, give it more time, or have \
             more run at once (concurrency)"
        ),
    )
}

pub(crate) fn cancelled(method: &str) -> Refusal {
    Refusal::new(Code::Cancelled, format!("the call of {method:?} was cancelled before it was started"))
}

pub(crate) fn stopping(endpoint: &str) -> Refusal {
    Refusal::new(
        Code::Unavailable,
        format!("the worker of {endpoint:?} is stopping; the call was not started"),
    )
}

pub(crate) fn expected(method: &str, endpoint: &str) -> Refusal {
    Refusal::new(
        Code::Unavailable,
        format!(
            "{method:?} is expected on {endpoint:?} but not registered yet; try again when its cell has run"
        ),
    )
}

pub(crate) fn unknown(method: &str, endpoint: &str, near: &[&str]) -> Refusal {
    let message = format!("{endpoint:?} has no method {method:?}");
    let quoted: Vec<_> = near.iter().map(|name| format!("{name:?}")).collect();
    let message = match quoted.split_last() {
        None => format!("{message}; pycrust.methods lists what it has"),
        Some((only, [])) => format!("{message}; did you mean {only}?"),
        Some((last, others)) => format!("{message}; did you mean {} or {last}?", others.join(", ")),
    };
    Refusal::new(Code::Unimplemented, message)
}

/// A call whose caller was built against a schema that the live version doesn't go on with: the details of its refusal.
#[derive(Debug, Serialize)]
pub(crate) struct SchemaMismatch<'a> {
    /// The method's name.
    pub(crate) method: &'a str,
    /// The hash of the caller's schema.
    pub(crate) pinned: u64,
    /// The hash of the live version's.
    pub(crate) live: u64,
    /// The live version's number.
    pub(crate) version: u32,
    /// What the caller has to change for; empty where its schema is not known.
    pub(crate) changes: &'a [String],
}

/// What Python knows that refusal by.
const SCHEMA_MISMATCH: &str = "pycrust.errors.SchemaMismatch";

pub(crate) fn schema_mismatch(mismatch: &SchemaMismatch<'_>, endpoint: &str) -> Refusal {
    let SchemaMismatch { method, pinned, live, version, changes } = mismatch;
    let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join("; ")) };
    let mut refusal = Refusal::new(
        Code::FailedPrecondition,
        format!(
            "the caller was built against schema {pinned:#018x} of {method:?}, version {version} has schema \
             {live:#018x}{changes}; generate the client again: pycrust types {endpoint} -o FILE"
        ),
    );
    refusal.error.exception.push_str(SCHEMA_MISMATCH);
    // Without details the message still says it all.
    refusal.error.details = rmp_serde::to_vec_named(mismatch).unwrap_or_default();
    refusal
}

pub(crate) fn stopped(method: &str) -> Refusal {
    Refusal::new(Code::Unavailable, format!("the worker stopped while {method:?} ran")).after_start()
}

pub(crate) fn unanswered(method: &str) -> Refusal {
    Refusal::new(
        Code::Internal,
        format!("the worker dropped the call of {method:?} without an answer; its log tells of it"),
    )
    .after_start()
}

pub(crate) fn too_large(len: usize, max: usize) -> Refusal {
    Refusal::new(
        Code::ResourceExhausted,
        format!("the answer has {len} bytes, at most {max} fit into one frame; return less, or in pieces"),
    )
    .after_start()
}

pub(crate) fn no_memory(len: usize, reason: &str) -> Refusal {
    Refusal::new(
        Code::ResourceExhausted,
        format!(
            "there is no shared memory for the answer's {len} bytes ({reason}); enlarge or empty /dev/shm"
        ),
    )
    .after_start()
}

pub(crate) fn send_failed(reason: &str) -> Refusal {
    Refusal::new(Code::Internal, format!("the answer could not be sent: {reason}")).after_start()
}

pub(crate) fn unencodable(reason: &str) -> Refusal {
    Refusal::new(Code::Internal, format!("the worker could not encode an answer about itself: {reason}"))
}
