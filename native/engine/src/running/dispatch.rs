//! Leader and followers: what a dispatch thread does between two calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pycrust_transport::{Link, monotonic_ns};

use crate::clients::answer::Patience;
use crate::engine::Engine;
use crate::queueing::scheduler::{Fallout, Start};
use crate::running::job::Job;
use crate::threads::DispatchThread;

/// What the leader found.
enum Found<H: Send + Sync + 'static, L: Link> {
    /// A call for it to run.
    Start(Start<H, L>),
    /// Something was done, look again.
    More,
    /// Nothing to do at the moment, or before a batch is due, on `CLOCK_MONOTONIC`.
    Nothing(Option<u64>),
    /// The engine has stopped.
    Over,
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// The next call for this thread to run; waits for one, detached from the interpreter. `None` when
    /// the engine has stopped: the thread should end.
    ///
    /// The thread calls [`Job::attached`] once it has the interpreter, and answers with
    /// [`Job::respond`] before it comes back.
    pub fn next(self: &Arc<Self>, thread: &mut DispatchThread) -> Option<Job<H, L>> {
        let mut fallout = Fallout::new();
        loop {
            let mut scheduler = self.scheduler.lock();
            if scheduler.over(thread.life) {
                return None;
            }
            if scheduler.take_lead(thread.token) {
                drop(scheduler);
                match self.lead(thread) {
                    Some(start) => return Some(self.give(thread, start)),
                    None => continue,
                }
            }
            let start = scheduler.pop(monotonic_ns(), &mut fallout);
            if start.is_none() && fallout.is_empty() {
                if scheduler.superfluous() {
                    return None;
                }
                // Woken for one thing, and it looks itself what that was.
                scheduler.sit(thread.token, &thread.seat);
                while scheduler.sits(thread.token) {
                    scheduler = thread.seat.wait(scheduler);
                }
                continue;
            }
            drop(scheduler);
            self.settle(&mut fallout, Patience::Waits);
            if let Some(start) = start {
                return Some(self.give(thread, start));
            }
        }
    }

    fn give(self: &Arc<Self>, thread: &mut DispatchThread, start: Start<H, L>) -> Job<H, L> {
        thread.given_ns = start.now_ns;
        Job::begin(self, start)
    }

    /// Leads until there is a call to run; `None` when the engine has stopped.
    fn lead(&self, thread: &DispatchThread) -> Option<Start<H, L>> {
        let mut receiver = self.receiver.lock();
        let mut fallout = Fallout::new();
        receiver.returned = true;
        receiver.rehearsed();
        // Of a leader whose lead was taken away: the call that it runs is long, and others have their answers.
        self.ring();
        loop {
            self.attention.store(false, Ordering::Relaxed);
            self.refresh(&mut receiver);
            let frames = self.receive_round(&mut receiver);
            receiver.returned = false;
            let found = self.find(thread, &mut fallout);
            self.settle(&mut fallout, Patience::Hurries);
            self.flush_outboxes(&receiver);
            match found {
                Found::Start(start) => return Some(start),
                Found::Over => return None,
                Found::Nothing(batch_ns) if frames == 0 => self.rest(thread, &mut receiver, batch_ns),
                Found::Nothing(_) | Found::More => {}
            }
        }
    }

    /// Looks for a call to start, and leaves the lead in order if there is one.
    fn find(&self, thread: &DispatchThread, fallout: &mut Fallout<H, L>) -> Found<H, L> {
        let mut scheduler = self.scheduler.lock();
        if scheduler.over(thread.life) {
            return Found::Over;
        }
        let now_ns = monotonic_ns();
        let Some(start) = scheduler.pop(now_ns, fallout) else {
            return if fallout.is_empty() { Found::Nothing(scheduler.next_batch_ns()) } else { Found::More };
        };
        let hire = scheduler.run_as_leader(thread.token, start.index, now_ns);
        drop(scheduler);
        self.watchdog.arm();
        self.hire(hire, thread.life);
        Found::Start(start)
    }

    /// Answers what left the queues without being started.
    pub(crate) fn settle(&self, fallout: &mut Fallout<H, L>, patience: Patience) {
        if fallout.is_empty() {
            return;
        }
        let now_ns = monotonic_ns();
        for (index, call, reason) in fallout.calls.drain(..) {
            self.settle_unstarted(index, &call, reason, now_ns, patience);
        }
        fallout.retired.clear();
    }
}
