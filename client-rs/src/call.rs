//! One call: what it sends, what becomes of it, what comes back.

pub(crate) mod arrays;
pub(crate) mod attached;
pub(crate) mod attempt;
pub(crate) mod in_flight;
pub(crate) mod items;
pub(crate) mod large;
pub(crate) mod metadata;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod retries;
pub(crate) mod stream;
pub(crate) mod streaming;
