//! One thread's cores and priority.

use std::io;
use std::thread::{self, ThreadId};

use rustix::process::{Resource, getrlimit};
use rustix::thread::{Pid, gettid, sched_setaffinity};

use crate::pinning;
use crate::process::Process;
use crate::realtime::cores::Cores;
use crate::realtime::missing;
use crate::scheduling::Scheduling;
use crate::stack;

/// What one thread was given. Dropped on it, it has what it had before.
#[derive(Debug)]
pub struct OnThread {
    process: Process,
    thread: ThreadId,
    number: Pid,
    /// The cores to go back to, if it was pinned.
    cores: Option<Cores>,
    /// Whether it was pinned by nobody before.
    outermost: bool,
    /// How to be scheduled again, if that was changed.
    scheduling: Option<Scheduling>,
}

impl OnThread {
    /// Gives the calling thread what is asked for, and says what can't be had.
    pub(super) fn enter(cores: &[usize], priority: Option<u8>, before: Option<Cores>) -> (Self, Vec<String>) {
        let mut missing = Vec::new();
        let mut entered = Self {
            process: Process::current(),
            thread: thread::current().id(),
            number: gettid(),
            cores: None,
            outermost: false,
            scheduling: None,
        };
        if !cores.is_empty() {
            missing.extend(entered.pin(cores, before));
        }
        if let Some(priority) = priority {
            missing.extend(entered.come_first(priority).err());
        }
        stack::touch();
        (entered, missing)
    }

    fn pin(&mut self, cores: &[usize], before: Option<Cores>) -> Option<String> {
        let asked = Cores::only(cores);
        let Ok(before) = before.map_or_else(|| Cores::of(None), Ok) else {
            return Some(missing::cores(&asked.to_string(), "some that it does not say"));
        };
        Cores::pin();
        // Refused if none of them is the control group's; of some, the kernel leaves out the others.
        let pinned = sched_setaffinity(None, asked.mask()).is_ok();
        if pinned {
            self.outermost = pinning::begin(*before.mask());
            self.cores = Some(before);
        } else {
            Cores::unpin();
        }
        let has = Cores::of(None).unwrap_or(before);
        (has != asked).then(|| missing::cores(&asked.to_string(), &has.to_string()))
    }

    fn come_first(&mut self, priority: u8) -> Result<(), String> {
        let given = Scheduling::of(None).and_then(|before| {
            Scheduling::fifo(priority).set(None)?;
            Ok(before)
        });
        let limit = || getrlimit(Resource::Rtprio).current;
        self.scheduling = Some(given.map_err(|error| missing::priority(priority, limit(), &error))?);
        Ok(())
    }

    /// The kernel's number of the thread.
    pub fn number(&self) -> i32 {
        self.number.as_raw_pid()
    }

    /// The cores that it may use now. The thread has not ended.
    pub(crate) fn cores(&self) -> io::Result<Cores> {
        Ok(Cores::of(Some(self.number))?)
    }

    /// The numbers of the cores that it may use now. The thread has not ended.
    ///
    /// # Errors
    /// The system's.
    pub fn core_numbers(&self) -> io::Result<Vec<usize>> {
        self.cores().map(|cores| cores.list())
    }

    /// How it is scheduled now. The thread has not ended.
    ///
    /// # Errors
    /// The system's.
    pub fn scheduling(&self) -> io::Result<Scheduling> {
        Scheduling::of(Some(self.number))
    }

    /// Gives the thread what it had before. It has not ended: its number may be another one's then.
    pub fn put_back(&self) {
        if !self.process.is_current() {
            return;
        }
        if let Some(scheduling) = self.scheduling {
            // Who has no right to raise a priority may not clear this either; without a priority it changes nothing.
            let _ = scheduling
                .set(Some(self.number))
                .or_else(|_| scheduling.reset_on_fork(true).set(Some(self.number)));
        }
        if let Some(cores) = self.cores {
            let _ = sched_setaffinity(Some(self.number), cores.mask());
        }
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return;
        }
        // Elsewhere nobody knows whether the thread is still there.
        if thread::current().id() == self.thread {
            self.put_back();
            if self.outermost {
                pinning::end();
            }
        }
        if self.cores.is_some() {
            Cores::unpin();
        }
    }
}
