//! Calls that run: what starts them, and what they may ask.

pub(crate) mod arguments;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod job;
pub(crate) mod resting;
