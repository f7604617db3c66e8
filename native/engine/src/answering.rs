//! Answers, refusals and records of calls that end.

pub(crate) mod deliver;
pub(crate) mod record_calls;
pub(crate) mod settle;
