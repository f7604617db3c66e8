//! The last calls: which are kept, and what of them is not.

pub(crate) mod naming;
pub(crate) mod record_calls;
pub(crate) mod recorder;
pub(crate) mod sampler;
pub(crate) mod scrub;
pub(crate) mod secrets;
