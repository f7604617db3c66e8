//! Calls that run: their threads, what they bring and say, and how long they may hold the interpreter.

pub(crate) mod arguments;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod items;
pub(crate) mod job;
pub(crate) mod ongoing;
pub(crate) mod output;
pub(crate) mod spin;
pub(crate) mod threads;
pub(crate) mod watchdog;
