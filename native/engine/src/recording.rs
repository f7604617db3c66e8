//! The last calls: which are kept, and what of them is not.

pub(crate) mod items;
pub(crate) mod naming;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod recorder;
pub(crate) mod refused;
pub(crate) mod sampler;
pub(crate) mod scrub;
pub(crate) mod secrets;
pub(crate) mod settings;
