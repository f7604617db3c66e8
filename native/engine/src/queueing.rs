//! Calls that wait: whether they are admitted, where they lie, and which is next on which thread.

pub(crate) mod admission;
pub(crate) mod deadline;
pub(crate) mod lanes;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod scheduler;
pub(crate) mod watchdog;
