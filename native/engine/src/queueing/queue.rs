//! One method's waiting calls: first in, first out for each client, in turns between clients.

use std::collections::VecDeque;

use pycrust_protocol::header::flags;
use pycrust_transport::Link;

use crate::clients::call::Call;
use crate::measuring::average::Average;
use crate::queueing::registry::{Batching, Version};

/// Run times are cut here before they are averaged: one slow first call must not outweigh what follows.
const RUN_CAP_NS: u64 = 1_000_000;

/// The waiting calls of one method and how many of its calls run.
pub(crate) struct Queue<L: Link> {
    /// A lane for each client that has calls here; the first one's turn is next.
    lanes: VecDeque<Lane<L>>,
    /// An emptied lane's memory, for the next lane.
    spare: VecDeque<Call<L>>,
    /// Calls in all lanes.
    len: usize,
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
    /// Whether a call that goes on is next, where one that starts waits too.
    resumes_next: bool,
}

/// One client's waiting calls.
struct Lane<L: Link> {
    /// The connection's number.
    client: u64,
    /// Its calls, the oldest first; never empty.
    calls: VecDeque<Call<L>>,
}

impl<L: Link> Queue<L> {
    pub(crate) fn new() -> Self {
        Self {
            lanes: VecDeque::new(),
            spare: VecDeque::new(),
            len: 0,
            listed: false,
            gathering: false,
            running: 0,
            newest: 0,
            running_newest: 0,
            run: Average::default(),
            takes: Average::default(),
            resumes_next: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, call: Call<L>) {
        let client = call.client.id;
        self.len += 1;
        // From the back: a burst comes from one client, and its lane was the last to be touched.
        if let Some(lane) = self.lanes.iter_mut().rev().find(|lane| lane.client == client) {
            lane.calls.push_back(call);
            return;
        }
        let mut calls = std::mem::take(&mut self.spare);
        calls.push_back(call);
        self.lanes.push_back(Lane { client, calls });
    }

    /// The next call; the next turn is another client's.
    pub(crate) fn pop(&mut self) -> Option<Call<L>> {
        let mut lane = self.lanes.pop_front()?;
        let call = lane.calls.pop_front();
        if lane.calls.is_empty() {
            self.spare = lane.calls;
        } else {
            self.lanes.push_back(lane);
        }
        self.len -= usize::from(call.is_some());
        call
    }

    /// The client's waiting calls that a newer one takes the place of.
    pub(crate) fn supersede(&mut self, client: u64) -> Vec<Call<L>> {
        let mut superseded = Vec::new();
        self.remove(|call| call.client.id == client && call.flags & flags::LATEST != 0, &mut superseded);
        superseded
    }

    /// Takes out the calls that `condemned` names, in order.
    pub(crate) fn remove(&mut self, mut condemned: impl FnMut(&Call<L>) -> bool, out: &mut Vec<Call<L>>) {
        for lane in &mut self.lanes {
            // Looked at first: a queue is swept every second and mostly keeps everything.
            if lane.calls.iter().any(&mut condemned) {
                for call in std::mem::take(&mut lane.calls) {
                    if condemned(&call) {
                        self.len -= 1;
                        out.push(call);
                    } else {
                        lane.calls.push_back(call);
                    }
                }
            }
        }
        self.lanes.retain(|lane| !lane.calls.is_empty());
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
        let running = if version.exclusive {
            self.running
        } else if version.number == self.newest {
            self.running_newest
        } else {
            self.running - self.running_newest
        };
        running < version.concurrency
    }

    /// When the waiting calls are a batch, on `CLOCK_MONOTONIC`: 0 if they are one as they are.
    pub(crate) fn batch_due_ns(&self, batching: Batching) -> u64 {
        if self.len >= batching.max_size {
            return 0;
        }
        let oldest =
            self.lanes.iter().filter_map(|lane| lane.calls.front()).map(|call| call.received_ns).min();
        oldest.map_or(0, |oldest| oldest.saturating_add(batching.max_wait.as_nanos() as u64))
    }

    /// Whose turn it is, of a call that goes on and one that starts: each time the other's.
    pub(crate) fn resumes_next(&mut self) -> bool {
        self.resumes_next = !self.resumes_next;
        self.resumes_next
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

    /// The moving average of its run time; 0 before the first call ended.
    pub(crate) fn run_ns(&self) -> u64 {
        self.run.get().unwrap_or(0)
    }

    /// How long a call takes, if any has ended.
    pub(crate) fn takes_ns(&self) -> Option<u64> {
        self.takes.get()
    }
}
