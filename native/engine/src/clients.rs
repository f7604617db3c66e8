//! Who calls: the clients, their calls, and their answers that wait.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod ongoing;
pub(crate) mod outbox;
pub(crate) mod sender;
