//! iceoryx2 as this crate uses it.

pub(crate) mod iox;
pub(crate) mod leftovers;
pub(crate) mod life;
pub(crate) mod node;
