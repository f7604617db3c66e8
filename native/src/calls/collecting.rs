//! The garbage collector between calls: in a handler none begins by itself, and what is due then is done once its caller
//! has the answer and nobody waits.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pycrust_transport::{Process, monotonic_ns};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::realtime::{GENERATIONS, RealTimeProfile};

/// So many times what the collector waits for, and it is run though others wait: memory must not grow without end.
const URGENT: usize = 100;
/// A collection of everything takes no more than one part of so many of the time.
const FULL_SHARE: u64 = 100;

/// Calls that the collector spares, of all endpoints. Changed attached only.
static SPARED: AtomicUsize = AtomicUsize::new(0);
/// Whether the collector was on before the first of them.
static WAS_ENABLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the calls of this thread are spared.
    static SPARES: Cell<bool> = const { Cell::new(false) };
}

/// The calls of this thread are spared from now on.
pub(crate) fn spare_calls() {
    SPARES.set(true);
}

/// While there is one of these, the collector does not begin by itself. Made and dropped attached.
pub(crate) struct Spared<'py> {
    _py: Python<'py>,
    process: Process,
}

impl<'py> Spared<'py> {
    /// `None` on a thread whose calls are not spared.
    pub(crate) fn new(py: Python<'py>) -> Option<Self> {
        if !SPARES.get() {
            return None;
        }
        if SPARED.fetch_add(1, Ordering::Relaxed) == 0 {
            // SAFETY: attached.
            WAS_ENABLED.store(unsafe { pyo3::ffi::PyGC_Disable() } == 1, Ordering::Relaxed);
        }
        Some(Self { _py: py, process: Process::current() })
    }
}

impl Drop for Spared<'_> {
    fn drop(&mut self) {
        if self.process.is_current() && SPARED.fetch_sub(1, Ordering::Relaxed) == 1 {
            restore();
        }
    }
}

fn restore() {
    if WAS_ENABLED.swap(false, Ordering::Relaxed) {
        // SAFETY: attached, by the caller.
        unsafe { pyo3::ffi::PyGC_Enable() };
    }
}

/// In a forked child, which runs none of its parent's calls: the collector is as it was before them.
pub(crate) fn forked(_py: Python<'_>) {
    SPARED.store(0, Ordering::Relaxed);
    restore();
}

/// A collection that would have begun by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    generation: usize,
    urgent: bool,
}

impl Due {
    /// Whether it is to be done now: with `in_flight` calls that were received and not answered, and others that run.
    pub(crate) fn is_now(self, in_flight: usize) -> bool {
        self.urgent || (in_flight == 0 && SPARED.load(Ordering::Relaxed) == 0)
    }
}

/// What is due after a call of this thread; it is not in one any more.
pub(crate) fn due(py: Python<'_>, profile: &RealTimeProfile) -> Option<Due> {
    // SAFETY: attached.
    let enabled = unsafe { pyo3::ffi::PyGC_IsEnabled() } == 1 || WAS_ENABLED.load(Ordering::Relaxed);
    if !enabled {
        return None;
    }
    let asked = || -> PyResult<_> {
        let gc = Collector::get(py)?;
        let counts = gc.count.call0(py)?.extract::<[usize; GENERATIONS]>(py)?;
        Ok((counts, gc.threshold.call0(py)?.extract::<[usize; GENERATIONS]>(py)?))
    };
    let (counts, thresholds) =
        asked().inspect_err(|error| error.clone_ref(py).write_unraisable(py, None)).ok()?;
    let full = monotonic_ns() >= profile.next_full_ns.load(Ordering::Relaxed);
    // The collector takes the oldest one, too, and the younger ones with it.
    let generation = (0..GENERATIONS).rev().find(|generation| {
        let threshold = thresholds[*generation];
        threshold > 0 && counts[*generation] > threshold && (full || generation + 1 < GENERATIONS)
    })?;
    Some(Due { generation, urgent: counts[0] > thresholds[0].saturating_mul(URGENT) })
}

/// Does what is due.
pub(crate) fn collect(py: Python<'_>, due: Due, profile: &RealTimeProfile) {
    let begun_ns = monotonic_ns();
    if let Err(error) = Collector::get(py).and_then(|gc| gc.collect.call1(py, (due.generation,))) {
        error.write_unraisable(py, None);
        return;
    }
    profile.collections[due.generation].fetch_add(1, Ordering::Relaxed);
    if due.generation + 1 == GENERATIONS {
        let ended_ns = monotonic_ns();
        let next_ns = ended_ns.saturating_add(FULL_SHARE * (ended_ns - begun_ns));
        profile.next_full_ns.store(next_ns, Ordering::Relaxed);
    }
}

/// Functions of the module `gc`.
struct Collector {
    count: Py<PyAny>,
    threshold: Py<PyAny>,
    collect: Py<PyAny>,
}

impl Collector {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        static COLLECTOR: PyOnceLock<Collector> = PyOnceLock::new();
        COLLECTOR.get_or_try_init(py, || {
            let gc = py.import("gc")?;
            Ok(Self {
                count: gc.getattr("get_count")?.unbind(),
                threshold: gc.getattr("get_threshold")?.unbind(),
                collect: gc.getattr("collect")?.unbind(),
            })
        })
    }
}
