//! An established connection and what travels on it.

pub(crate) mod block;
pub(crate) mod control_socket;
pub(crate) mod established;
pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod private_mapping;
pub(crate) mod receiving;
pub(crate) mod sending;
pub(crate) mod view;
