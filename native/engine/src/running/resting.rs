//! How the leader waits for calls: it polls while they come close together, sleeps otherwise, and is awake in time for
//! those that are expected.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_transport::{Elsewhere, Link, monotonic_ns};

use crate::clients::call::Call;
use crate::engine::Engine;
use crate::measuring::anticipation::Plan;
use crate::queueing::scheduler::Enqueued;
use crate::receiver::{Attended, Receiver};
use crate::threads::DispatchThread;

/// Waits for the interpreter past which a cell holds it, so that being awake would gain little. A call that nobody was
/// awake for waits for tens of microseconds although nobody holds it.
const BUSY_INTERPRETER_NS: u64 = 120_000;

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Polls, then sleeps, until something may have changed, a batch is due, or a call is expected.
    pub(crate) fn rest(&self, thread: &DispatchThread, receiver: &mut Receiver<L>, batch_ns: Option<u64>) {
        let interpreter_ns = self.interpreter_ns.load(Ordering::Relaxed);
        let budget_ns = receiver.spin.budget_ns(interpreter_ns);
        self.spin_ns.store(budget_ns, Ordering::Relaxed);
        if budget_ns > 0 {
            let until = monotonic_ns().saturating_add(budget_ns).min(batch_ns.unwrap_or(u64::MAX));
            if self.poll(receiver, until) {
                return;
            }
        }
        let expected = if interpreter_ns < BUSY_INTERPRETER_NS { receiver.expected() } else { None };
        let wake_ns = expected.map(|(_, plan)| plan.wake_ns);
        let slept = wake_ns.is_none_or(|at| at > monotonic_ns())
            && self.sleep(thread, receiver, wake_ns.into_iter().chain(batch_ns).min());
        if let Some((at, plan)) = expected {
            self.await_call(receiver, at, plan, slept);
        }
    }

    /// Looks until something may have changed; false if nothing has until then.
    fn poll(&self, receiver: &Receiver<L>, until_ns: u64) -> bool {
        while monotonic_ns() < until_ns {
            if self.attention.load(Ordering::Acquire) || self.anything_ready(receiver) {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Sleeps until somebody rings, or until then; false if there was something to do first.
    fn sleep(&self, thread: &DispatchThread, receiver: &Receiver<L>, until_ns: Option<u64>) -> bool {
        // The order matters: announce, then look once more, then sleep. Whoever changes something after
        // that look sees the announcement (a client) or `asleep` (a thread of this worker) and rings.
        for Attended { client, .. } in &receiver.clients {
            client.link.announce_sleep();
        }
        let quiet = {
            let mut scheduler = self.scheduler.lock();
            scheduler.asleep = !(scheduler.over(thread.life)
                || scheduler.wants_a_look()
                || self.attention.load(Ordering::Acquire)
                || self.topology.load(Ordering::Acquire) != receiver.topology);
            scheduler.asleep
        };
        let sleeps = quiet && !self.anything_ready(receiver);
        if sleeps {
            let leaves = self.elsewhere.load(Ordering::Relaxed);
            let _elsewhere = Elsewhere::than(if leaves { receiver.core_of_rhythm() } else { 0 });
            self.waiter.wait(until_ns.map(|at| Duration::from_nanos(at.saturating_sub(monotonic_ns()))));
        }
        self.scheduler.lock().asleep = false;
        for Attended { client, .. } in &receiver.clients {
            client.link.announce_awake();
        }
        sleeps
    }

    /// Rehearses a call that is expected and then polls for it, if it is time for that.
    fn await_call(&self, receiver: &mut Receiver<L>, at: usize, plan: Plan, slept: bool) {
        let woke_ns = monotonic_ns();
        if woke_ns < plan.wake_ns || self.attention.load(Ordering::Acquire) || self.anything_ready(receiver) {
            return;
        }
        let Receiver { clients, anticipation, .. } = receiver;
        let attended = &mut clients[at];
        if slept {
            anticipation.late.took(woke_ns - plan.wake_ns);
        }
        attended.rhythm.awaits();
        if plan.rehearses && self.rehearse(attended, woke_ns) {
            attended.rhythm.rehearsed();
            receiver.anticipation.rehearses = Some((receiver.clients[at].client.id, woke_ns));
            return;
        }
        self.poll(receiver, plan.until_ns);
        let Receiver { clients, anticipation, .. } = receiver;
        let Attended { client, rhythm, budget, .. } = &mut clients[at];
        let spent_ns = monotonic_ns().saturating_sub(woke_ns);
        anticipation.spent(budget, spent_ns);
        client.anticipated.awake_ns.fetch_add(spent_ns, Ordering::Relaxed);
        client.anticipated.period_ns.store(rhythm.period_ns().unwrap_or(0), Ordering::Relaxed);
    }

    /// Queues a rehearsal of a client's last call, for this thread to run next; whether it did.
    fn rehearse(&self, attended: &Attended<L>, now_ns: u64) -> bool {
        let Some((index, payload)) = &attended.last else { return false };
        let call = Call::rehearsal(&attended.client, payload, now_ns);
        if self.admission.reserve(&attended.client.account, call.weight()).is_err() {
            return false;
        }
        let given_back = {
            let mut scheduler = self.scheduler.lock();
            // Behind calls that wait or run it would be no rehearsal, and in their way.
            if scheduler.is_busy(*index) || !scheduler.can_rehearse(*index) {
                Some(call)
            } else {
                match scheduler.enqueue(*index, call, &mut Vec::new()) {
                    Enqueued::Waits => None,
                    Enqueued::Refused(call, _) | Enqueued::Removed(call) => Some(call),
                }
            }
        };
        if let Some(call) = &given_back {
            self.admission.unqueue(&call.client.account, call.weight());
            self.admission.release(&call.client.account);
        }
        given_back.is_none()
    }
}
