//! What is kept, for its record, of a request that does not become a call and of a call that is not started.

use std::sync::Arc;

use crate::recording::recorder::{Origin, Side};
use crate::recording::sampler::Plan;
use crate::recording::settings::MethodRecording;

/// A request or a call that is not run, until its answer is known.
pub(crate) struct Refused {
    pub(crate) method: Arc<str>,
    pub(crate) recording: Arc<MethodRecording>,
    pub(crate) flags: u8,
    pub(crate) id: u64,
    pub(crate) origin: Arc<Origin>,
    pub(crate) sent_ns: u64,
    pub(crate) deadline_ns: u64,
    pub(crate) request: Side,
    pub(crate) plan: Plan,
}
