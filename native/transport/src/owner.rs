//! Who serves a name.

use serde::{Deserialize, Serialize};

/// Who serves a name, as its lock file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name.
    pub endpoint: String,
    /// The worker's process.
    pub pid: u32,
    /// The notebook that it runs in (`JPY_SESSION_NAME`), or nothing.
    pub notebook: String,
    /// When it claimed the name, in nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// Tells this worker's life from any other's.
    pub generation: u64,
}
