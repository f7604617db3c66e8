//! Calls whose turn comes too late: their deadline has passed, they were cancelled, or their client is gone.

use pycrust_transport::Link;

use crate::clients::call::Call;

/// Why a queued call is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unstarted {
    /// Its client is gone.
    Gone,
    /// Its caller cancelled it.
    Cancelled,
    /// Its deadline has passed.
    Expired,
    /// Its caller was built against another schema than this version's.
    OtherSchema { live: u64, version: u32 },
    /// A newer call of its client took its place.
    Superseded,
}

/// Why this call is not to be started, whatever the version.
pub(crate) fn unstarted<L: Link>(call: &Call<L>, now_ns: u64) -> Option<Unstarted> {
    if call.client.is_gone() {
        Some(Unstarted::Gone)
    } else if call.client.link.cancelled(call.id) {
        Some(Unstarted::Cancelled)
    } else if call.expires_ns.is_some_and(|expires| expires <= now_ns) {
        Some(Unstarted::Expired)
    } else {
        None
    }
}
