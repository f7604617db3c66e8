//! What a thread with a rhythm to keep asks of the kernel: cores, a priority of real time, memory that stays.
//!
//! Nothing of it is anybody's by right. What can't be had is said, each in one line with the way to get it, and the rest
//! is had all the same.

mod cores;
mod memory;
mod missing;
mod thread;

use std::fmt;

pub use self::cores::Cores;
pub use self::memory::LockedMemory;
pub use self::thread::OnThread;

/// What a thread asks of the kernel so that it keeps its rhythm: `RealTime::new().cores([2]).priority(50).lock_memory(true)`;
/// see [`apply`](Self::apply).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "it asks for nothing before it is applied"]
pub struct RealTime {
    cores: Vec<usize>,
    priority: Option<u8>,
    lock_memory: bool,
}

/// What no thread can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealTimeError {
    /// There is no such priority.
    #[error("a priority of real time is between 1 and 99, not {0}")]
    Priority(u8),
    /// The process may not use this core.
    #[error(
        "core {core} is none that this process may use: those are {}. `taskset -c`, systemd's `CPUAffinity=` and \
         `AllowedCPUs=` and a container's `--cpuset-cpus` say which",
        Cores::only(allowed)
    )]
    Core {
        /// The first one that it may not use.
        core: usize,
        /// Those that it may.
        allowed: Vec<usize>,
    },
}

impl RealTime {
    /// Asks for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cores that the thread may run on, by the kernel's numbers: of those that the process may use, or that the
    /// kernel keeps free of other threads (`isolcpus`).
    pub fn cores(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.cores = cores.into_iter().collect();
        self.cores.sort_unstable();
        self.cores.dedup();
        self
    }

    /// `SCHED_FIFO` with this priority, 1 to 99: the thread comes before all that have a lower one or none, and keeps its
    /// core until it sleeps.
    ///
    /// A thread that never sleeps keeps it from everything else, the kernel's own threads of a lower priority included. Linux
    /// takes it away for 50 ms in each second (`/proc/sys/kernel/sched_rt_runtime_us`), unless that was turned off. And a
    /// lock that a thread without priority has is waited for as long as that one is not let run: priority is inherited
    /// through none of the locks of Rust or Python.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Whether the memory of the whole process stays where it is once it was touched, now and later
    /// (`mlockall` with `MCL_ONFAULT`): nothing of it is written to a disk or read from one again.
    ///
    /// Memory that nobody has touched yet takes none: run what the loop runs once before it begins.
    pub fn lock_memory(mut self, lock: bool) -> Self {
        self.lock_memory = lock;
        self
    }

    /// Applies it to the calling thread, until what this gives is dropped. The first pages of the thread's stack are
    /// touched, so that they are there. What could not be had is among [`missing`](AppliedRealTime::missing).
    ///
    /// Threads and processes that the thread makes meanwhile are scheduled as usual. They stay on its cores, but for a
    /// forked process, which has those that the thread had before.
    ///
    /// # Errors
    /// No priority of this number exists, or the process may not use one of the cores.
    pub fn apply(&self) -> Result<AppliedRealTime, RealTimeError> {
        self.check()?;
        let (memory, not_locked) = self.lock();
        let (thread, mut missing) = self.enter(None);
        missing.extend(not_locked);
        Ok(AppliedRealTime { thread, memory, missing })
    }

    /// Refuses what no thread could be asked for.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn check(&self) -> Result<(), RealTimeError> {
        if let Some(priority) = self.priority.filter(|priority| !(1..=99).contains(priority)) {
            return Err(RealTimeError::Priority(priority));
        }
        let allowed = Cores::allowed();
        match self.cores.iter().find(|core| !allowed.has(**core)) {
            Some(&core) => Err(RealTimeError::Core { core, allowed: allowed.list() }),
            None => Ok(()),
        }
    }

    /// Locks the process's memory, if that was asked for; or says why not.
    pub fn lock(&self) -> (Option<LockedMemory>, Option<String>) {
        if !self.lock_memory {
            return (None, None);
        }
        match memory::lock() {
            Ok(locked) => (Some(locked), None),
            Err(line) => (None, Some(line)),
        }
    }

    /// The part of the calling thread, and what could not be had of it. `before` are the cores that it goes back to, by
    /// default those that it has now: which a thread has from the one that made it.
    pub fn enter(&self, before: Option<Cores>) -> (OnThread, Vec<String>) {
        OnThread::enter(&self.cores, self.priority, before)
    }
}

/// What was applied to a thread, and is put back when this is dropped: on that thread; dropped on another one, the thread
/// keeps what it has, and only the memory is unlocked.
///
/// Of several that are applied to one thread, the last one is dropped first.
#[must_use = "dropped, it puts everything back"]
pub struct AppliedRealTime {
    thread: OnThread,
    memory: Option<LockedMemory>,
    missing: Vec<String>,
}

impl AppliedRealTime {
    /// The cores that the thread may run on now.
    pub fn cores(&self) -> Vec<usize> {
        self.thread.cores().map(|cores| cores.list()).unwrap_or_default()
    }

    /// The thread's priority of real time, as the kernel has it now; `None` if it has none.
    pub fn priority(&self) -> Option<u8> {
        self.thread.scheduling().ok()?.fifo_priority()
    }

    /// Whether the process's memory is locked.
    pub fn memory_locked(&self) -> bool {
        self.memory.is_some()
    }

    /// What could not be had: a line each, with the way to get it.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

impl fmt::Debug for AppliedRealTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppliedRealTime")
            .field("cores", &self.cores())
            .field("priority", &self.priority())
            .field("memory_locked", &self.memory_locked())
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}
