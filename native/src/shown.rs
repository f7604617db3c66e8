//! What people look at: records, statistics, log lines.

pub(crate) mod logs;
pub(crate) mod record;
pub(crate) mod snapshot;
