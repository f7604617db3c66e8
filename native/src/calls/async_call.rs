//! A call that an event loop runs; `pycrust/calls/event_loop.py` drives it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pycrust_engine::{Argument, Ongoing};
use pycrust_protocol::Code;
use pycrust_transport::{Attachment, Process};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::calls::arguments;
use crate::calls::current::CurrentCall;
use crate::calls::failure::Failing;
use crate::calls::inbox::{Inbox, Note, Queue};
use crate::calls::kind::Kind;
use crate::calls::results::encoded;
use crate::calls::spans::{self, Span};
use crate::calls::types::{PyArguments, PyJob};
use crate::calls::{errors, failure, forked};
use crate::values::decode;
use crate::values::memory::Rooms;

/// One call of an `async def` handler or an async generator.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct AsyncCall {
    /// Until it is answered.
    job: Mutex<Option<PyJob>>,
    /// From its beginning until it is answered, where calls are traced.
    span: Mutex<Option<Span>>,
    ongoing: Arc<Ongoing>,
    arguments: Option<PyArguments>,
    traceback: bool,
    number: u64,
    /// Where its handler builds arrays of its answer.
    rooms: Arc<Rooms>,
    /// The worker's process.
    process: Process,
}

impl AsyncCall {
    pub(crate) fn new(mut job: PyJob, traceback: bool, number: u64, queue: &Arc<Queue>) -> Self {
        let ongoing = job.ongoing();
        let queue = Arc::downgrade(queue);
        ongoing.listen(Arc::new(move || {
            if let Some(queue) = queue.upgrade() {
                queue.look(number);
            }
        }));
        let arguments = job.uploads().then(|| job.arguments());
        Self {
            job: Mutex::new(Some(job)),
            span: Mutex::new(None),
            ongoing,
            arguments,
            traceback,
            number,
            rooms: Arc::default(),
            process: Process::current(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<PyJob>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends this process if the handler has forked it.
    fn leave_if_forked(&self, py: Python<'_>, raised: Option<&PyErr>) {
        if !self.process.is_current() {
            forked::leave(py, raised);
        }
    }

    /// What is said of its failure, until it is answered.
    fn failing(&self) -> Option<Failing> {
        self.lock().as_ref().map(Failing::of)
    }

    fn end_span(&self, py: Python<'_>, job: &PyJob, status: Code) {
        let span = self.span.lock().unwrap_or_else(PoisonError::into_inner).take();
        spans::end(py, span, job, status);
    }

    /// Answers, once.
    fn answer(&self, py: Python<'_>, status: Code, payload: &[u8]) {
        self.answer_with(py, status, payload, Vec::new());
    }

    fn answer_with(&self, py: Python<'_>, status: Code, payload: &[u8], attachments: Vec<Attachment>) {
        let Some(mut job) = self.lock().take() else { return };
        job.ran();
        self.ongoing.unlisten();
        self.end_span(py, &job, status);
        py.detach(|| job.respond_with(status, payload, attachments));
    }
}

#[pymethods]
impl AsyncCall {
    /// Takes what waits in an inbox: calls to run, and numbers of calls to look at again.
    #[staticmethod]
    #[pyo3(signature = (inbox, /))]
    fn take<'py>(py: Python<'py>, inbox: &Inbox) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for note in inbox.queue.take() {
            match note {
                Note::Call(job, traceback) => {
                    let number = inbox.queue.number();
                    list.append(Py::new(py, Self::new(*job, traceback, number, &inbox.queue))?)?;
                }
                Note::Look(number) => list.append(number)?,
            }
        }
        Ok(list)
    }

    /// Tells it from the loop's other calls.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// Whether the caller cancelled the call or is gone.
    #[getter]
    fn cancelled(&self) -> bool {
        self.ongoing.cancelled()
    }

    /// Whether the caller takes one more item now.
    #[getter]
    fn may_send(&self) -> bool {
        self.ongoing.may_send()
    }

    /// Whether the handler is an async generator.
    #[getter]
    fn streams(&self) -> bool {
        self.lock().as_ref().is_some_and(|job| job.handler().get().kind() == Kind::AsyncGenerator)
    }

    /// What `pycrust.current_call()` gives in the handler.
    fn context(&self) -> PyResult<CurrentCall> {
        match &*self.lock() {
            Some(job) => Ok(CurrentCall { context: job.context(), rooms: Arc::clone(&self.rooms) }),
            None => Err(answered()),
        }
    }

    /// Binds the arguments and calls the handler: gives its coroutine or async generator. `items` stands for
    /// arguments that the caller streams. Arguments that don't fit are answered, and the result is `None`.
    fn begin<'py>(&self, py: Python<'py>, items: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let untold = {
            let mut held = self.lock();
            let Some(job) = held.as_mut() else { return Err(answered()) };
            job.attached();
            spans::untold(job)
        };
        let span = untold.and_then(|untold| untold.begin(py, true));
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = span;
        // Taken out while what the user wrote runs: a validator may let the interpreter go, and whoever asks for this call's
        // context meanwhile would wait for the lock with it.
        let Some(mut job) = self.lock().take() else { return Err(answered()) };
        let handler = job.handler().clone_ref(py);
        let handler = handler.get();
        let bound = match handler.misfit(job.streams()) {
            Some(reason) => Err(errors::precondition(py, reason)),
            None => decode::decode_with(py, job.payload(), job.attachments()).map_err(PyErr::from).and_then(
                |given| {
                    let items = job.uploads().then_some(items);
                    handler.bind(&given, items)
                },
            ),
        };
        self.leave_if_forked(py, bound.as_ref().err());
        job.decoded();
        if handler.kind() == Kind::AsyncGenerator {
            job.begin_stream();
        }
        *self.lock() = Some(job);
        let begun = bound.map(|bound| handler.call(&bound));
        self.leave_if_forked(py, begun.as_ref().ok().and_then(|called| called.as_ref().err()));
        let mut out = Vec::new();
        let Some(failing) = self.failing() else { return Err(answered()) };
        let status = match begun {
            Ok(Ok(work)) => return Ok(Some(work)),
            Ok(Err(error)) => failure::raised(py, &error, self.traceback, &[failing], &mut out),
            Err(error) => failure::arguments(py, &error, &failing, &mut out),
        };
        self.answer(py, status, &out);
        Ok(None)
    }

    /// Answers with the coroutine's result.
    fn finish(&self, py: Python<'_>, result: Bound<'_, PyAny>) {
        self.leave_if_forked(py, None);
        let Some(handler) = self.lock().as_ref().map(|job| job.handler().clone_ref(py)) else { return };
        if let Some(job) = self.lock().as_mut() {
            job.ran();
        }
        let mut out = Vec::new();
        let encoded = encoded(handler.get().finished(result), &mut out, Some(Arc::clone(&self.rooms)), || ());
        self.leave_if_forked(py, encoded.as_ref().err());
        match encoded {
            Ok(attachments) => self.answer_with(py, Code::Ok, &out, attachments),
            Err(error) => {
                let status = failure::result(py, &error, self.failing().as_slice(), &mut out);
                self.answer(py, status, &out);
            }
        }
    }

    /// Sends an item of the answer. False if it can't cross: then the call is answered with the reason.
    fn send(&self, py: Python<'_>, item: Bound<'_, PyAny>) -> bool {
        self.leave_if_forked(py, None);
        let Some(handler) = self.lock().as_ref().map(|job| job.handler().clone_ref(py)) else { return false };
        let mut out = Vec::new();
        let encoded = encoded(handler.get().finished(item), &mut out, Some(Arc::clone(&self.rooms)), || ());
        self.leave_if_forked(py, encoded.as_ref().err());
        match encoded {
            Ok(attachments) => {
                py.detach(|| self.lock().as_mut().map(|job| job.send_item(&out, attachments)));
                true
            }
            Err(error) => {
                let status = failure::result(py, &error, self.failing().as_slice(), &mut out);
                self.answer(py, status, &out);
                false
            }
        }
    }

    /// Ends the streamed answer.
    fn end(&self, py: Python<'_>) {
        self.leave_if_forked(py, None);
        self.answer(py, Code::Ok, &[]);
    }

    /// Answers with what the handler raised.
    fn fail(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        let error = PyErr::from_value(error);
        self.leave_if_forked(py, Some(&error));
        let mut out = Vec::new();
        let status = failure::raised(py, &error, self.traceback, self.failing().as_slice(), &mut out);
        self.answer(py, status, &out);
    }

    /// Answers that the call was cancelled, by its caller or by the worker's stop.
    fn abandon(&self, py: Python<'_>) {
        self.leave_if_forked(py, None);
        // A stop cancels, too: that is not the caller's doing.
        if self.lock().as_ref().is_some_and(PyJob::cancelled) {
            return self.answer(py, Code::Cancelled, &failure::cancelled());
        }
        let job = self.lock().take();
        if let Some(job) = job {
            self.ongoing.unlisten();
            self.end_span(py, &job, Code::Cancelled);
            py.detach(|| job.give_up());
        }
    }

    /// The next of the arguments that the caller streams: `(True, item)`, `(False, None)` at the end, or
    /// `None` if it is not here yet.
    fn take_argument<'py>(&self, py: Python<'py>) -> PyResult<Option<(bool, Bound<'py, PyAny>)>> {
        let handler = self.lock().as_ref().map(|job| job.handler().clone_ref(py)).ok_or_else(answered)?;
        let Some(arguments) = &self.arguments else { return Ok(Some((false, py.None().into_bound(py)))) };
        let argument = arguments.take();
        if matches!(argument, Argument::Later) {
            return Ok(None);
        }
        Ok(Some(match arguments::value(py, argument, handler.get())? {
            Some(item) => (true, item),
            None => (false, py.None().into_bound(py)),
        }))
    }
}

fn answered() -> PyErr {
    PyRuntimeError::new_err("the call is answered already")
}
