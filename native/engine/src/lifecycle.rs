//! Beginning to serve, and stopping.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::{Duration, Instant};

use pycrust_transport::{Link, monotonic_ns};

use crate::clients::answer::Patience;
use crate::clients::sender;
use crate::engine::{Engine, Helper};
use crate::queueing::scheduler::{Phase, Scheduler};
use crate::queueing::watchdog::{self, Seen};
use crate::refusals;
use crate::running::job::Job;

/// How often a stop looks whether the outboxes are empty.
const STOP_SLICE: Duration = Duration::from_millis(5);

/// How long a stop waits for the leader to leave; it has been woken.
const RECEIVER_PATIENCE: Duration = Duration::from_secs(1);

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Begins to serve; does nothing while it serves or stops. It can be started again after a
    /// [stop](Self::stop), for new connections.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub fn start(&self) -> io::Result<()> {
        let life = {
            let mut scheduler = self.scheduler.lock();
            if scheduler.phase != Phase::Stopped {
                return Ok(());
            }
            scheduler.begin();
            scheduler.life
        };
        self.recorder.begin_life();
        self.started_ns.store(monotonic_ns(), Ordering::Relaxed);
        self.sender.set_life(life);
        if let Err(error) = self.watchdog.begin(life).and_then(|()| self.make_helpers(life)) {
            self.stop(Duration::ZERO);
            return Err(error);
        }
        // One to lead and one in reserve: making a thread takes longer than a short call.
        self.hire(2, life);
        Ok(())
    }

    /// Makes the watchdog and the sender.
    fn make_helpers(&self, life: u64) -> io::Result<()> {
        let (me, bell, presence) = (self.me.clone(), Arc::clone(&self.watchdog), self.alive.enter());
        let helper = self.helper.get().cloned();
        Builder::new().name("pycrust-watchdog".into()).spawn(move || {
            let _presence = presence;
            help(helper, || watchdog::run(&bell, life, |seen| me.upgrade()?.watch(seen, life)));
        })?;
        let (me, bag, presence) = (self.me.clone(), Arc::clone(&self.sender), self.alive.enter());
        let helper = self.helper.get().cloned();
        Builder::new().name("pycrust-sender".into()).spawn(move || {
            let _presence = presence;
            let flush = |client: &_| {
                me.upgrade().is_some_and(|engine| {
                    engine.flush(client, Patience::Waits);
                    true
                })
            };
            help(helper, || sender::run(&bag, life, flush));
        })?;
        Ok(())
    }

    /// The watchdog's look; `None` if the engine lives another life.
    fn watch(&self, seen: &mut u64, life: u64) -> Option<Seen> {
        let (found, hire) = {
            let mut scheduler = self.scheduler.lock();
            if scheduler.life != life {
                return None;
            }
            scheduler.watch(seen)
        };
        self.hire(hire, life);
        Some(found)
    }

    /// Whether the stop with the least patience still has time for threads to end.
    pub fn stop_has_time(&self) -> bool {
        self.scheduler.lock().stop_by.is_none_or(|until| Instant::now() < until)
    }

    /// Stops: new calls get UNAVAILABLE, received ones have `grace` to run, what still waits then gets
    /// UNAVAILABLE too, and every [`next`](Self::next) gives `None`. The clients are let go of.
    ///
    /// Gives whether everything ended within `grace`; calls that did not go on running and answer if
    /// their connection still can. Does nothing unless it serves; where another stop waits for calls, both end with
    /// the one that has less patience.
    pub fn stop(&self, grace: Duration) -> bool {
        let until = Instant::now().checked_add(grace);
        let mut scheduler = self.scheduler.lock();
        match scheduler.phase {
            Phase::Stopped => {
                scheduler.stop_by = earlier(scheduler.stop_by, until);
                return true;
            }
            Phase::Stopping => {
                scheduler.stop_by = earlier(scheduler.stop_by, until);
                while scheduler.phase == Phase::Stopping {
                    scheduler = self.quiet.wait_for(scheduler, STOP_SLICE);
                }
                return scheduler.running + scheduler.background == 0;
            }
            Phase::Serving => (),
        }
        (scheduler.phase, scheduler.stop_by) = (Phase::Stopping, until);
        drop(scheduler);
        let (endpoint, calls) = (&self.config.endpoint, self.in_flight());
        log::info!("{endpoint}: stopping; {calls} calls in flight have {grace:?} to end");
        let mut scheduler = self.scheduler.lock();
        let busy = |scheduler: &Scheduler<H, L>| {
            scheduler.running > 0
                || scheduler.background > 0
                || scheduler.queued > 0
                || scheduler.clients.iter().any(|client| !client.outbox.is_empty())
        };
        while busy(&scheduler) && scheduler.stop_by.is_none_or(|until| Instant::now() < until) {
            let left =
                scheduler.stop_by.map_or(STOP_SLICE, |until| until.saturating_duration_since(Instant::now()));
            scheduler = self.quiet.wait_for(scheduler, left.min(STOP_SLICE));
        }
        let ended = !busy(&scheduler);
        let running = scheduler.running + scheduler.background;
        let left = scheduler.remove_queued(|_| true);
        let resumable = scheduler.take_resumable();
        scheduler.phase = Phase::Stopped;
        scheduler.wake_all();
        let clients = std::mem::take(&mut scheduler.clients);
        drop(scheduler);
        self.started_ns.store(0, Ordering::Relaxed);
        self.topology.fetch_add(1, Ordering::Release);
        self.watchdog.end();
        self.sender.set_life(0);
        self.nudge();
        self.clear_receiver();
        let refused = left.len();
        for (index, call) in left {
            self.admission.unqueue(&call.client.account, call.weight());
            self.refuse(index, &call, &refusals::stopping(&self.config.endpoint), Patience::Hurries);
        }
        for job in resumable {
            Job::<H, L>::of(job).give_up();
        }
        let parted = clients.len();
        if ended {
            log::info!("{endpoint}: stopped; {parted} clients were let go of");
        } else {
            log::warn!(
                "{endpoint}: stopped while {running} handlers ran on, beyond the {grace:?} that they had; {refused} \
                 calls that waited were refused, {parted} clients let go of"
            );
        }
        for client in clients {
            client.pass_on(|_| true);
            self.waiter.remove(client.link.doorbell());
            for _ in 0..client.outbox.close() {
                self.admission.release(&client.account);
            }
        }
        ended
    }

    /// Lets go of the connections that the last leader received from. One that found the engine stopped has
    /// left without looking at the list of clients again.
    fn clear_receiver(&self) {
        let Some(mut receiver) = self.receiver.try_lock_for(RECEIVER_PATIENCE) else { return };
        let clients = std::mem::take(&mut receiver.clients);
        drop(receiver);
        drop(clients);
    }
}

/// Runs the work of a thread of the engine's own; without the engine, which it must not keep.
fn help(helper: Option<Helper>, mut work: impl FnMut()) {
    match helper {
        Some(helper) => helper(&mut work),
        None => work(),
    }
}

/// The earlier of two ends, of which `None` is never.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
