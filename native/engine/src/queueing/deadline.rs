//! Calls whose turn comes too late: their deadline has passed, they were cancelled, or their client is gone; and those of
//! which that is known when they come.

use pycrust_protocol::header::flags;
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
    /// It has waited for so long that what is left is not enough.
    InVain {
        /// Nanoseconds left.
        left_ns: u64,
        /// Nanoseconds that calls of its method take.
        takes_ns: u64,
    },
    /// So much comes before it that it would not be answered in time; found when it came.
    TooLate {
        /// Nanoseconds left.
        left_ns: u64,
        /// Nanoseconds that calls of its method take.
        takes_ns: u64,
        /// Calls in the queue that come before it.
        before: usize,
    },
    /// Its caller was built against a schema that this version doesn't go on with.
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

/// Why this call, whose turn it is, is not to be started although its deadline has not passed: it would run for nobody.
///
/// A method that is offered more than it can do has a queue of calls that wait until shortly before their deadlines. Were
/// they started then, it would work as hard as it can and answer next to nobody. A call that streams is of use before it
/// ends, and one that wants no answer after its deadline, too.
pub(crate) fn in_vain<L: Link>(call: &Call<L>, now_ns: u64, takes_ns: Option<u64>) -> Option<Unstarted> {
    let (left_ns, takes_ns) = (call.expires_ns?.saturating_sub(now_ns), takes_ns?);
    (answered_at_its_end(call) && is_too_little(left_ns, call.deadline_ns(), takes_ns))
        .then_some(Unstarted::InVain { left_ns, takes_ns })
}

/// Why this call, which has come, is not to be queued: `before` others come before it, and once it has waited `wait_ns` for
/// them, what is left is less than it takes.
pub(crate) fn ends_too_late<L: Link>(
    call: &Call<L>,
    wait_ns: u64,
    takes_ns: u64,
    before: usize,
) -> Option<Unstarted> {
    let left_ns = call.expires_ns?.saturating_sub(call.received_ns);
    (answered_at_its_end(call) && left_ns < wait_ns.saturating_add(with_reserve(takes_ns)))
        .then_some(Unstarted::TooLate { left_ns, takes_ns, before })
}

/// Whether a call is of use only if it ends in time.
fn answered_at_its_end<L: Link>(call: &Call<L>) -> bool {
    call.flags & (flags::STREAM | flags::UPLOAD | flags::ONE_WAY) == 0
}

/// Whether the queue has left a call too little of its time: less than half of it, so that one whose caller gave it little
/// is still tried, and less than a call takes.
fn is_too_little(left_ns: u64, deadline_ns: u64, takes_ns: u64) -> bool {
    left_ns < deadline_ns / 2 && left_ns < with_reserve(takes_ns)
}

/// What a call takes, with a quarter for those that take longer than most.
fn with_reserve(takes_ns: u64) -> u64 {
    takes_ns.saturating_add(takes_ns / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_vain_only_if_it_was_the_queue_that_took_its_time() {
        // Of 50 ms, with calls that take 4 ms.
        assert!(!is_too_little(50, 50, 4));
        assert!(!is_too_little(5, 50, 4));
        assert!(is_too_little(4, 50, 4));
        assert!(is_too_little(0, 50, 4));
        // One with less time than calls take is tried while it is fresh.
        assert!(!is_too_little(3, 3, 4));
        assert!(!is_too_little(2, 3, 4));
        assert!(is_too_little(1, 4, 4));
        // Whatever the numbers.
        assert!(!is_too_little(u64::MAX, u64::MAX, u64::MAX));
        assert!(!is_too_little(0, 0, u64::MAX));
        assert!(!is_too_little(0, 50, 0));
    }
}
