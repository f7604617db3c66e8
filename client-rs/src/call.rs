//! One call: what it sends, what becomes of it, what comes back.

pub(crate) mod answer;
pub(crate) mod attempt;
pub(crate) mod items;
pub(crate) mod large;
pub(crate) mod outgoing;
pub(crate) mod reply;
pub(crate) mod retries;
pub(crate) mod slot;
pub(crate) mod stream;
pub(crate) mod streaming;
