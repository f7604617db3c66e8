//! Calls: taken by a dispatch thread or an event loop, run attached, answered.

pub(crate) mod arguments;
pub(crate) mod async_call;
pub(crate) mod batch;
pub(crate) mod collecting;
pub(crate) mod context;
pub(crate) mod current;
pub(crate) mod dispatch;
pub(crate) mod errors;
pub(crate) mod failure;
pub(crate) mod forked;
pub(crate) mod handler;
pub(crate) mod inbox;
pub(crate) mod kind;
pub(crate) mod results;
pub(crate) mod spans;
pub(crate) mod stream;
pub(crate) mod types;
