//! The engine without Python: one program, since each takes seconds to link.
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod anticipation;
mod batches;
mod bounds;
mod calls;
mod deadlines;
mod end_to_end;
mod ending;
mod hostile;
mod leading;
mod recorder;
mod streams;
mod strokes;
mod support;
