//! Many calls at once: one run of the handler, an answer for each caller.

use pycrust_protocol::Code;
use pycrust_transport::Attachment;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::calls::current::RunningBatch;
use crate::calls::failure::Failing;
use crate::calls::forked::leave_if_forked;
use crate::calls::results::{Failed, encoded};
use crate::calls::spans::{self, Span};
use crate::calls::types::PyJob;
use crate::calls::{errors, failure};
use crate::values::decode;

/// A call and what it is answered with.
pub(crate) type Answer = (PyJob, Code, Vec<u8>, Vec<Attachment>);

/// Runs a batch, each call with a span of its own.
pub(crate) fn run(py: Python<'_>, first: PyJob, traceback: bool) -> Vec<Answer> {
    let mut spans = Vec::new();
    let answers = run_jobs(py, first, traceback, &mut spans);
    if !spans.is_empty() {
        for (job, code, ..) in &answers {
            let of = spans.iter().position(|(key, _)| *key == key_of(job));
            spans::end(py, of.map(|at| spans.swap_remove(at).1), job, *code);
        }
    }
    answers
}

/// Tells a call from the others of its batch.
fn key_of(job: &PyJob) -> (u64, u64) {
    let running = job.running();
    (running.origin.connection, running.id)
}

/// Runs a batch. A call whose arguments don't fit is not in the list that the handler gets, and a result that
/// is an exception or can't cross fails its own call only.
fn run_jobs(
    py: Python<'_>,
    mut first: PyJob,
    traceback: bool,
    spans: &mut Vec<((u64, u64), Span)>,
) -> Vec<Answer> {
    let handler = first.handler().clone_ref(py);
    let handler = handler.get();
    let companions = first.take_companions();
    let (mut jobs, mut answers) = (Vec::with_capacity(companions.len() + 1), Vec::new());
    let items = PyList::empty(py);
    for mut job in std::iter::once(first).chain(companions) {
        job.attached();
        spans.extend(spans::begin(py, &job, false).map(|span| (key_of(&job), span)));
        let item = match handler.misfit(job.streams()) {
            Some(reason) => Err(errors::precondition(py, reason)),
            None if job.uploads() => {
                Err(errors::precondition(py, "this handler takes no stream of arguments"))
            }
            None => decode::decode_with(py, job.payload(), job.attachments())
                .map_err(PyErr::from)
                .and_then(|arguments| handler.batch_item(&arguments))
                .and_then(|item| items.append(item)),
        };
        leave_if_forked(py, &job, item.as_ref().err());
        job.decoded();
        match item {
            Ok(()) => jobs.push(job),
            Err(error) => {
                job.ran();
                let mut out = Vec::new();
                let code = failure::arguments(py, &error, &Failing::of(&job), &mut out);
                answers.push((job, code, out, Vec::new()));
            }
        }
    }
    if jobs.is_empty() {
        return answers;
    }
    let results = {
        let _running = RunningBatch::new(py, &jobs);
        handler.call_batch(&items, jobs.len())
    };
    if let Some(job) = jobs.first() {
        leave_if_forked(py, job, results.as_ref().err().map(Failed::error));
    }
    jobs.iter_mut().for_each(PyJob::ran);
    match results {
        Ok(results) => {
            for (job, result) in jobs.into_iter().zip(results) {
                let (mut out, mut arrays) = (Vec::new(), Vec::new());
                let code = match result.cast::<PyBaseException>() {
                    Ok(raised) => {
                        let error = PyErr::from_value(raised.clone().into_any());
                        failure::raised(py, &error, traceback, &[Failing::of(&job)], &mut out)
                    }
                    Err(_) => {
                        let encoded = encoded(handler.finished(result), &mut out, None, || ());
                        leave_if_forked(py, &job, encoded.as_ref().err());
                        match encoded {
                            Ok(attachments) => {
                                arrays = attachments;
                                Code::Ok
                            }
                            Err(error) => failure::result(py, &error, &[Failing::of(&job)], &mut out),
                        }
                    }
                };
                answers.push((job, code, out, arrays));
            }
        }
        Err(error) => {
            let mut out = Vec::new();
            let failing: Vec<_> = jobs.iter().map(Failing::of).collect();
            let code = match &error {
                Failed::Raised(error) => failure::raised(py, error, traceback, &failing, &mut out),
                Failed::Misshapen(error) => failure::result(py, error, &failing, &mut out),
            };
            answers.extend(jobs.into_iter().map(|job| (job, code, out.clone(), Vec::new())));
        }
    }
    answers
}
