//! How a side sleeps and how it is woken.

pub(crate) mod alarm;
pub(crate) mod doorbell;
pub(crate) mod parking;
pub(crate) mod polling;
pub(crate) mod shared_flags;
pub(crate) mod waiter;
pub(crate) mod wakeup;
