//! What a dispatch thread does between two calls: lead, or wait until it is needed.
//!
//! One thread leads: it receives, answers what needs no handler, and starts calls. It runs a short call
//! itself and goes on leading; a method that is known to be slow is handed over before it runs, and the
//! [`watchdog`](crate::watchdog) takes the lead from a leader whose call turns out to be long.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pycrust_transport::{Link, monotonic_ns};

use crate::deliver::Patience;
use crate::engine::Engine;
use crate::job::Job;
use crate::receive::Receiver;
use crate::roster::DispatchThread;
use crate::scheduler::{Fallout, Phase};

/// Looks at the connections between two looks at the clock while polling.
const LOOKS: u32 = 16;

/// What a leader found.
enum Found<J> {
    /// A call to run.
    Job(J),
    /// The engine stopped.
    Over,
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// The next call for this thread; `None` when the engine has stopped. Blocks: call it detached from the
    /// interpreter.
    pub fn next(self: &Arc<Self>, thread: &mut DispatchThread) -> Option<Job<H, L>> {
        loop {
            let mut scheduler = self.scheduler.lock();
            if scheduler.over(thread.life) {
                return None;
            }
            if scheduler.take_lead(thread.token) {
                drop(scheduler);
                match self.lead(thread) {
                    Found::Job(job) => return Some(job),
                    Found::Over => return None,
                }
            }
            let mut fallout = Fallout::new();
            let now_ns = monotonic_ns();
            let start = scheduler.pop(now_ns, &mut fallout);
            if start.is_none() && fallout.is_empty() {
                scheduler.sit(thread.token, &thread.seat);
                while scheduler.sits(thread.token) {
                    thread.seat.wait(&mut scheduler);
                }
                continue;
            }
            drop(scheduler);
            self.settle(fallout);
            if let Some(start) = start {
                return Some(Job::new(self, start, now_ns));
            }
        }
    }

    /// Leads until there is a call to run.
    fn lead(self: &Arc<Self>, thread: &DispatchThread) -> Found<Job<H, L>> {
        let mut receiver = self.receiver.lock();
        loop {
            let received = self.receive(&mut receiver);
            let now_ns = monotonic_ns();
            receiver.spin.arrived(now_ns, received);
            let mut fallout = Fallout::new();
            let (start, hire) = {
                let mut scheduler = self.scheduler.lock();
                if scheduler.over(thread.life) {
                    return Found::Over;
                }
                let start = scheduler.pop(now_ns, &mut fallout);
                let hire = match &start {
                    Some(start) => scheduler.run_as_leader(thread.token, start.version.key as usize - 1),
                    None => 0,
                };
                (start, hire)
            };
            if let Some(start) = start {
                drop(receiver);
                // Before the interpreter is waited for: that wait may be the long part.
                self.watchdog.arm();
                self.hire(hire, thread.life);
                self.settle(fallout);
                return Found::Job(Job::new(self, start, now_ns));
            }
            let idle = fallout.is_empty() && received == 0;
            self.settle(fallout);
            if idle && !self.poll(&receiver) {
                self.sleep(&mut receiver, thread.life);
            }
        }
    }

    /// Polls for as long as the traffic makes it worth while; whether something came.
    fn poll(&self, receiver: &Receiver<L>) -> bool {
        let budget_ns = receiver.spin.budget_ns(self.interpreter_ns.load(Ordering::Relaxed));
        if budget_ns == 0 {
            return false;
        }
        let until_ns = monotonic_ns().saturating_add(budget_ns);
        loop {
            for _ in 0..LOOKS {
                if self.something_came(receiver) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if monotonic_ns() >= until_ns {
                return false;
            }
        }
    }

    fn something_came(&self, receiver: &Receiver<L>) -> bool {
        self.clients_changed(receiver)
            || receiver
                .clients
                .iter()
                .any(|client| client.link.ready() && client.receivable(&self.admission))
    }

    /// Sleeps until a doorbell rings or something changes in the engine.
    fn sleep(&self, receiver: &mut Receiver<L>, life: u64) {
        {
            let mut scheduler = self.scheduler.lock();
            if scheduler.over(life) || scheduler.can_pop() {
                return;
            }
            // From here on, whoever changes what the leader would do wakes it.
            scheduler.asleep = true;
        }
        for client in &receiver.clients {
            client.link.announce_sleep();
        }
        if !self.something_came(receiver) {
            self.waiter.wait(None);
        }
        for client in &receiver.clients {
            client.link.announce_awake();
        }
        self.scheduler.lock().asleep = false;
        // A client that has made room rings the same doorbell.
        for client in receiver.clients.iter().filter(|client| !client.outbox.is_empty()) {
            self.flush(client, Patience::Hurries);
        }
    }

    /// Whether calls are taken.
    pub(crate) fn serving(&self) -> bool {
        self.scheduler.lock().phase == Phase::Serving
    }
}
