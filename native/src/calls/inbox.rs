//! Where dispatch threads leave calls for an event loop, without taking the interpreter.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pycrust_transport::PerProcess;
use pycrust_transport::sync::{Mutex, MutexGuard};
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use crate::calls::types::PyJob;

/// Notes that are taken in one go, so that the loop's other work has its turn.
const MOST: usize = 256;

/// What an event loop is told.
pub(crate) enum Note {
    /// A call to run, and whether its caller sees tracebacks.
    Call(Box<PyJob>, bool),
    /// Something changed for the call with this number.
    Look(u64),
}

#[derive(Default)]
struct Notes {
    waiting: VecDeque<Note>,
    /// The bell has rung for what waits.
    rung: bool,
    /// Somebody takes notes.
    open: bool,
    /// Made when it is first asked for.
    bell: Option<OwnedFd>,
}

/// The notes of one event loop.
pub(crate) struct Queue {
    /// A forked child has a bell of its own, and nothing of what the parent's callers sent.
    notes: PerProcess<Mutex<Notes>>,
    /// Counts calls.
    calls: AtomicU64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.get().lock()
    }

    fn push(&self, note: Note) {
        let mut notes = self.lock();
        if !notes.open {
            drop(notes);
            if let Note::Call(job, _) = note {
                job.give_up();
            }
            return;
        }
        notes.waiting.push_back(note);
        if !std::mem::replace(&mut notes.rung, true)
            && let Some(bell) = &notes.bell
        {
            // Full would mean that it has rung already.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    /// Takes what waits, as much as there may be in one go.
    pub(crate) fn take(&self) -> Vec<Note> {
        let mut notes = self.lock();
        let count = notes.waiting.len().min(MOST);
        let taken = notes.waiting.drain(..count).collect();
        if notes.waiting.is_empty() {
            notes.rung = false;
            if let Some(bell) = &notes.bell {
                // Empty would mean that nobody has rung.
                let _ = rustix::io::read(bell, &mut [0_u8; 8]);
            }
        }
        taken
    }

    /// A number for one more call.
    pub(crate) fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves a call for the loop.
    pub(crate) fn call(&self, job: PyJob, traceback: bool) {
        self.push(Note::Call(Box::new(job), traceback));
    }

    /// Asks the loop to look at a call.
    pub(crate) fn look(&self, number: u64) {
        self.push(Note::Look(number));
    }
}

/// Calls for one event loop, and the descriptor that tells of them.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Inbox {
    pub(crate) queue: Arc<Queue>,
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> PyResult<Self> {
        let inbox = Self { queue: Arc::new(Queue { notes: PerProcess::new(), calls: AtomicU64::new(0) }) };
        inbox.fileno()?;
        Ok(inbox)
    }

    /// The descriptor that becomes readable when there is something to take.
    fn fileno(&self) -> PyResult<i32> {
        let mut notes = self.queue.lock();
        let made = match notes.bell.take() {
            Some(made) => made,
            None => bell()?,
        };
        Ok(notes.bell.insert(made).as_raw_fd())
    }

    /// Takes calls from now on.
    fn open(&self) {
        self.queue.lock().open = true;
    }

    /// Takes no more calls; those that wait are answered with UNAVAILABLE.
    fn close(&self, py: Python<'_>) {
        let waiting = {
            let mut notes = self.queue.lock();
            notes.open = false;
            std::mem::take(&mut notes.waiting)
        };
        py.detach(|| {
            for note in waiting {
                if let Note::Call(job, _) = note {
                    job.give_up();
                }
            }
        });
    }
}

fn bell() -> PyResult<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(std::io::Error::from)?)
}
