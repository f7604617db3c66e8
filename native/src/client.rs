//! The Python client: converts, and waits detached from the interpreter.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pycrust_client::binding::load::Load;
use pycrust_client::binding::{Answer, CallOptions, Client as Inner, Feed, Items, Pending, Value};
use pycrust_client::{Details, Error, InvalidTrace, RpcClient, Timing};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::attaching::attach;
use crate::calls::current::{encoded_metadata, lend};
use crate::values::attached::Attached;
use crate::values::{decode, encode};

/// Calls the handlers of one endpoint.
#[pyclass(frozen, module = "pycrust._native", name = "Client")]
pub(crate) struct Client(Inner);

/// A call that was started and not waited for.
#[pyclass(frozen, module = "pycrust._native", name = "PendingCall")]
pub(crate) struct PendingCall(Pending);

/// Where the arguments of a call are put that takes a stream of them.
#[pyclass(frozen, module = "pycrust._native", name = "ClientFeed")]
pub(crate) struct ClientFeed(Mutex<Option<Feed>>);

/// The items of a streamed answer.
#[pyclass(frozen, module = "pycrust._native", name = "ClientStream")]
pub(crate) struct ClientStream(Mutex<Option<Items>>);

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (name, client_name, timeout, wait, *, wait_for_ready=false, lazy=false))]
    fn new(
        py: Python<'_>,
        name: &str,
        client_name: &str,
        timeout: f64,
        wait: f64,
        wait_for_ready: bool,
        lazy: bool,
    ) -> PyResult<Self> {
        let builder = RpcClient::builder(name)
            .client_name(client_name)
            .timeout(seconds("timeout", timeout)?)
            .wait_for_worker(seconds("wait", wait)?)
            .wait_for_ready(wait_for_ready);
        if lazy {
            return Inner::lazy(builder).map(Self).map_err(|error| raised(py, &error));
        }
        let connected = interruptible(py, |keep| Inner::connect(builder, keep))?;
        Ok(Self(connected))
    }

    /// Calls and waits for the result.
    fn call<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        arguments: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        let result = interruptible(py, |keep| self.0.call(method, arguments, options, keep))?;
        decoded(py, &result)
    }

    /// Calls and waits for the result, the version that answered and the seconds that each stage took.
    fn reply<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        arguments: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<(Bound<'py, PyAny>, u32, Bound<'py, PyDict>)> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        let answer = interruptible(py, |keep| self.0.call(method, arguments, options, keep))?;
        Ok((decoded(py, &answer)?, answer.version, timed(py, &answer.timing)?))
    }

    /// Calls; `done(result, error)` is called on a thread of the client's, one of them `None`.
    fn start(
        &self,
        method: String,
        arguments: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        done: Py<PyAny>,
    ) -> PyResult<PendingCall> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        let pending = self.0.start(method, arguments, options, move |outcome| {
            attach(|py| {
                let outcome =
                    outcome.map_err(|error| raised(py, &error)).and_then(|result| decoded(py, &result));
                let told = match outcome {
                    Ok(result) => done.call1(py, (result, py.None())),
                    Err(error) => done.call1(py, (py.None(), error.value(py))),
                };
                if let Err(error) = told {
                    error.write_unraisable(py, None);
                }
            });
        });
        Ok(PendingCall(pending))
    }

    /// Calls a handler that streams.
    fn stream(
        &self,
        method: &str,
        arguments: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<ClientStream> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        Ok(ClientStream(Mutex::new(Some(self.0.stream(method, arguments, options)))))
    }

    /// Sends a call that wants no answer.
    fn notify(
        &self,
        py: Python<'_>,
        method: &str,
        arguments: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        interruptible(py, |keep| self.0.notify(method, arguments, options, keep))
    }

    /// Calls a handler that takes a stream of arguments: where they are put, and the items of its answer.
    fn exchange(&self, method: &str, options: &Bound<'_, PyDict>) -> PyResult<(ClientFeed, ClientStream)> {
        let (feed, items) = self.0.exchange(method, call_options(options)?);
        Ok((ClientFeed(Mutex::new(Some(feed))), ClientStream(Mutex::new(Some(items)))))
    }

    /// Calls one method for `seconds`, at most `concurrency` times at once: `rate` calls a second in all, or as fast as
    /// answers come; at most `calls` in all. Gives what was measured, as dicts.
    #[pyo3(signature = (method, arguments, options, *, seconds, rate=None, concurrency=1, calls=None))]
    #[allow(clippy::too_many_arguments, reason = "what follows the options are keywords")]
    fn load<'py>(
        &self,
        py: Python<'py>,
        method: String,
        arguments: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
        seconds: f64,
        rate: Option<f64>,
        concurrency: usize,
        calls: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (arguments, options) = (encoded(arguments)?, call_options(options)?);
        let period = rate.map(|rate| Duration::try_from_secs_f64(1.0 / rate)).transpose();
        let period =
            period.map_err(|_| PyValueError::new_err("rate is a number of calls a second above 0"))?;
        let load = Load { time: self::seconds("seconds", seconds)?, period, concurrency, calls };
        let measured = interruptible(py, |keep| self.0.load(method, arguments, options, load, keep))?;
        crate::shown::snapshot::to_python(py, &measured)
    }

    /// Closes the connection.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

#[pymethods]
impl ClientFeed {
    /// Puts one argument, once there is room for it; false if no more are wanted.
    fn put(&self, py: Python<'_>, argument: &Bound<'_, PyAny>) -> PyResult<bool> {
        let argument = encoded(argument)?;
        self.wait(py, |feed, keep| feed.put(argument, keep))
    }

    /// There are no more arguments, for this reason: the call is cancelled.
    fn fail(&self, py: Python<'_>, reason: &str) -> PyResult<bool> {
        self.wait(py, |feed, keep| feed.fail(reason, keep))
    }

    /// There are no more arguments.
    fn end(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl ClientFeed {
    fn wait(
        &self,
        py: Python<'_>,
        hand_over: impl FnOnce(&Feed, &mut dyn FnMut() -> bool) -> Option<bool> + Send,
    ) -> PyResult<bool> {
        interruptible(py, |keep| {
            let feed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(feed.as_ref().map_or(Some(false), |feed| hand_over(feed, keep)))
        })
    }
}

#[pymethods]
impl PendingCall {
    /// Cancels the call; nobody is told of its result then.
    fn cancel(&self) {
        self.0.cancel();
    }
}

#[pymethods]
impl ClientStream {
    /// The next item; waits for it. `None` at the end, otherwise a tuple of the item alone.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let item = interruptible(py, |keep| {
            let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match items.as_mut() {
                Some(items) => items.next(keep),
                None => Ok(Some(None)),
            }
        })?;
        item.map(|item| Ok((decoded(py, &item)?,))).transpose()
    }

    /// The handler version that ended the stream; 0 before its end.
    #[getter]
    fn version(&self) -> u32 {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.as_ref().map_or(0, Items::version)
    }

    /// Cancels the call.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}

/// Waits detached from the interpreter, and lets a person interrupt it.
fn interruptible<T: Send>(
    py: Python<'_>,
    wait: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<Option<T>, Error> + Send,
) -> PyResult<T> {
    let check = |py: Python<'_>| py.check_signals();
    let _lent = lend();
    let mut interrupt = None;
    let outcome = py.detach(|| {
        let mut keep_waiting = || match Python::attach(check) {
            Ok(()) => true,
            Err(error) => {
                interrupt = Some(error);
                false
            }
        };
        wait(&mut keep_waiting)
    });
    match outcome {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(interrupt.unwrap_or_else(|| PyValueError::new_err("the wait was interrupted"))),
        Err(error) => Err(raised(py, &error)),
    }
}

fn encoded(arguments: &Bound<'_, PyAny>) -> PyResult<Value> {
    let (mut payload, mut attached) = (Vec::new(), Attached::default());
    encode::encode_with(arguments, &mut payload, &mut attached)?;
    Ok(Value { payload, attachments: attached.attachments() })
}

fn decoded<'py>(py: Python<'py>, answer: &Answer) -> PyResult<Bound<'py, PyAny>> {
    Ok(decode::decode_with(py, &answer.payload, &answer.attachments)?)
}

/// Seconds of each stage, by its name.
fn timed<'py>(py: Python<'py>, timing: &Timing) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    let stages = [
        ("round_trip", timing.round_trip),
        ("transit", timing.transit),
        ("queue", timing.queue),
        ("interpreter", timing.interpreter),
        ("decode", timing.decode),
        ("handler", timing.handler),
        ("encode", timing.encode),
        ("back", timing.back),
    ];
    for (stage, took) in stages {
        all.set_item(stage, took.as_secs_f64())?;
    }
    Ok(all)
}

fn seconds(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{name}={seconds}: {error}")))
}

fn call_options(options: &Bound<'_, PyDict>) -> PyResult<CallOptions> {
    let mut read = CallOptions::default();
    if let Some(timeout) = options.get_item("timeout")?.filter(|value| !value.is_none()) {
        read.timeout = Some(seconds("timeout", timeout.extract()?)?);
    }
    if let Some(longest) = options.get_item("idle_timeout")?.filter(|value| !value.is_none()) {
        read.idle_timeout = Some(seconds("idle_timeout", longest.extract()?)?);
    }
    if let Some(wait) = options.get_item("wait_for_ready")?.filter(|value| !value.is_none()) {
        read.wait_for_ready = Some(wait.is_truthy()?);
    }
    if let Some(idempotent) = options.get_item("idempotent")? {
        read.idempotent = idempotent.is_truthy()?;
    }
    if let Some(latest) = options.get_item("latest")? {
        read.latest = latest.is_truthy()?;
    }
    if let Some(schema) = options.get_item("schema")? {
        read.schema = schema.extract()?;
    }
    if let Some(window) = options.get_item("window")? {
        read.window = window.extract()?;
    }
    if let Some(trace) = options.get_item("traceparent")?.filter(|value| !value.is_none()) {
        let trace = trace.extract::<String>()?;
        read.trace = trace.parse().map_err(|error: InvalidTrace| PyValueError::new_err(error.to_string()))?;
    }
    if let Some(metadata) = options.get_item("metadata")?.filter(|value| !value.is_none()) {
        let metadata = encoded_metadata(metadata.cast::<PyDict>()?)?;
        read.metadata =
            rmp_serde::from_slice(&metadata).map_err(|error| PyValueError::new_err(error.to_string()))?;
    }
    Ok(read)
}

/// The Python exception of an error: `pycrust.errors.received`.
fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let details = match error.details() {
            Details::Raw(bytes) => decode::decode(py, bytes)?,
            Details::Validation(issues) => crate::shown::snapshot::to_python(py, issues)?,
            _ => py.None().into_bound(py),
        };
        let received = py.import("pycrust.errors")?.getattr("received")?;
        let made = received.call1((
            u8::from(error.code()),
            error.message(),
            details,
            error.exception(),
            error.traceback(),
            error.may_have_run(),
        ))?;
        made.setattr("version", error.version())?;
        made.setattr("timing", timed(py, &error.timing())?)?;
        Ok(PyErr::from_value(made))
    };
    make().unwrap_or_else(|second| second)
}
