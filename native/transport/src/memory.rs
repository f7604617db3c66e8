//! Shared memory that is really there, and the bytes in it.

pub(crate) mod aligned;
pub(crate) mod cgroup;
pub(crate) mod ownership;
pub(crate) mod prefault;
pub(crate) mod reserve;
