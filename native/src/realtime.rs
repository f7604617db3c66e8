//! The real-time profile that the threads of an endpoint serve with: what it asks for, who has it, what it could not get.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use pycrust_transport::{Cores, LockedMemory, OnThread, RealTime};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Generations of the collector.
pub(crate) const GENERATIONS: usize = 3;

/// What the threads that serve are given while an endpoint serves, and its process.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct RealTimeProfile {
    asked: RealTime,
    /// The cores that threads go back to: they have their own from whoever made them, which may be one of these.
    before: Cores,
    /// Whether garbage is collected between calls, and not in them.
    pub(crate) collects: bool,
    /// Locked until it ends.
    memory: Mutex<Option<LockedMemory>>,
    threads: Mutex<Threads>,
    /// What could not be had.
    missing: Vec<String>,
    /// Collections between calls, by generation.
    pub(crate) collections: [AtomicU64; GENERATIONS],
    /// Before this, on `CLOCK_MONOTONIC`, there is no collection of everything.
    pub(crate) next_full_ns: AtomicU64,
}

#[derive(Default)]
struct Threads {
    /// What each was given, by the kernel's numbers. A thread takes itself out before it ends.
    entered: HashMap<i32, OnThread>,
    ended: bool,
}

#[pymethods]
impl RealTimeProfile {
    #[new]
    fn new(
        py: Python<'_>,
        cores: Vec<usize>,
        priority: Option<u8>,
        lock_memory: bool,
        collect_between_calls: bool,
    ) -> PyResult<Self> {
        let mut asked = RealTime::new().cores(cores).lock_memory(lock_memory);
        if let Some(priority) = priority {
            asked = asked.priority(priority);
        }
        asked.check().map_err(|error| PyValueError::new_err(error.to_string()))?;
        let before = Cores::of_process();
        // Tried by a thread that nobody needs: what it can't have, none can.
        let trial = asked.clone();
        let tried = py.detach(|| {
            Builder::new()
                .name("pycrust-trial".into())
                .spawn(move || trial.enter(Some(before)).1)?
                .join()
                .map_err(|_| PyRuntimeError::new_err("trying what a thread can be given has panicked"))
        });
        let mut missing = tried?;
        let (memory, not_locked) = py.detach(|| asked.lock());
        missing.extend(not_locked);
        Ok(Self {
            asked,
            before,
            collects: collect_between_calls,
            memory: Mutex::new(memory),
            threads: Mutex::default(),
            missing,
            collections: Default::default(),
            next_full_ns: AtomicU64::new(0),
        })
    }

    /// What could not be had: a line each, with the way to get it.
    #[getter]
    fn missing(&self) -> Vec<String> {
        self.missing.clone()
    }

    /// Gives the calling thread, which serves, what is asked for, until it leaves.
    fn enter(&self) {
        let mut threads = self.threads();
        if !threads.ended {
            let (entered, _known) = self.asked.enter(Some(self.before));
            threads.entered.insert(entered.number(), entered);
        }
    }

    /// The calling thread has what it had before it entered.
    fn leave(&self) {
        self.threads().entered.remove(&rustix::thread::gettid().as_raw_pid());
    }

    /// Puts everything back: the memory, and threads that still run.
    fn end(&self) {
        let memory = lock(&self.memory).take();
        drop(memory);
        let mut threads = self.threads();
        threads.ended = true;
        threads.entered.values().for_each(OnThread::put_back);
    }

    /// What was reached, as the kernel has it now.
    fn reached<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        let rows = PyList::empty(py);
        for (number, entered) in &self.threads().entered {
            // Those that have just ended are not asked for: they leave before.
            let (Ok(scheduling), Ok(cores)) = (entered.scheduling(), entered.core_numbers()) else {
                continue;
            };
            let row = PyDict::new(py);
            row.set_item("thread", number)?;
            row.set_item("policy", scheduling.policy_name())?;
            row.set_item("priority", scheduling.fifo_priority())?;
            row.set_item("cores", cores)?;
            rows.append(row)?;
        }
        all.set_item("threads", rows)?;
        all.set_item("memory_locked", lock(&self.memory).is_some())?;
        let collections = self.collections.each_ref().map(|count| count.load(Ordering::Relaxed));
        all.set_item("collections", collections.to_vec())?;
        all.set_item("missing", &self.missing)?;
        Ok(all)
    }
}

impl RealTimeProfile {
    fn threads(&self) -> MutexGuard<'_, Threads> {
        lock(&self.threads)
    }

    /// Has the calling thread in the profile until this is dropped, on that thread.
    pub(crate) fn entered(&self) -> Entered<'_> {
        self.enter();
        Entered(self)
    }
}

/// A thread that serves, while it does.
pub(crate) struct Entered<'a>(&'a RealTimeProfile);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
