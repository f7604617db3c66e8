//! Calls that leave their queue without being started: cancelled, expired, superseded, built against another schema; or that
//! are not let into it, since they would be answered too late.

use pycrust_transport::faults::reached;
use pycrust_transport::{Link, monotonic_ns};

use crate::clients::answer::Patience;
use crate::clients::call::Call;
use crate::engine::Engine;
use crate::queueing::deadline::{Unstarted, unstarted};
use crate::refusals::{self, SchemaMismatch};

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Answers the queued calls that will never run, so that they don't count as waiting.
    pub(crate) fn sweep(&self) {
        let now_ns = monotonic_ns();
        let swept = self.scheduler.lock().remove_queued(|call| unstarted(call, now_ns).is_some());
        for (index, call) in swept {
            let reason = unstarted(&call, now_ns).unwrap_or(Unstarted::Cancelled);
            self.settle_unstarted(index, &call, reason, now_ns, Patience::Hurries);
        }
    }

    /// Deals with a call that left its queue without being started.
    pub(crate) fn settle_unstarted(
        &self,
        index: usize,
        call: &Call<L>,
        reason: Unstarted,
        now_ns: u64,
        patience: Patience,
    ) {
        self.admission.unqueue(&call.client.account, call.weight());
        reached("call.not_started");
        let method = || {
            let scheduler = self.scheduler.lock();
            scheduler.registry.name(index).cloned().unwrap_or_default()
        };
        let refusal = match reason {
            Unstarted::Gone => return self.forget(index, call),
            Unstarted::Cancelled => refusals::cancelled(&method()),
            Unstarted::Expired => refusals::expired(&method(), now_ns.saturating_sub(call.sent_ns)),
            Unstarted::InVain { left_ns, takes_ns } => refusals::in_vain(&method(), left_ns, takes_ns),
            Unstarted::TooLate { left_ns, takes_ns, before } => {
                refusals::too_late(&method(), left_ns, takes_ns, before)
            }
            Unstarted::Superseded => refusals::superseded(&method()),
            Unstarted::OtherSchema { live, version } => {
                let changes = {
                    let scheduler = self.scheduler.lock();
                    let newest = scheduler.registry.to_start(index).filter(|newest| newest.number == version);
                    newest.map(|newest| newest.changes_since(call.schema_pin).to_vec()).unwrap_or_default()
                };
                let mismatch = SchemaMismatch {
                    method: &method(),
                    pinned: call.schema_pin,
                    live,
                    version,
                    changes: &changes,
                };
                refusals::schema_mismatch(&mismatch, &self.config.endpoint)
            }
        };
        self.refuse(index, call, &refusal, patience);
    }
}
