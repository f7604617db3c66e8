//! What is counted and timed.

pub(crate) mod anticipation;
pub(crate) mod average;
pub(crate) mod connection_log;
pub(crate) mod cumulative;
pub(crate) mod exposition;
pub(crate) mod metrics;
pub(crate) mod probe;
pub(crate) mod rhythm;
pub(crate) mod spin;
pub(crate) mod wall_clock;
pub(crate) mod window;
