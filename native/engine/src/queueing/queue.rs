//! One method's waiting calls and what is known of those that run.

use pycrust_protocol::header::flags;
use pycrust_transport::Link;

use crate::clients::call::Call;
use crate::measuring::average::Average;
use crate::queueing::deadline::{Unstarted, ends_too_late};
use crate::queueing::lanes::Lanes;
use crate::queueing::registry::{Batching, Version};

/// Run times are cut here before they are averaged: one slow first call must not outweigh what follows.
const RUN_CAP_NS: u64 = 1_000_000;

/// The waiting calls of one method and how many of its calls run.
pub(crate) struct Queue<L: Link> {
    /// Those that wait.
    calls: Lanes<Call<L>>,
    /// Whether the scheduler's list of methods to look at has this one.
    pub(crate) listed: bool,
    /// Whether its calls wait for others to make a batch with.
    pub(crate) gathering: bool,
    /// Running calls of any version.
    running: usize,
    /// The newest version that was published.
    newest: u32,
    /// Running calls of the newest version.
    running_newest: usize,
    /// How long its calls run, of the newest version, cut: whether a thread should wait for them.
    run: Average,
    /// How long they take, uncut: whether one can still be answered in time.
    takes: Average,
    /// Whether the last turn was for a call that went on.
    resumed_last: bool,
}

impl<L: Link> Queue<L> {
    pub(crate) fn new() -> Self {
        Self {
            calls: Lanes::new(),
            listed: false,
            gathering: false,
            running: 0,
            newest: 0,
            running_newest: 0,
            run: Average::default(),
            takes: Average::default(),
            resumed_last: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.len() == 0
    }

    pub(crate) fn push(&mut self, call: Call<L>) {
        self.calls.push(call.client.id, call.due_ns(), call);
    }

    /// The next call, and when it is due.
    pub(crate) fn first(&self) -> Option<(u64, &Call<L>)> {
        self.calls.first()
    }

    /// Takes out the next call.
    pub(crate) fn pop(&mut self) -> Option<Call<L>> {
        self.resumed_last = false;
        self.calls.pop()
    }

    /// The client's waiting calls that a newer one takes the place of.
    pub(crate) fn supersede(&mut self, client: u64) -> Vec<Call<L>> {
        let mut superseded = Vec::new();
        self.remove(|call| call.client.id == client && is_latest(call), &mut superseded);
        superseded
    }

    /// Takes out the calls that `condemned` names.
    pub(crate) fn remove(&mut self, condemned: impl FnMut(&Call<L>) -> bool, out: &mut Vec<Call<L>>) {
        self.calls.remove(condemned, out);
    }

    /// Why a call that has come would not be answered in time, if `version` refuses those: by what calls take, and what
    /// waits and runs before it.
    pub(crate) fn refuses<H>(&self, call: &Call<L>, version: &Version<H>) -> Option<Unstarted> {
        let takes_ns = self.takes_ns().filter(|_| version.refuses_late)?;
        let make_way = is_latest(call).then_some(&is_latest as &dyn Fn(&Call<L>) -> bool);
        let before = self.calls.before(call.client.id, call.due_ns(), make_way);
        let wait = Wait {
            before,
            at_once: version.batching.map_or(1, |batching| batching.max_size),
            running: self.counted(version),
            places: version.concurrency,
        };
        ends_too_late(call, wait.ns(takes_ns)?, takes_ns, before)
    }

    /// A new version is published: calls of older ones don't count against its concurrency, so that
    /// one that hangs does not hold it up.
    pub(crate) fn published(&mut self, number: u32) {
        self.newest = number;
        self.running_newest = 0;
        self.run = Average::default();
        self.takes = Average::default();
    }

    /// Whether calls of it run.
    pub(crate) fn runs(&self) -> bool {
        self.running > 0
    }

    /// Whether one more call of `version` may run.
    pub(crate) fn has_room<H>(&self, version: &Version<H>) -> bool {
        self.counted(version) < version.concurrency
    }

    /// Running calls that count against the concurrency of `version`.
    fn counted<H>(&self, version: &Version<H>) -> usize {
        if version.exclusive {
            self.running
        } else if version.number == self.newest {
            self.running_newest
        } else {
            self.running - self.running_newest
        }
    }

    /// When the waiting calls are a batch, on `CLOCK_MONOTONIC`: 0 if they are one as they are.
    pub(crate) fn batch_due_ns(&self, batching: Batching) -> u64 {
        if self.calls.len() >= batching.max_size {
            return 0;
        }
        let oldest = self.calls.iter().map(|call| call.received_ns).min();
        oldest.map_or(0, |oldest| oldest.saturating_add(batching.max_wait.as_nanos() as u64))
    }

    /// A call goes on.
    pub(crate) fn resumed(&mut self) {
        self.resumed_last = true;
    }

    /// Whether the last turn was for a call that went on.
    pub(crate) fn resumed_last(&self) -> bool {
        self.resumed_last
    }

    pub(crate) fn started(&mut self, number: u32) {
        self.running += 1;
        self.running_newest += usize::from(number == self.newest);
    }

    /// A call of version `number` ended, after `run_ns` if it ran.
    pub(crate) fn ended(&mut self, number: u32, run_ns: Option<u64>) {
        self.running -= 1;
        if number == self.newest {
            self.running_newest -= 1;
            if let Some(run_ns) = run_ns {
                self.run.add(run_ns, RUN_CAP_NS);
                self.takes.add(run_ns, u64::MAX);
            }
        }
    }

    /// A call of version `number` took so long, of which most may have been waiting.
    pub(crate) fn took(&mut self, number: u32, took_ns: u64) {
        if number == self.newest {
            self.takes.add(took_ns, u64::MAX);
        }
    }

    /// The moving average of its run time; 0 before the first call ended.
    pub(crate) fn run_ns(&self) -> u64 {
        self.run.get().unwrap_or(0)
    }

    /// How long a call takes, if any has ended.
    pub(crate) fn takes_ns(&self) -> Option<u64> {
        self.takes.get()
    }
}

/// Whether a newer call of its client takes its place.
fn is_latest<L: Link>(call: &Call<L>) -> bool {
    call.flags & flags::LATEST != 0
}

/// What a call that has come waits for.
struct Wait {
    /// Calls that start before it.
    before: usize,
    /// Calls that start together, as one.
    at_once: usize,
    /// Calls that run, or batches.
    running: usize,
    /// How many may.
    places: usize,
}

impl Wait {
    /// How long it waits if each of them takes so long; `None` if it is alone.
    fn ns(&self, takes_ns: u64) -> Option<u64> {
        let (before, running) = (self.before / self.at_once.max(1), self.running);
        if self.before + running == 0 {
            return None;
        }
        // Each that ends makes room for one; those that run have half of it behind them.
        let ends = (before + running + 1).saturating_sub(self.places) as u64;
        let halves = (2 * ends).saturating_sub(u64::from(running > 0));
        Some(halves.saturating_mul(takes_ns) / (2 * self.places.max(1) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_waits_for_what_comes_before_it() {
        let wait = |before, at_once, running, places| Wait { before, at_once, running, places }.ns(1000);
        assert_eq!(wait(0, 1, 0, 1), None, "it is alone");
        assert_eq!(wait(0, 1, 1, 1), Some(500), "half of what runs");
        assert_eq!(wait(3, 1, 0, 1), Some(3000));
        assert_eq!(wait(3, 1, 1, 1), Some(3500));
        // Four at once.
        assert_eq!(wait(0, 1, 3, 4), Some(0), "there is a place for it");
        assert_eq!(wait(2, 1, 1, 4), Some(0), "and for those before it");
        assert_eq!(wait(8, 1, 4, 4), Some(2125));
        // Batches of eight: seven calls go with it.
        assert_eq!(wait(7, 8, 0, 1), Some(0));
        assert_eq!(wait(17, 8, 1, 1), Some(2500));
        assert_eq!(
            Wait { before: usize::MAX / 4, at_once: 1, running: 0, places: 1 }.ns(u64::MAX),
            Some(u64::MAX / 2)
        );
    }
}
