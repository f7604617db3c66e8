//! Who leads, what waits, what may run: everything that is decided under one lock.
//!
//! The lock is held for well under a microsecond and never while a frame is sent or received, a
//! handler is dropped or the interpreter is waited for. One lock for all of it is what makes a
//! publication atomic: a call binds to a version when it is started, under this lock, and a
//! publication changes the table under it. What concerns threads is in [`threads`].

mod threads;

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use pycrust_protocol::header::flags;
use pycrust_transport::sync::Condvar;
use pycrust_transport::{Link, monotonic_ns};

use crate::clients::call::Call;
use crate::clients::client::Client;
use crate::queueing::deadline::{Unstarted, in_vain, unstarted};
use crate::queueing::queue::Queue;
use crate::queueing::registry::{Registry, Version};

pub(crate) use self::threads::HAND_OVER_NS;

/// Threads that are kept for methods of which no call runs, where there are enough.
const MOST_KEPT: usize = 2;

/// Calls that are refused in one go before the thread that pops answers them.
const MAX_FALLOUT: usize = 64;

/// What the engine does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They run.
    Serving,
    /// New ones are refused, the others run.
    Stopping,
    /// None runs; also before the first start.
    Stopped,
}

/// Who receives calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    /// Nobody; the next thread that comes by takes it.
    Vacant,
    /// This thread receives, or sleeps with the doorbells.
    Leading(u64),
    /// This thread runs a call and goes on leading when it returns, unless the watchdog takes the lead
    /// away first: the second number tells one such run from the next.
    Running(u64, u64),
}

/// A call that gets a thread: one that is started, or one that goes on.
pub(crate) struct Start<H: Send + Sync + 'static, L: Link> {
    pub(crate) what: Work<H, L>,
    /// Further calls of the same version that run with it, as one batch.
    pub(crate) companions: Vec<Call<L>>,
    /// Its method's index.
    pub(crate) index: usize,
    /// Tells this start from every other: the attach gate's key.
    pub(crate) ticket: u64,
    /// The start of the engine that it belongs to.
    pub(crate) life: u64,
    /// `CLOCK_MONOTONIC` when it was started.
    pub(crate) now_ns: u64,
}

/// What a thread is given.
pub(crate) enum Work<H: Send + Sync + 'static, L: Link> {
    /// A call from the queue, and the version that runs it.
    Call(Call<L>, Arc<Version<H>>),
    /// A call that had its turn before.
    Resumed(Box<dyn Resumable<H>>),
}

/// A call that had its turn and waits for the next one.
pub(crate) trait Resumable<H>: Send {
    /// The version that it runs.
    fn live_version(&self) -> &Version<H>;

    /// The start of the engine that it belongs to.
    fn life(&self) -> u64;

    /// Itself, for whoever knows what it is.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// What became of a call that was to be queued.
pub(crate) enum Enqueued<L: Link> {
    /// It waits for its turn.
    Waits,
    /// Its method refuses it.
    Refused(Call<L>, Unstarted),
    /// There is no such method any more, or none is served.
    Removed(Call<L>),
}

/// What came out of the queues without being started, to be dealt with outside of the lock.
pub(crate) struct Fallout<H: Send + Sync + 'static, L: Link> {
    /// Calls with their method's index.
    pub(crate) calls: Vec<(usize, Call<L>, Unstarted)>,
    /// Versions that nothing needs any more.
    pub(crate) retired: Vec<Arc<Version<H>>>,
}

impl<H: Send + Sync + 'static, L: Link> Fallout<H, L> {
    pub(crate) fn new() -> Self {
        Self { calls: Vec::new(), retired: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.retired.is_empty()
    }
}

/// The state under the lock.
pub(crate) struct Scheduler<H: Send + Sync + 'static, L: Link> {
    pub(crate) phase: Phase,
    /// When a stop that waits for calls waits no longer; `None` is never.
    pub(crate) stop_by: Option<Instant>,
    /// Counts the starts of the engine; threads of an earlier one are sent home.
    pub(crate) life: u64,
    pub(crate) lead: Lead,
    /// Counts calls that a leader ran itself.
    pub(crate) epoch: u64,
    /// When a call last waited for a leader that ran another one for longer than a hand-over takes.
    held_up_ns: Option<u64>,
    /// The methods and their versions.
    pub(crate) registry: Registry<H>,
    /// Each method's waiting calls, by the method's index.
    pub(crate) queues: Vec<Queue<L>>,
    /// Each method's calls that had a turn and wait for the next one.
    resumable: Vec<VecDeque<Box<dyn Resumable<H>>>>,
    /// Methods that may have a call to start or one that goes on, in the order of their turns; of those that start one, which
    /// does is chosen at each turn.
    listed: VecDeque<usize>,
    /// The round of the last turn, of those in which clients start calls.
    round: u64,
    /// Methods that have taken what one may while the last threads are kept for others.
    held_back: Vec<usize>,
    /// Methods whose calls wait for others to make a batch with.
    gathering: Vec<usize>,
    /// A method began to gather and the leader does not know yet.
    stirred: bool,
    /// Calls in all queues.
    pub(crate) queued: usize,
    /// Calls that are started and not ended.
    pub(crate) running: usize,
    /// Calls that are started, not ended and have no thread: they await something.
    pub(crate) background: usize,
    /// Calls that may run at once.
    max_running: usize,
    /// Running calls that wait for another call: as many more may run, on as many more threads.
    lent: usize,
    /// The start that has not attached to the interpreter yet: there is at most one, since more would
    /// only queue for the same lock.
    gate: Option<u64>,
    /// When that one began to wait.
    gate_ns: u64,
    /// Counts starts.
    tickets: u64,
    /// The leader sleeps, or is about to, and must be woken for what rings no doorbell.
    pub(crate) asleep: bool,
    /// The dispatch threads of this life.
    pub(crate) members: Vec<u64>,
    /// Dispatch threads at most.
    thread_limit: usize,
    /// Counts dispatch threads.
    pub(crate) tokens: u64,
    /// Threads that wait for something to do; the last one is the warmest.
    seats: Vec<(u64, Arc<Condvar>)>,
    /// The connected clients.
    pub(crate) clients: Vec<Arc<Client<L>>>,
}

impl<H: Send + Sync + 'static, L: Link> Scheduler<H, L> {
    pub(crate) fn new(max_running: usize, thread_limit: usize) -> Self {
        Self {
            phase: Phase::Stopped,
            stop_by: None,
            life: 0,
            lead: Lead::Vacant,
            epoch: 0,
            held_up_ns: None,
            registry: Registry::new(),
            queues: Vec::new(),
            resumable: Vec::new(),
            listed: VecDeque::new(),
            round: 0,
            held_back: Vec::new(),
            gathering: Vec::new(),
            stirred: false,
            queued: 0,
            running: 0,
            background: 0,
            max_running,
            lent: 0,
            gate: None,
            gate_ns: 0,
            tickets: 0,
            asleep: false,
            members: Vec::new(),
            thread_limit,
            tokens: 0,
            seats: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// Begins a new life with nothing running and nobody leading.
    pub(crate) fn begin(&mut self) {
        self.phase = Phase::Serving;
        self.life += 1;
        self.lead = Lead::Vacant;
        self.running = 0;
        self.background = 0;
        self.lent = 0;
        self.gate = None;
        self.asleep = false;
        self.members.clear();
        self.seats.clear();
    }

    /// Whether a thread of this life should end.
    pub(crate) fn over(&self, life: u64) -> bool {
        self.life != life || self.phase == Phase::Stopped
    }

    // ---- calls ----

    /// Makes room for the queue of a method with this index.
    pub(crate) fn ensure(&mut self, index: usize) {
        while self.queues.len() <= index {
            self.queues.push(Queue::new());
            self.resumable.push(VecDeque::new());
        }
    }

    /// Queues a call. What it takes the place of is left in `superseded`.
    pub(crate) fn enqueue(
        &mut self,
        index: usize,
        call: Call<L>,
        superseded: &mut Vec<Call<L>>,
    ) -> Enqueued<L> {
        match self.registry.live_version(index) {
            Some(version) if self.phase == Phase::Serving => {
                let queue = &mut self.queues[index];
                // First: one that is refused takes nobody's place.
                if let Some(reason) = queue.refuses(&call, version) {
                    return Enqueued::Refused(call, reason);
                }
                if call.flags & flags::LATEST != 0 {
                    let older = queue.supersede(call.client.id);
                    self.queued -= older.len();
                    superseded.extend(older);
                }
                queue.push(call);
                self.queued += 1;
                if !queue.listed && queue.has_room(version) {
                    if version.batching.is_some() {
                        self.list(index);
                    } else {
                        queue.listed = true;
                        self.listed.push_back(index);
                    }
                }
                Enqueued::Waits
            }
            _ => Enqueued::Removed(call),
        }
    }

    /// Whether a call of this method can be rehearsed: its calls do not run many at once, where a rehearsal would be one of
    /// them.
    pub(crate) fn can_rehearse(&self, index: usize) -> bool {
        self.registry.to_start(index).is_some_and(|version| version.batching.is_none())
    }

    /// Whether calls of this method wait or run, or others wait for the interpreter.
    pub(crate) fn is_busy(&self, index: usize) -> bool {
        self.gate.is_some() || self.queues.get(index).is_none_or(|queue| !queue.is_empty() || queue.runs())
    }

    /// Puts a method on the list if it has a call that may run.
    pub(crate) fn list(&mut self, index: usize) {
        let queue = &mut self.queues[index];
        if queue.listed {
            return;
        }
        let next =
            self.registry.to_start(index).filter(|version| !queue.is_empty() && queue.has_room(version));
        let resumed = self.resumable[index].front().filter(|job| queue.has_room(job.live_version()));
        let batching = next.and_then(|version| version.batching).filter(|_| resumed.is_none());
        if let Some(batching) = batching {
            let due_ns = queue.batch_due_ns(batching);
            if due_ns > 0 && due_ns > monotonic_ns() {
                if !std::mem::replace(&mut queue.gathering, true) {
                    self.gathering.push(index);
                    self.stirred = true;
                }
                return;
            }
        }
        if next.is_some() || resumed.is_some() {
            queue.listed = true;
            self.listed.push_back(index);
        }
    }

    /// Lists the methods whose calls have waited long enough for others.
    fn gathered(&mut self) {
        for index in std::mem::take(&mut self.gathering) {
            self.queues[index].gathering = false;
            // One that is still to wait comes back.
            self.list(index);
        }
    }

    /// When the next batch is due, on `CLOCK_MONOTONIC`.
    pub(crate) fn next_batch_ns(&mut self) -> Option<u64> {
        self.stirred = false;
        let due = self.gathering.iter().filter_map(|index| {
            let batching = self.registry.to_start(*index)?.batching?;
            Some(self.queues[*index].batch_due_ns(batching))
        });
        due.min()
    }

    /// A call that had its turn waits for the next one.
    pub(crate) fn resume(&mut self, index: usize, job: Box<dyn Resumable<H>>) {
        self.resumable[index].push_back(job);
        self.list(index);
    }

    /// Takes the calls that had a turn and wait for the next one, of all methods.
    pub(crate) fn take_resumable(&mut self) -> Vec<Box<dyn Resumable<H>>> {
        self.resumable.iter_mut().flat_map(std::mem::take).collect()
    }

    /// Whether [`pop`](Self::pop) would find something to do.
    pub(crate) fn can_pop(&self) -> bool {
        self.phase != Phase::Stopped
            && self.gate.is_none()
            && self.running < self.max_running + self.lent
            && !self.listed.is_empty()
    }

    /// Whether the leader should look around.
    pub(crate) fn wants_a_look(&self) -> bool {
        self.stirred || self.can_pop()
    }

    /// Starts the next call.
    pub(crate) fn pop(&mut self, now_ns: u64, fallout: &mut Fallout<H, L>) -> Option<Start<H, L>> {
        if !self.gathering.is_empty() {
            self.gathered();
        }
        while self.can_pop() && fallout.calls.len() < MAX_FALLOUT {
            let index = self.next_listed()?;
            let few_left = self.running + self.kept() >= self.max_running + self.lent;
            let queue = &mut self.queues[index];
            queue.listed = false;
            if few_left && queue.runs() {
                self.held_back.push(index);
                continue;
            }
            if self.goes_on(index)
                && let Some(job) = self.resumable[index].pop_front()
            {
                let queue = &mut self.queues[index];
                queue.resumed();
                queue.started(job.live_version().number);
                self.background -= usize::from(job.life() == self.life);
                return Some(self.start(index, Work::Resumed(job), Vec::new(), now_ns));
            }
            let Some(version) = self.registry.to_start(index).cloned() else { continue };
            if !self.queues[index].has_room(&version) {
                continue;
            }
            let Some(first) = self.take(index, &version, now_ns, fallout) else {
                self.emptied(index, fallout);
                continue;
            };
            let mut companions = Vec::new();
            if let Some(batching) = version.batching {
                while companions.len() + 1 < batching.max_size && !self.queues[index].is_empty() {
                    companions.extend(self.take(index, &version, now_ns, fallout));
                }
            }
            self.has_had_turn(&first);
            self.queues[index].started(version.number);
            self.emptied(index, fallout);
            return Some(self.start(index, Work::Call(first, version), companions, now_ns));
        }
        None
    }

    /// Takes the method whose turn it is from the list. If its turn is to start a call, that goes to the method that has
    /// the call to start: clients take turns, and a client's turn is for its call that is due first.
    fn next_listed(&mut self) -> Option<usize> {
        if self.listed.len() > 1 && !self.listed.front().is_some_and(|index| self.goes_on(*index)) {
            let next = (0..self.listed.len()).filter_map(|at| Some((self.turn(self.listed[at])?, at))).min();
            if let Some((_, at)) = next {
                self.listed.swap(0, at);
            }
        }
        self.listed.pop_front()
    }

    /// By what turns to start a call are ordered: the lower comes first. `None` if its turn is not to start one.
    fn turn(&self, index: usize) -> Option<(u64, u64)> {
        let (due_ns, call) = self.queues[index].first().filter(|_| !self.goes_on(index))?;
        Some((call.client.turn.load(Ordering::Relaxed), due_ns))
    }

    /// The client of a call that is started has had its turn.
    fn has_had_turn(&mut self, call: &Call<L>) {
        self.round = self.round.max(call.client.turn.load(Ordering::Relaxed));
        call.client.turn.store(self.round + 1, Ordering::Relaxed);
    }

    /// Whether the method's turn is for a call that goes on: those that do and those that start take turns.
    fn goes_on(&self, index: usize) -> bool {
        let queue = &self.queues[index];
        let starts = || self.registry.to_start(index).is_some_and(|version| queue.has_room(version));
        self.resumable[index].front().is_some_and(|job| queue.has_room(job.live_version()))
            && (queue.is_empty() || !queue.resumed_last() || !starts())
    }

    /// Threads that no method gets of which a call runs already: one with slow calls may run many at once, and would
    /// otherwise hold up every other.
    fn kept(&self) -> usize {
        (self.max_running / 8).min(MOST_KEPT)
    }

    /// Lists the methods again that were held back: fewer calls run.
    pub(crate) fn let_on(&mut self) {
        for index in std::mem::take(&mut self.held_back) {
            self.list(index);
        }
    }

    /// Takes the next call out of a method's queue; one that is not to be started goes to `fallout`.
    fn take(
        &mut self,
        index: usize,
        version: &Version<H>,
        now_ns: u64,
        fallout: &mut Fallout<H, L>,
    ) -> Option<Call<L>> {
        let call = self.queues[index].pop()?;
        self.queued -= 1;
        let takes_ns = self.queues[index].takes_ns();
        let late = unstarted(&call, now_ns).or_else(|| in_vain(&call, now_ns, takes_ns));
        let unstarted = late.or_else(|| {
            let other = Unstarted::OtherSchema { live: version.schema_hash, version: version.number };
            (!version.accepts(call.schema_pin)).then_some(other)
        });
        match unstarted {
            None => Some(call),
            Some(reason) => {
                fallout.calls.push((index, call, reason));
                None
            }
        }
    }

    /// A call was taken out of a method's queue.
    fn emptied(&mut self, index: usize, fallout: &mut Fallout<H, L>) {
        if self.queues[index].is_empty() {
            fallout.retired.extend(self.registry.drained(index));
        }
        // Also without a call that waits to start: one that goes on may have given its turn to the one that was taken.
        self.list(index);
    }

    fn start(
        &mut self,
        index: usize,
        what: Work<H, L>,
        companions: Vec<Call<L>>,
        now_ns: u64,
    ) -> Start<H, L> {
        self.list(index);
        self.running += 1;
        self.background += companions.len();
        self.tickets += 1;
        (self.gate, self.gate_ns) = (Some(self.tickets), now_ns);
        Start { what, companions, index, ticket: self.tickets, life: self.life, now_ns }
    }

    /// How long a start has been waiting for the interpreter; 0 if none is.
    pub(crate) fn waiting_ns(&self, now_ns: u64) -> u64 {
        self.gate.map_or(0, |_| now_ns.saturating_sub(self.gate_ns))
    }

    /// The start with this ticket has attached or ended.
    pub(crate) fn open_gate(&mut self, ticket: u64) {
        if self.gate == Some(ticket) {
            self.gate = None;
        }
    }

    /// A call leaves its thread and goes on without one. One that still counts against its method's
    /// concurrency `holds` its place.
    pub(crate) fn leave(&mut self, index: usize, number: u32, holds: bool, ticket: u64, life: u64) {
        self.open_gate(ticket);
        if !holds {
            self.queues[index].ended(number, None);
        }
        if life == self.life {
            self.running -= 1;
            self.background += 1;
        }
        self.list(index);
        self.let_on();
    }

    /// A call that had no thread ended.
    pub(crate) fn ended_in_background(
        &mut self,
        index: usize,
        number: u32,
        holds: bool,
        run_ns: Option<u64>,
        life: u64,
    ) {
        if holds {
            self.queues[index].ended(number, None);
            // Where calls wait for a place on an event loop, and are to be told how long.
            let asked = self.registry.to_start(index).is_some_and(|version| version.refuses_late);
            if let Some(run_ns) = run_ns.filter(|_| asked) {
                self.queues[index].took(number, run_ns);
            }
        }
        if life == self.life {
            self.background -= 1;
        }
        self.list(index);
    }

    /// A call ended.
    pub(crate) fn ended(&mut self, index: usize, number: u32, run_ns: Option<u64>, ticket: u64, life: u64) {
        self.open_gate(ticket);
        self.queues[index].ended(number, run_ns);
        // A call that outlived a stop is not one of this life's.
        if life == self.life {
            self.running -= 1;
        }
        self.list(index);
        self.let_on();
    }

    /// Takes out every queued call that `condemned` names, with its method's index.
    pub(crate) fn remove_queued(
        &mut self,
        mut condemned: impl FnMut(&Call<L>) -> bool,
    ) -> Vec<(usize, Call<L>)> {
        let (mut removed, mut calls) = (Vec::new(), Vec::new());
        for (index, queue) in self.queues.iter_mut().enumerate().filter(|(_, queue)| !queue.is_empty()) {
            queue.remove(&mut condemned, &mut calls);
            removed.extend(calls.drain(..).map(|call| (index, call)));
        }
        self.queued -= removed.len();
        removed
    }
}
