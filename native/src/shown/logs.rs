//! Log lines on their way to Python's `logging`.
//!
//! Whoever logs, natively or in Python, leaves a note in a bounded queue and goes on: nobody waits for the interpreter,
//! or for a handler of the user's. One thread (`pycrust/logs.py`) takes the notes out.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::{Level, LevelFilter, Metadata, Record};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Notes that may lie in the queue; those that come then are counted.
const CAPACITY: usize = 1024;
/// Notes that are taken at a time.
const TAKEN: usize = 64;
/// Native lines of one place in the code that are heard within a period; those beyond are counted.
const BURST: u32 = 100;
/// The time after which they are summed up.
const PERIOD: Duration = Duration::from_secs(10);

/// The Python loggers of native lines; what the engine says is said of the endpoint itself.
const LOGGERS: [&str; 4] = ["pycrust", "pycrust.transport", "pycrust.client", "pycrust.iceoryx2"];
/// What of each is wanted, as `LevelFilter` numbers levels.
static WANTED: [AtomicU8; 4] = [const { AtomicU8::new(LevelFilter::Info as u8) }; 4];

/// What is to be logged.
enum Note {
    /// A line of the native side.
    Line(Line),
    /// Whatever Python has put here.
    Object(Py<PyAny>),
}

/// One line of the native side.
#[derive(Clone)]
struct Line {
    level: u8,
    logger: &'static str,
    text: String,
    /// Seconds since 1970.
    at: f64,
    thread: String,
}

/// A place in the code that says something: its file and line.
type Site = (&'static str, u32);

/// What a place has said within a period.
struct Said {
    began: Instant,
    heard: u32,
    left_out: u64,
    /// The first of those that were heard.
    like: Option<Line>,
}

#[derive(Default)]
struct Notes {
    waiting: VecDeque<Note>,
    /// What was said lately, by whom.
    said: BTreeMap<Site, Said>,
    /// How many had no room since the last ones were taken.
    lost: u64,
    /// Nobody takes notes any more.
    closed: bool,
}

struct Queue {
    notes: Mutex<Notes>,
    /// Told of every note and of the end.
    told: Condvar,
}

/// The process's first queue.
static FIRST: Queue = Queue::new();
/// The queue of a forked child, in place of the first one: another thread may have held that at the fork.
static AFTER_FORK: AtomicPtr<Queue> = AtomicPtr::new(ptr::null_mut());
/// Whether somebody takes notes.
static HEARD: AtomicBool = AtomicBool::new(false);

impl Notes {
    /// Sums up what was left out in periods that are over, at the end in all. When the next one is.
    fn sum_up(&mut self) -> Option<Instant> {
        let Self { waiting, said, closed, .. } = self;
        let now = Instant::now();
        let mut due = None;
        said.retain(|_, said| {
            let over = said.began + PERIOD;
            if said.left_out == 0 || !*closed && over > now {
                due = due.into_iter().chain((said.left_out > 0).then_some(over)).min();
                return over > now;
            }
            if let Some(line) = &said.like {
                let (left_out, text) = (said.left_out, &line.text);
                let text = format!("{left_out} more lines within {PERIOD:?} were like this: {text}");
                waiting.push_back(Note::Line(Line { text, ..line.clone() }));
            }
            false
        });
        due
    }
}

impl Queue {
    const fn new() -> Self {
        let notes = Notes { waiting: VecDeque::new(), said: BTreeMap::new(), lost: 0, closed: false };
        Self { notes: Mutex::new(notes), told: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a note; gives it back where nobody takes it or there is no room.
    fn put(&self, note: Note) -> Option<Note> {
        let mut notes = self.lock();
        if notes.closed {
            return Some(note);
        }
        if notes.waiting.len() >= CAPACITY {
            notes.lost += 1;
            return Some(note);
        }
        notes.waiting.push_back(note);
        self.told.notify_one();
        None
    }

    /// Whether a line of this place is to be made; otherwise it is counted.
    fn admits(&self, site: Site) -> bool {
        let mut notes = self.lock();
        if notes.closed {
            return false;
        }
        let now = Instant::now();
        let new = || Said { began: now, heard: 0, left_out: 0, like: None };
        let said = notes.said.entry(site).or_insert_with(new);
        if said.left_out == 0 && now.duration_since(said.began) >= PERIOD {
            *said = new();
        }
        if said.heard < BURST {
            said.heard += 1;
            return true;
        }
        said.left_out += 1;
        if said.left_out == 1 {
            // Whoever takes notes has to sum up in time.
            self.told.notify_all();
        }
        false
    }

    /// Leaves a line of a place that has room for it.
    fn say(&self, site: Site, line: Line) {
        let mut notes = self.lock();
        if let Some(said) = notes.said.get_mut(&site) {
            said.like.get_or_insert_with(|| line.clone());
        }
        drop(notes);
        // What had no room is counted.
        drop(self.put(Note::Line(line)));
    }

    /// Waits for notes, at most `patience` if there is any: some of them, and how many were lost; `None` at the end.
    fn take(&self, patience: Option<Duration>) -> Option<(Vec<Note>, u64)> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut notes = self.lock();
        loop {
            let due = notes.sum_up();
            if !notes.waiting.is_empty() || notes.lost > 0 || notes.closed {
                break;
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                break;
            }
            notes = match until.into_iter().chain(due).min() {
                None => self.told.wait(notes).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let waited = self.told.wait_timeout(notes, at.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if notes.closed && notes.waiting.is_empty() {
            return None;
        }
        let count = notes.waiting.len().min(TAKEN);
        Some((notes.waiting.drain(..count).collect(), mem::take(&mut notes.lost)))
    }

    fn close(&self) {
        self.lock().closed = true;
        self.told.notify_all();
    }
}

fn queue() -> &'static Queue {
    // SAFETY: null, or a queue that `log_forked` has made and nobody frees.
    unsafe { AFTER_FORK.load(Ordering::Acquire).as_ref() }.unwrap_or(&FIRST)
}

/// Takes the records of the `log` facade, iceoryx2's among them.
struct Facade;

impl log::Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() as u8 <= WANTED[logger(metadata.target())].load(Ordering::Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        let site = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
        if !self.enabled(record.metadata()) || !queue().admits(site) {
            return;
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let thread = std::thread::current().name().unwrap_or("native").to_owned();
        let (level, logger) = (number(record.level()), LOGGERS[logger(record.target())]);
        queue().say(site, Line { level, logger, text: record.args().to_string(), at, thread });
    }

    fn flush(&self) {}
}

/// A level as Python numbers it.
fn number(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Which of [`LOGGERS`] a target is.
fn logger(target: &str) -> usize {
    match target.split("::").next() {
        Some("pycrust_engine" | "_native") => 0,
        Some("pycrust_transport") => 1,
        Some("pycrust_client") => 2,
        _ => 3,
    }
}

/// Begins to take the records of the `log` facade.
pub(crate) fn install() {
    // Nobody else can have set one: the facade of this library is its own.
    if log::set_logger(&Facade).is_err() {
        return;
    }
    log::set_max_level(LevelFilter::Info);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if HEARD.load(Ordering::Acquire) {
            log::error!("{panic}");
        } else {
            print(panic);
        }
    }));
}

/// In a forked child: what waits is the parent's to say.
#[pyfunction]
pub(crate) fn log_forked() {
    HEARD.store(false, Ordering::Release);
    AFTER_FORK.store(Box::into_raw(Box::new(Queue::new())), Ordering::Release);
}

/// Leaves an object for the thread that logs: whether there was room, and the thread has not ended.
#[pyfunction]
pub(crate) fn log_put(note: Py<PyAny>) -> bool {
    queue().put(Note::Object(note)).is_none()
}

/// What the thread that logs is to do: objects that were put, and lines as `(level, logger, text, seconds since 1970,
/// thread)`; then how many had no room. Waits for them, at most `patience` seconds if that is no `None`; `None` at the end.
#[pyfunction]
#[pyo3(signature = (patience=None))]
pub(crate) fn log_take(
    py: Python<'_>,
    patience: Option<f64>,
) -> PyResult<Option<(Vec<Bound<'_, PyAny>>, u64)>> {
    if !HEARD.swap(true, Ordering::AcqRel) {
        // Python names its threads for itself only, and the system knows this one by the name of who started it.
        // Without a name it works as well.
        let _ = rustix::thread::set_name(c"pycrust-log");
    }
    let patience = patience.map(Duration::try_from_secs_f64).transpose();
    let patience = patience.map_err(|error| PyValueError::new_err(format!("patience: {error}")))?;
    let Some((notes, lost)) = py.detach(|| queue().take(patience)) else { return Ok(None) };
    let objects = notes.into_iter().map(|note| match note {
        Note::Object(object) => Ok(object.into_bound(py)),
        Note::Line(Line { level, logger, text, at, thread }) => {
            Ok((level, logger, text, at, thread).into_pyobject(py)?.into_any())
        }
    });
    Ok(Some((objects.collect::<PyResult<_>>()?, lost)))
}

/// The thread that logs is to end, once it has taken what waits.
#[pyfunction]
pub(crate) fn log_close() {
    HEARD.store(false, Ordering::Release);
    queue().close();
}

/// Native lines of these levels and above are wanted, as Python numbers levels: of `pycrust`, and of its `transport`,
/// `client` and `iceoryx2`. Others are not even made.
#[pyfunction]
pub(crate) fn log_levels(levels: [u8; 4]) {
    let levels = levels.map(|level| match level {
        0..10 => LevelFilter::Trace,
        10..20 => LevelFilter::Debug,
        20..30 => LevelFilter::Info,
        30..40 => LevelFilter::Warn,
        _ => LevelFilter::Error,
    });
    for (wanted, level) in WANTED.iter().zip(levels) {
        wanted.store(level as u8, Ordering::Relaxed);
    }
    log::set_max_level(levels.into_iter().max().unwrap_or(LevelFilter::Info));
}
