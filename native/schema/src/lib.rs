//! What handlers take and return, as a worker describes it in JSON Schema: what differs between two descriptions, whether
//! callers built against the older one go on working, and the code that calls them.
#![forbid(unsafe_code)]

mod compatibility;
mod loading;
mod lock;
mod reading;
mod rust;
mod types;

pub use compatibility::{Change, changes};
pub use loading::{COMMAND, LIVE, Source};
pub use lock::{FORMAT, Kind, Lock, LockError, Method};
pub use rust::{module_name, rust_module};
