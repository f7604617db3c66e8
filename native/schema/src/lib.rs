//! What handlers take and return, as a worker describes it in JSON Schema: what differs between two descriptions, and
//! whether callers built against the older one go on working.
#![forbid(unsafe_code)]

mod compatibility;

pub use compatibility::{Change, changes};
