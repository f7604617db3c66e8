//! How the kernel schedules a thread.

use std::io;

use rustix::thread::Pid;

/// Threads and processes that the thread makes are scheduled as usual (`SCHED_FLAG_RESET_ON_FORK`).
const RESET_ON_FORK: u64 = 1;

/// What `sched_setattr` takes and `sched_getattr` gives, in its first version.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl Scheduling {
    /// How a thread is scheduled, the calling one by default.
    ///
    /// # Errors
    /// The system's: there is no such thread.
    pub fn of(thread: Option<Pid>) -> io::Result<Self> {
        let mut found = Self::default();
        let size = size_of::<Self>();
        // SAFETY: the call writes no more than `size` bytes of a structure of this layout.
        let outcome =
            unsafe { libc::syscall(libc::SYS_sched_getattr, number(thread), &raw mut found, size, 0) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(found) }
    }

    /// Has a thread, the calling one by default, scheduled in this way.
    ///
    /// # Errors
    /// The system's: there is no such thread, or the process may not.
    pub fn set(&self, thread: Option<Pid>) -> io::Result<()> {
        let asked = Self { size: size_of::<Self>() as u32, ..*self };
        // SAFETY: the call reads `size` bytes of a structure of this layout and changes nothing in this process's memory.
        let outcome = unsafe { libc::syscall(libc::SYS_sched_setattr, number(thread), &raw const asked, 0) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Before every thread of a lower priority and of none, for as long as it has something to do.
    pub fn fifo(priority: u8) -> Self {
        Self { policy: libc::SCHED_FIFO.cast_unsigned(), priority: priority.into(), ..Self::default() }
            .reset_on_fork(true)
    }

    /// Whether what the thread makes is scheduled as usual.
    #[must_use]
    pub fn reset_on_fork(self, reset: bool) -> Self {
        let others = self.flags & !RESET_ON_FORK;
        Self { flags: if reset { others | RESET_ON_FORK } else { others }, ..self }
    }

    /// The same with slices of this length; 0 leaves it to the kernel.
    #[must_use]
    pub fn slice_ns(self, nanoseconds: u64) -> Self {
        Self { runtime: nanoseconds, ..self }
    }

    /// Whether the thread shares the processor with all the others.
    pub fn is_usual(&self) -> bool {
        matches!(self.policy.cast_signed(), libc::SCHED_OTHER | libc::SCHED_BATCH)
    }

    /// Its priority, if it is one of real time that keeps the processor.
    pub fn fifo_priority(&self) -> Option<u8> {
        (self.policy.cast_signed() == libc::SCHED_FIFO).then_some(self.priority as u8)
    }

    /// The policy's name, as `chrt` has it.
    pub fn policy_name(&self) -> &'static str {
        match self.policy.cast_signed() {
            libc::SCHED_OTHER => "SCHED_OTHER",
            libc::SCHED_FIFO => "SCHED_FIFO",
            libc::SCHED_RR => "SCHED_RR",
            libc::SCHED_BATCH => "SCHED_BATCH",
            libc::SCHED_IDLE => "SCHED_IDLE",
            _ => "another",
        }
    }
}

fn number(thread: Option<Pid>) -> i32 {
    thread.map_or(0, Pid::as_raw_pid)
}
