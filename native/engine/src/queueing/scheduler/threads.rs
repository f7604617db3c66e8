//! Which thread leads, runs or waits: the scheduler's part that concerns threads.

use std::sync::Arc;

use pycrust_transport::Link;
use pycrust_transport::sync::Condvar;

use super::{Fallout, Lead, Phase, Scheduler, Start};
use crate::queueing::watchdog::Seen;

/// Whose average run time is above this is handed over before it runs, while others are held up by it.
pub(crate) const HAND_OVER_NS: u64 = 50_000;
/// Whose average run time is above this is handed over in any case: the watchdog would do it anyway.
const LONG_NS: u64 = 500_000;
/// Whose average run time is below this is run without looking around first.
const SHORT_NS: u64 = 10_000;
/// Methods of which calls wait that are looked at for that.
const MOST_LOOKED_AT: usize = 8;
/// How long a call that was held up by a leader's run counts.
const COMPANY_NS: u64 = 1_000_000_000;

impl<H: Send + Sync + 'static, L: Link> Scheduler<H, L> {
    /// Whether this thread leads from now on; `false` if another one does.
    pub(crate) fn take_lead(&mut self, token: u64) -> bool {
        match self.lead {
            Lead::Vacant => {}
            Lead::Leading(leader) | Lead::Running(leader, _) if leader == token => {}
            _ => return false,
        }
        self.lead = Lead::Leading(token);
        true
    }

    /// A call waited while the leader ran another one.
    pub(crate) fn held_up(&mut self, now_ns: u64) {
        self.held_up_ns = Some(now_ns);
    }

    /// The leader is about to run a call of this method: it keeps the lead if that is short, else gives
    /// it up. Waking another thread costs as much as a short call, above all on a machine that was idle: it
    /// is done only for a caller that would wait otherwise. Answers how many threads must be made.
    pub(crate) fn run_as_leader(&mut self, token: u64, index: usize, now_ns: u64) -> usize {
        let company = self.held_up_ns.is_some_and(|at| now_ns.saturating_sub(at) < COMPANY_NS);
        if self.queues[index].run_ns() > if company { HAND_OVER_NS } else { LONG_NS } {
            return self.promote();
        }
        self.epoch += 1;
        self.lead = Lead::Running(token, self.epoch);
        0
    }

    /// The next call for a leader that has just run one and still has the interpreter: `None` if it should look around first,
    /// or if calls that may be long are among those that wait.
    pub(crate) fn go_on(
        &mut self,
        token: u64,
        now_ns: u64,
        fallout: &mut Fallout<H, L>,
    ) -> Option<Start<H, L>> {
        let leads = matches!(self.lead, Lead::Running(leader, _) if leader == token);
        if !leads || self.phase != Phase::Serving || !self.gathering.is_empty() {
            return None;
        }
        let all_short =
            self.listed.len() <= MOST_LOOKED_AT && self.listed.iter().all(|index| self.is_short(*index));
        if !all_short {
            return None;
        }
        let start = self.pop(now_ns, fallout)?;
        // The interpreter is this thread's.
        self.open_gate(start.ticket);
        self.epoch += 1;
        self.lead = Lead::Running(token, self.epoch);
        Some(start)
    }

    /// Whether calls of this method are short, one at a time, and none has been under way.
    fn is_short(&self, index: usize) -> bool {
        let one_by_one = || self.registry.to_start(index).is_some_and(|version| version.batching.is_none());
        self.queues[index].run_ns() < SHORT_NS && self.resumable[index].is_empty() && one_by_one()
    }

    /// Leaves the lead to whoever waits. Answers how many threads must be made, so that one takes it
    /// and another one is ready for the next time.
    pub(crate) fn promote(&mut self) -> usize {
        self.lead = Lead::Vacant;
        let room = (self.thread_limit + self.lent).saturating_sub(self.members.len());
        let woken = self.wake_one();
        room.min(usize::from(!woken) + usize::from(self.seats.is_empty()))
    }

    /// The watchdog's look at the leader: what there is to see of its calls, and how many threads must be made.
    /// `seen` tells the call of the last look.
    pub(crate) fn watch(&mut self, seen: &mut u64) -> (Seen, usize) {
        match self.lead {
            Lead::Running(_, epoch) if epoch == *seen => (Seen::Calls, self.promote()),
            Lead::Running(_, epoch) => {
                *seen = epoch;
                (Seen::Calls, 0)
            }
            // Calls ran between two looks.
            _ if self.epoch != *seen => {
                *seen = self.epoch;
                (Seen::Calls, 0)
            }
            _ => (Seen::Nothing, 0),
        }
    }

    /// A running call waits for another one, or goes on. Answers whether it counts, and how many threads must be
    /// made: if nobody leads since there was no room for one more thread, there is now.
    pub(crate) fn lend(&mut self, begins: bool, life: u64) -> (bool, usize) {
        if life != self.life {
            return (false, 0);
        }
        self.lent = if begins { self.lent + 1 } else { self.lent - 1 };
        if begins {
            self.let_on();
        }
        if self.superfluous() {
            self.wake_one();
        }
        (true, if begins && self.lead == Lead::Vacant { self.promote() } else { 0 })
    }

    /// Whether a thread with nothing to do is one too many, now that calls go on that had lent their place.
    pub(crate) fn superfluous(&self) -> bool {
        self.members.len() > self.thread_limit + self.lent
    }

    /// Wakes a waiting thread; each is woken for one thing.
    fn wake_one(&mut self) -> bool {
        self.seats.pop().is_some_and(|(_, seat)| {
            seat.notify_one();
            true
        })
    }

    pub(crate) fn sit(&mut self, token: u64, seat: &Arc<Condvar>) {
        self.seats.push((token, Arc::clone(seat)));
    }

    pub(crate) fn sits(&self, token: u64) -> bool {
        self.seats.iter().any(|(seated, _)| *seated == token)
    }

    /// Wakes every waiting thread, to end.
    pub(crate) fn wake_all(&mut self) {
        while self.wake_one() {}
    }

    /// A thread ends. Answers how many threads must be made in its place.
    pub(crate) fn sign_off(&mut self, token: u64) -> usize {
        let members = self.members.len();
        self.members.retain(|member| *member != token);
        self.seats.retain(|(seated, _)| *seated != token);
        if self.members.len() == members || self.phase == Phase::Stopped {
            return 0;
        }
        match self.lead {
            Lead::Leading(leader) | Lead::Running(leader, _) if leader == token => self.promote(),
            _ => 0,
        }
    }

    /// Takes numbers for `count` new threads.
    pub(crate) fn hire(&mut self, count: usize) -> std::ops::RangeInclusive<u64> {
        let first = self.tokens + 1;
        self.tokens += count as u64;
        self.members.extend(first..=self.tokens);
        first..=self.tokens
    }
}

#[cfg(test)]
mod tests {
    use pycrust_transport::Connection;

    use super::*;

    const LEADER: u64 = 1;

    /// Whether the leader keeps the lead for a call of a method that takes `run_ns`, at `now_ns`.
    fn keeps_the_lead(scheduler: &mut Scheduler<(), Connection>, run_ns: u64, now_ns: u64) -> bool {
        scheduler.ensure(0);
        scheduler.queues[0].published(1);
        scheduler.queues[0].started(1);
        scheduler.queues[0].ended(1, Some(run_ns));
        scheduler.lead = Lead::Leading(LEADER);
        scheduler.run_as_leader(LEADER, 0, now_ns);
        matches!(scheduler.lead, Lead::Running(LEADER, _))
    }

    #[test]
    fn a_lent_place_brings_a_leader_where_there_was_no_room_for_one() {
        let mut scheduler: Scheduler<(), Connection> = Scheduler::new(2, 2);
        scheduler.begin();
        let life = scheduler.life;
        // Both threads are about to run calls; the second one would have handed over the lead, to nobody.
        let _ = scheduler.hire(2);
        scheduler.lead = Lead::Leading(LEADER);
        assert_eq!(scheduler.promote(), 0, "no room");
        assert_eq!(scheduler.lend(true, life), (true, 1), "a thread to lead");
        let _ = scheduler.hire(1);
        assert!(scheduler.take_lead(3));
        assert_eq!(scheduler.lend(true, life), (true, 0), "somebody leads");
    }

    #[test]
    fn a_call_of_middling_length_is_handed_over_only_where_another_would_wait() {
        let mut scheduler = Scheduler::new(8, 8);
        let now_ns = 10 * COMPANY_NS;
        assert!(keeps_the_lead(&mut scheduler, HAND_OVER_NS / 2, now_ns));
        assert!(keeps_the_lead(&mut scheduler, 4 * HAND_OVER_NS, now_ns));
        assert!(!keeps_the_lead(&mut scheduler, 2 * LONG_NS, now_ns));
        scheduler.held_up(now_ns);
        assert!(keeps_the_lead(&mut scheduler, HAND_OVER_NS / 2, now_ns));
        assert!(!keeps_the_lead(&mut scheduler, 4 * HAND_OVER_NS, now_ns + COMPANY_NS / 2));
        assert!(keeps_the_lead(&mut scheduler, 4 * HAND_OVER_NS, now_ns + COMPANY_NS), "it is alone again");
    }
}
