//! The engine: what a worker is made of, and publication.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use pycrust_transport::sync::{Condvar, Mutex};
use pycrust_transport::{Link, Process, Waiter};

use crate::clients::sender::Sender;
use crate::config::Config;
use crate::measuring::connection_log::ConnectionLog;
use crate::measuring::metrics::Metrics;
use crate::measuring::probe::{Attach, Probe};
use crate::queueing::admission::Admission;
use crate::queueing::registry::{Change, Version};
use crate::queueing::scheduler::{Phase, Scheduler};
use crate::queueing::watchdog::Watchdog;
use crate::receiver::Receiver;
use crate::recording::recorder::Recorder;
use crate::threads::{Alive, DispatchThread, Threads};

/// Told how a worker's name came to be another's.
pub type NameLost = Box<dyn Fn(&str) + Send + Sync>;

/// Runs what a thread of the engine's own does, on that thread.
pub type Helper = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Starts a thread that runs the dispatch loop: [`Engine::next`] until it gives `None`.
pub type Spawn<H, L> = Box<dyn Fn(Arc<Engine<H, L>>, DispatchThread) + Send + Sync>;

/// A worker without Python. `H` is what the binding runs for a call, `L` the connection.
///
/// Dispatch threads ask for the [next](Self::next) call, run it and answer it. One of them leads: it
/// receives for all, answers what the worker answers itself, and sleeps with the doorbells.
pub struct Engine<H: Send + Sync + 'static, L: Link> {
    pub(crate) config: Config,
    /// See [`Config::generation`].
    pub(crate) generation: AtomicU64,
    pub(crate) admission: Admission,
    pub(crate) metrics: Metrics,
    /// The last calls that ended.
    pub(crate) recorder: Recorder,
    /// Everything that is decided. Never held while another lock of the engine is taken, or while
    /// anything is sent, received or dropped.
    pub(crate) scheduler: Mutex<Scheduler<H, L>>,
    /// The receiving side: the leader holds it while it leads.
    pub(crate) receiver: Mutex<Receiver<L>>,
    /// Where the leader sleeps.
    pub(crate) waiter: Waiter,
    /// Something changed that the leader should look at, for one that polls.
    pub(crate) attention: AtomicBool,
    /// Whether answers were published to clients that nobody has rung yet.
    pub(crate) unrung: AtomicBool,
    /// Counts changes of the list of clients, so that the leader knows when to copy it.
    pub(crate) topology: AtomicU64,
    /// The recent wait for the interpreter, an average in nanoseconds.
    pub(crate) interpreter_ns: AtomicU64,
    /// How long the leader last polled before it slept; see [`Spin`](crate::measuring::spin::Spin).
    pub(crate) spin_ns: AtomicU64,
    /// Whether the leader leaves a client with a rhythm the core on which it runs.
    pub(crate) elsewhere: AtomicBool,
    pub(crate) connection_log: ConnectionLog,
    /// When it was started; 0 while it does not serve.
    pub(crate) started_ns: AtomicU64,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) sender: Arc<Sender<L>>,
    /// Told when a call ends while the engine stops.
    pub(crate) quiet: Condvar,
    /// Stops the worker, whose name another one has; must not block.
    pub(crate) name_lost: OnceLock<NameLost>,
    /// Runs what the engine's own threads do, if somebody wants to do something around it.
    pub(crate) helper: OnceLock<Helper>,
    /// Looks for the interpreter while somebody asks.
    pub(crate) probe: Probe,
    /// The engine's threads of every life.
    pub(crate) alive: Arc<Alive>,
    /// The process whose threads work for it.
    pub(crate) process: Process,
    spawn: Spawn<H, L>,
    /// Itself, for the threads that it makes.
    pub(crate) me: Weak<Self>,
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// An engine that does not serve yet. `spawn` must start a thread that runs the dispatch loop; it is
    /// called with no lock held, by whichever thread finds that one more is needed.
    ///
    /// # Errors
    /// The system's, if it gives no file descriptors.
    pub fn new(config: Config, spawn: Spawn<H, L>) -> io::Result<Arc<Self>> {
        let waiter = Waiter::new()?;
        Ok(Arc::new_cyclic(|me| Self {
            generation: AtomicU64::new(config.generation),
            admission: Admission::new(&config),
            metrics: Metrics::default(),
            recorder: Recorder::default(),
            scheduler: Mutex::new(Scheduler::new(config.max_running(), config.thread_limit())),
            receiver: Mutex::new(Receiver::new(config.spin, config.anticipation)),
            waiter,
            attention: AtomicBool::new(false),
            unrung: AtomicBool::new(false),
            topology: AtomicU64::new(0),
            interpreter_ns: AtomicU64::new(0),
            spin_ns: AtomicU64::new(0),
            elsewhere: AtomicBool::new(true),
            connection_log: ConnectionLog::default(),
            started_ns: AtomicU64::new(0),
            watchdog: Arc::new(Watchdog::new()),
            sender: Arc::new(Sender::new()),
            quiet: Condvar::new(),
            name_lost: OnceLock::new(),
            helper: OnceLock::new(),
            probe: Probe::default(),
            alive: Arc::default(),
            process: Process::current(),
            spawn,
            me: me.clone(),
            config,
        }))
    }

    /// The last calls that ended.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Sets what [`Config::generation`] was not known for yet.
    pub fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether the thread that waits for a client with a rhythm leaves it the core on which it runs.
    pub fn wait_elsewhere(&self, enabled: bool) {
        self.elsewhere.store(enabled, Ordering::Relaxed);
    }

    /// What is done when another process asks for the name, or has it; it must not block. The first one counts.
    pub fn on_name_lost(&self, name_lost: NameLost) {
        let _ = self.name_lost.set(name_lost);
    }

    /// What is done around the work of the engine's own threads, the watchdog and the sender. The first one counts.
    pub fn on_helper(&self, helper: Helper) {
        let _ = self.helper.set(helper);
    }

    /// What waits for the interpreter, for whoever asks whether it can be had. The first one counts.
    pub fn on_interpreter_asked_for(&self, attach: Attach) {
        let _ = self.probe.attach.set(attach);
    }

    pub(crate) fn lose_name(&self, how: &str) {
        if let Some(name_lost) = self.name_lost.get() {
            name_lost(how);
        }
    }

    /// Publishes changes in one atomic step and gives the version of each: a registration's new one, a
    /// removal's last one (0 if there was no such method).
    ///
    /// A call that is started before runs the old version to its end; every call that arrives after
    /// this returns runs the new one.
    pub fn publish(&self, changes: Vec<Change<H>>) -> Vec<u32> {
        let mut retired: Vec<Arc<Version<H>>> = Vec::new();
        let mut numbers = Vec::with_capacity(changes.len());
        let mut scheduler = self.scheduler.lock();
        for change in changes {
            numbers.push(match change {
                Change::Register {
                    method,
                    handler,
                    concurrency,
                    exclusive,
                    refuses_late,
                    batching,
                    schema_hash,
                    schema_json,
                    compatible_schemas,
                    schema_changes,
                    doc,
                    recording,
                } => {
                    let make = |method, key, number| Version {
                        method,
                        key,
                        number,
                        handler,
                        concurrency: concurrency.max(1),
                        exclusive,
                        refuses_late,
                        batching,
                        schema_hash,
                        schema_json,
                        compatible_schemas,
                        schema_changes,
                        doc,
                        recording: Arc::new(recording),
                    };
                    let (index, number) = scheduler.registry.register(&method, make, &mut retired);
                    scheduler.ensure(index);
                    self.metrics.ensure(index);
                    scheduler.queues[index].published(number);
                    scheduler.list(index);
                    number
                }
                Change::Remove { method } => {
                    let Scheduler { registry, queues, .. } = &mut *scheduler;
                    registry.remove(&method, |index| !queues[index].is_empty(), &mut retired)
                }
            });
        }
        drop(scheduler);
        self.nudge_if_runnable();
        drop(retired);
        numbers
    }

    /// Names that answer UNAVAILABLE instead of UNIMPLEMENTED until they are registered.
    pub fn expect(&self, methods: Vec<String>) {
        self.scheduler.lock().registry.expect(methods);
    }

    /// Whether it does not serve: before the first start and after a stop.
    pub fn is_stopped(&self) -> bool {
        self.scheduler.lock().phase == Phase::Stopped
    }

    /// The engine's threads that have not ended: dispatch threads and two helpers.
    pub fn live_threads(&self) -> usize {
        self.alive.count()
    }

    /// Waits after a stop until the engine's threads have ended; `false` if some haven't within `timeout`.
    pub fn join(&self, timeout: Duration) -> bool {
        self.alive.wait(timeout)
    }

    /// Calls received and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// Bytes of arguments that wait in queues.
    pub fn queued_bytes(&self) -> usize {
        self.admission.queued_bytes()
    }

    /// Makes `count` dispatch threads, if the engine still lives this life.
    pub(crate) fn hire(&self, count: usize, life: u64) {
        if count == 0 {
            return;
        }
        let Some(me) = self.me.upgrade() else { return };
        let tokens = {
            let mut scheduler = self.scheduler.lock();
            if scheduler.over(life) {
                return;
            }
            scheduler.hire(count)
        };
        for token in tokens {
            let threads: Weak<dyn Threads> = self.me.clone();
            let thread = DispatchThread {
                token,
                life,
                given_ns: 0,
                seat: Arc::default(),
                threads,
                _presence: self.alive.enter(),
            };
            (self.spawn)(Arc::clone(&me), thread);
        }
    }

    /// Makes the leader look around: it stops polling, or wakes up.
    pub(crate) fn nudge(&self) {
        self.attention.store(true, Ordering::Release);
        let asleep = std::mem::take(&mut self.scheduler.lock().asleep);
        if asleep {
            self.waiter.wake();
        }
    }

    /// [Nudges](Self::nudge) the leader if there is a call to start.
    pub(crate) fn nudge_if_runnable(&self) {
        self.reschedule(|_| ());
    }

    /// Changes what is scheduled, and nudges the leader if there is a call to start then.
    #[inline]
    pub(crate) fn reschedule(&self, change: impl FnOnce(&mut Scheduler<H, L>)) {
        let asleep = {
            let mut scheduler = self.scheduler.lock();
            change(&mut scheduler);
            if !scheduler.wants_a_look() {
                return;
            }
            self.attention.store(true, Ordering::Release);
            std::mem::take(&mut scheduler.asleep)
        };
        if asleep {
            self.waiter.wake();
        }
    }
}

impl<H: Send + Sync + 'static, L: Link> Threads for Engine<H, L> {
    fn signed_off(self: Arc<Self>, token: u64, life: u64) {
        let hire = self.scheduler.lock().sign_off(token);
        self.hire(hire, life);
    }
}

impl<H: Send + Sync + 'static, L: Link> Drop for Engine<H, L> {
    fn drop(&mut self) {
        self.watchdog.end();
        self.sender.set_life(0);
    }
}
