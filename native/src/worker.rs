//! The worker's life: claiming the name, its threads, and stopping them in time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use pycrust_engine::{Batching, Change, Config, DispatchThread, Engine, MethodRecording};
use pycrust_protocol::name::EndpointName;
use pycrust_transport::{Acceptor, Claim, ClaimError, HttpServer, Limits, Runtime, monotonic_ns, stack_size};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::attaching::attach;
use crate::calls::context::BaseContext;
use crate::calls::current::{self, Places};
use crate::calls::dispatch;
use crate::calls::handler::Handler;
use crate::calls::types::PyEngine;
use crate::monitoring;
use crate::realtime::RealTimeProfile;
use crate::shown::record::{self, PyRecord};
use crate::shown::snapshot;

/// How long threads without a call may take to end, however short the grace.
const LAST_MOMENT: Duration = Duration::from_millis(200);
/// How long calls may run on when another process takes the name over.
const HAND_OVER_GRACE: Duration = Duration::from_secs(2);
/// How often a wait for another thread's last steps looks at it.
const SETTLE_SLICE: Duration = Duration::from_millis(2);
/// How often a wait for threads looks whether another stop has less patience.
const JOIN_SLICE: Duration = Duration::from_millis(20);
/// How often a wait looks whether the user interrupted.
const SIGNAL_SLICE: Duration = Duration::from_millis(100);

/// Serves one endpoint: claims its name, holds its handlers, runs its dispatch threads.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Worker {
    name: EndpointName,
    notebook: String,
    max_in_flight_per_client: u32,
    engine: Arc<PyEngine>,
    threads: Arc<Threads>,
    doors: Arc<Doors>,
    /// The threads that stop the worker at the moment: for the user, or for another process.
    stopping: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What others reach the worker by, while it serves.
#[derive(Default)]
struct Doors {
    /// The control thread.
    acceptor: Mutex<Option<Acceptor>>,
    /// Who answers monitoring, if it was asked for.
    monitoring: Mutex<Option<HttpServer>>,
}

/// The dispatch threads that were started and not yet joined.
struct Threads {
    /// Whether callers see tracebacks.
    traceback: bool,
    running: Mutex<Vec<JoinHandle<()>>>,
    /// What they run.
    places: Arc<Places>,
    /// The context that serving began in; each call runs in a copy of it.
    base: Mutex<Option<Arc<Py<BaseContext>>>>,
    /// What threads are given that serve, if the user asked for real time.
    profile: Mutex<Option<Arc<Py<RealTimeProfile>>>>,
}

#[pymethods]
impl Worker {
    #[new]
    #[pyo3(signature = (name, *, notebook=String::new(), max_threads=32, max_in_flight=65_536, max_in_flight_per_client=16_384, spin_us=None, anticipation=0.02, traceback=true, name_lost=None))]
    #[allow(clippy::too_many_arguments, reason = "all but the name are keywords")]
    fn new(
        name: &str,
        notebook: String,
        max_threads: usize,
        max_in_flight: usize,
        max_in_flight_per_client: u32,
        spin_us: Option<f64>,
        anticipation: f64,
        traceback: bool,
        name_lost: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let name = EndpointName::new(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let spin = spin_us.map(|micros| Duration::try_from_secs_f64(micros / 1e6)).transpose();
        let spin = spin.map_err(|error| PyValueError::new_err(format!("spin_us: {error}")))?;
        let config = Config {
            endpoint: name.as_str().to_owned(),
            // Those that run handlers, and the one that receives meanwhile.
            max_threads: max_threads.saturating_add(1),
            max_in_flight_per_client: max_in_flight_per_client as usize,
            max_in_flight,
            spin,
            anticipation,
            ..Config::default()
        };
        let threads = Arc::new(Threads {
            traceback,
            running: Mutex::default(),
            places: Arc::default(),
            base: Mutex::default(),
            profile: Mutex::default(),
        });
        let engine = {
            let threads = Arc::clone(&threads);
            Engine::new(config, Box::new(move |engine, thread| threads.spawn(engine, thread)))?
        };
        let helped = Arc::clone(&threads);
        engine.on_helper(Arc::new(move |run| {
            // What promotes a thread must not wait for its processor where that thread does not.
            let profile = lock(&helped.profile).clone();
            let _entered = profile.as_deref().map(|profile| profile.get().entered());
            run();
        }));
        engine.on_interpreter_asked_for(Box::new(|| attach(|_| ())));
        let doors: Arc<Doors> = Arc::default();
        let stopping: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        if let Some(name_lost) = name_lost {
            let name_lost = Arc::new(name_lost);
            let (weak, doors, threads) = (Arc::downgrade(&engine), Arc::clone(&doors), Arc::clone(&threads));
            let kept = Arc::clone(&stopping);
            engine.on_name_lost(Box::new(move |how| {
                let Some(engine) = weak.upgrade() else { return };
                let (doors, threads, told, how) =
                    (Arc::clone(&doors), Arc::clone(&threads), Arc::clone(&name_lost), how.to_owned());
                // Not here: this is a thread that the stop waits for. Without a thread the
                // worker serves on, and whoever asked gives up.
                // Held while it is spawned: whoever waits for the thread finds it here.
                let mut kept = lock(&kept);
                if still_running(&mut kept) {
                    return;
                }
                let spawned = thread("pycrust-stop".into()).spawn(move || {
                    stop(&engine, &doors, &threads, HAND_OVER_GRACE);
                    // Only now: a busy cell may hold the interpreter for as long as it likes.
                    attach(|py| {
                        if let Err(error) = told.call1(py, (how,)) {
                            error.write_unraisable(py, None);
                        }
                    });
                });
                kept.extend(spawned);
            }));
        }
        Ok(Self { name, notebook, max_in_flight_per_client, engine, threads, doors, stopping })
    }

    /// Whether callers can reach the worker.
    #[getter]
    fn serving(&self) -> bool {
        lock(&self.doors.acceptor).is_some()
    }

    /// Where it answers monitoring, as `host:port`; `None` if it does not.
    #[getter]
    fn metrics_address(&self) -> Option<String> {
        lock(&self.doors.monitoring).as_ref().map(|server| server.address().to_string())
    }

    /// Registers or, with `None`, removes methods in one atomic step; gives their version numbers.
    fn publish(
        &self,
        py: Python<'_>,
        changes: Vec<(String, Option<Py<Handler>>, Bound<'_, PyDict>)>,
    ) -> PyResult<Vec<u32>> {
        let changes = changes.into_iter().map(change).collect::<PyResult<Vec<_>>>()?;
        Ok(py.detach(|| self.engine.publish(changes)))
    }

    /// Answers UNAVAILABLE, not UNIMPLEMENTED, for these methods until they are registered.
    fn expect(&self, methods: Vec<String>) {
        self.engine.expect(methods);
    }

    /// Asks whoever serves the name to drain and stop, so that this worker can serve it.
    fn ask_for_name(&self, py: Python<'_>) -> PyResult<()> {
        let ask = || {
            let runtime = Runtime::discover().map_err(|error| error.to_string())?;
            pycrust_transport::ask_for_name(&runtime, &self.name).map_err(|error| error.to_string())
        };
        py.detach(ask).map_err(PyOSError::new_err)
    }

    /// Claims the name and serves from threads of its own, each call in a copy of `base`, with what `profile` asks for;
    /// `elsewhere` leaves a client with a rhythm the core on which it runs. Monitoring is answered at `metrics`, `host:port`.
    /// Gives `pid`, `generation` and `dir`.
    #[pyo3(signature = (base, profile=None, *, elsewhere=true, metrics=None))]
    fn start<'py>(
        &self,
        py: Python<'py>,
        base: Py<BaseContext>,
        profile: Option<Py<RealTimeProfile>>,
        elsewhere: bool,
        metrics: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        *lock(&self.threads.base) = Some(Arc::new(base));
        *lock(&self.threads.profile) = profile.map(Arc::new);
        self.engine.wait_elsewhere(elsewhere);
        let (owner, dir) = py.detach(|| self.claim_and_serve(metrics))?;
        let info = PyDict::new(py);
        info.set_item("pid", owner.pid)?;
        info.set_item("generation", owner.generation)?;
        info.set_item("dir", dir)?;
        Ok(info)
    }

    /// Stops serving; waits up to `grace` seconds for running calls. Whether every call
    /// ended, and whether every thread did.
    fn stop(&self, py: Python<'_>, grace: f64) -> PyResult<(bool, bool)> {
        let grace = Duration::try_from_secs_f64(grace)
            .map_err(|error| PyValueError::new_err(format!("grace={grace}: {error}")))?;
        let (done, waiting) = channel();
        let (engine, doors, threads) =
            (Arc::clone(&self.engine), Arc::clone(&self.doors), Arc::clone(&self.threads));
        // On a thread of its own, so that the caller can be interrupted while it waits. It goes on then.
        let stopping = thread("pycrust-stop".into()).spawn(move || {
            let _ = done.send(stop(&engine, &doors, &threads, grace));
        })?;
        lock(&self.stopping).push(stopping);
        let waiting = Mutex::new(waiting);
        loop {
            match py.detach(|| lock(&waiting).recv_timeout(SIGNAL_SLICE)) {
                Ok(ended) => return Ok(ended),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => return Ok((false, false)),
            }
        }
    }

    /// Waits for stops that are under way, such as one whose caller was interrupted, or a hand-over to another
    /// process: its thread needs the interpreter, so the interpreter must not end before.
    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        while still_running(&mut lock(&self.stopping)) {
            py.detach(|| std::thread::sleep(SETTLE_SLICE));
            py.check_signals()?;
        }
        Ok(())
    }

    /// The answer to `pycrust.stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        snapshot::to_python(py, &py.detach(|| self.engine.stats()))
    }

    /// The same as flat numbers.
    fn glance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        snapshot::glance(py, &py.detach(|| self.engine.stats()))
    }

    /// Recorded calls with numbers above `after`, the oldest first: of more than `most`, the newest if `newest`,
    /// else the oldest.
    #[pyo3(signature = (after=0, most=usize::MAX, *, newest=true))]
    fn recorded(&self, py: Python<'_>, after: u64, most: usize, newest: bool) -> Vec<PyRecord> {
        let calls = py.detach(|| self.engine.recorder().calls(after, most, newest));
        calls.into_iter().map(PyRecord).collect()
    }

    /// Waits until a call with a number above `after` was recorded, at most `patience` seconds; whether one was.
    fn wait_recorded(&self, py: Python<'_>, after: u64, patience: f64) -> PyResult<bool> {
        let patience = Duration::try_from_secs_f64(patience)
            .map_err(|error| PyValueError::new_err(format!("patience={patience}: {error}")))?;
        Ok(py.detach(|| self.engine.recorder().wait(after, patience)))
    }

    /// Forgets the recorded calls.
    fn forget_recorded(&self, py: Python<'_>) {
        py.detach(|| self.engine.recorder().clear());
    }

    /// The calls of sync handlers that run now and were sent `least_ns` nanoseconds ago or earlier, as dicts.
    #[pyo3(signature = (least_ns=0))]
    fn running<'py>(&self, py: Python<'py>, least_ns: u64) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let until_ns = monotonic_ns().saturating_sub(least_ns);
        let calls = self.threads.places.running(py);
        calls
            .iter()
            .filter(|call| call.sent_ns <= until_ns)
            .map(|call| current::described(py, call))
            .collect()
    }

    /// Raises an exception of this class in the sync handler that runs this call; whether there is one.
    fn interrupt(&self, exception: &Bound<'_, PyType>, connection: u64, id: u64) -> bool {
        self.threads.places.interrupt(exception, connection, id)
    }

    /// Changes the settings that are named; gives all of them.
    fn set_recording<'py>(
        &self,
        py: Python<'py>,
        changes: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let recorder = self.engine.recorder();
        let settings = record::changed(recorder.settings(), changes)?;
        if !changes.is_empty() {
            recorder.set(settings.clone());
        }
        record::described(py, &settings)
    }

    /// How the recorder is doing: `calls` and `bytes` that it holds, `recorded` and `skipped` since the beginning,
    /// `share` of ordinary calls that it keeps at the moment, and the `last` call's number.
    fn recorder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.engine.recorder().state();
        let all = PyDict::new(py);
        all.set_item("calls", state.calls)?;
        all.set_item("bytes", state.bytes)?;
        all.set_item("recorded", state.recorded)?;
        all.set_item("skipped", state.skipped)?;
        all.set_item("share", state.share)?;
        all.set_item("last", state.last)?;
        Ok(all)
    }
}

impl Worker {
    fn claim_and_serve(
        &self,
        metrics: Option<&str>,
    ) -> PyResult<(pycrust_transport::Owner, std::path::PathBuf)> {
        let mut acceptor = lock(&self.doors.acceptor);
        if acceptor.is_some() {
            return Err(PyRuntimeError::new_err(format!("{} is being served already", self.name)));
        }
        let runtime = Runtime::discover().map_err(|error| PyOSError::new_err(error.to_string()))?;
        let claim = match Claim::take(&runtime, &self.name, &self.notebook) {
            Ok(claim) => claim,
            Err(ClaimError::Served(owner)) => return Err(already_served(&owner)),
            Err(error) => return Err(PyOSError::new_err(error.to_string())),
        };
        let owner = claim.owner().clone();
        // Before anything is served: a port that another program has is an error of whoever asked for it.
        let monitoring = metrics.map(|address| self.answer_monitoring(address)).transpose()?;
        let limits = Limits { max_in_flight: self.max_in_flight_per_client };
        self.engine.set_generation(owner.generation);
        self.engine.start()?;
        match Acceptor::start(claim, limits, Arc::clone(&self.engine) as _) {
            Ok(started) => {
                *acceptor = Some(started);
                *lock(&self.doors.monitoring) = monitoring;
            }
            Err(error) => {
                let _nothing_ran = self.engine.stop(Duration::ZERO);
                return Err(PyOSError::new_err(error.to_string()));
            }
        }
        Ok((owner, runtime.dir().to_owned()))
    }

    fn answer_monitoring(&self, address: &str) -> PyResult<HttpServer> {
        HttpServer::start(address, monitoring::answers(Arc::downgrade(&self.engine))).map_err(|error| {
            PyOSError::new_err((
                error.raw_os_error(),
                format!(
                    "metrics={address:?}: {error}. Give a port that no other program has, or 0 for any free one"
                ),
            ))
        })
    }
}

impl Threads {
    fn spawn(&self, engine: Arc<PyEngine>, dispatched: DispatchThread) {
        let traceback = self.traceback;
        let mut running = lock(&self.running);
        running.retain(|handle| !handle.is_finished());
        let name = format!("pycrust-{}", running.len());
        let places = Arc::clone(&self.places);
        // The engine hires threads once it is started, and `start` has put it there before.
        let Some(base) = lock(&self.base).clone() else { return };
        let profile = lock(&self.profile).clone();
        let spawned = thread(name).spawn(move || {
            let profile = profile.as_deref().map(Py::get);
            dispatch::run(&engine, dispatched, traceback, &places, base.get(), profile);
        });
        if let Ok(handle) = spawned {
            running.push(handle);
        }
    }

    /// Joins the threads that have ended.
    fn join(&self) {
        let ended: Vec<_> = {
            let mut running = lock(&self.running);
            let (ended, rest) = running.drain(..).partition(JoinHandle::is_finished);
            *running = rest;
            ended
        };
        for handle in ended {
            let _: Result<(), _> = handle.join();
        }
    }
}

/// Stops serving. Whether every call ended, and whether every thread did.
fn stop(engine: &Arc<PyEngine>, doors: &Doors, threads: &Threads, grace: Duration) -> (bool, bool) {
    let all_answered = engine.stop(grace);
    // Before the name is free: whoever serves it next may want the same port.
    let monitoring = lock(&doors.monitoring).take();
    drop(monitoring);
    let stopped = lock(&doors.acceptor).take();
    if let Some(acceptor) = stopped {
        acceptor.stop();
    }
    // Threads that have nothing to run end at once; the rest of the time is for those that do.
    let least = Instant::now() + LAST_MOMENT;
    let mut ended = engine.join(Duration::ZERO);
    while !ended && (Instant::now() < least || engine.stop_has_time()) {
        ended = engine.join(JOIN_SLICE);
    }
    threads.join();
    (all_answered && ended, ended)
}

fn change(
    (method, handler, options): (String, Option<Py<Handler>>, Bound<'_, PyDict>),
) -> PyResult<Change<Py<Handler>>> {
    let Some(handler) = handler else { return Ok(Change::Remove { method }) };
    let option = |name: &str| {
        options
            .get_item(name)?
            .ok_or_else(|| PyTypeError::new_err(format!("{method}: option {name:?} is missing")))
    };
    Ok(Change::Register {
        handler,
        concurrency: option("concurrency")?.extract()?,
        exclusive: option("exclusive")?.extract()?,
        refuses_late: option("refuses_late")?.extract()?,
        batching: batching(&option("batch")?)?,
        schema_hash: option("schema_hash")?.extract()?,
        schema_json: option("schema")?.extract()?,
        compatible_schemas: option("compatible_schemas")?.extract()?,
        schema_changes: option("schema_changes")?.extract()?,
        doc: option("doc")?.extract()?,
        recording: MethodRecording {
            off: !option("record")?.extract::<bool>()?,
            parameters: option("parameters")?.extract()?,
            naming: record::naming(&option("naming")?.extract::<String>()?)?.into(),
        },
        method,
    })
}

/// `(max_size, max_wait_us)`, or `None`.
fn batching(option: &Bound<'_, PyAny>) -> PyResult<Option<Batching>> {
    let batching = option.extract::<Option<(usize, u64)>>()?;
    Ok(batching.map(|(max_size, micros)| Batching { max_size, max_wait: Duration::from_micros(micros) }))
}

/// `pycrust.errors.AlreadyServed`, made by the module that says what it means.
fn already_served(owner: &pycrust_transport::Owner) -> PyErr {
    Python::attach(|py| {
        let make = || -> PyResult<PyErr> {
            let error = py.import("pycrust.errors")?.getattr("AlreadyServed")?;
            let made = error.call_method1("by", (&owner.endpoint, owner.pid, &owner.notebook))?;
            Ok(PyErr::from_value(made))
        };
        make().unwrap_or_else(|error| error)
    })
}

/// A thread that may run Python.
fn thread(name: String) -> Builder {
    Builder::new().name(name).stack_size(stack_size())
}

/// Joins the threads that have ended; whether any are left.
fn still_running(threads: &mut Vec<JoinHandle<()>>) -> bool {
    for ended in threads.extract_if(.., |thread| thread.is_finished()) {
        // They report what goes wrong themselves.
        let _: Result<(), _> = ended.join();
    }
    !threads.is_empty()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard stays whole if a thread panics while it holds one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
