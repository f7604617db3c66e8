//! An established connection and what travels on it.

pub(crate) mod established;
pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod receiving;
pub(crate) mod sending;
