//! Answers on their way out.

pub(crate) mod deliver;
pub(crate) mod outbox;
pub(crate) mod refusals;
pub(crate) mod sender;
