//! Calls the handler in this process, by PyO3, and reports the times, in the form of the program `load`.
//!
//! `peer-embedding --way attached --seconds 2`, with PYTHONPATH as the handler needs it.

use std::sync::Arc;

use clap::{Parser, ValueEnum};
use pycrust_peers_calling::measure::Times;
use pycrust_peers_calling::{Args, Caller, Calls};
use pyo3::prelude::*;
use pyo3_async_runtimes::TaskLocals;
use pythonize::pythonize;

/// Calls `add` in this process.
#[derive(Parser, Clone)]
struct Options {
    /// How the interpreter is come by.
    #[arg(long)]
    way: Way,
    #[command(flatten)]
    calls: Calls,
}

/// How the interpreter is come by.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// `Python::attach` for each call, on the main thread, which has initialised the interpreter.
    Attached,
    /// The same on any other thread.
    AttachedElsewhere,
    /// `Python::attach` within Tokio's `spawn_blocking` for each call, from a task.
    SpawnBlocking,
    /// A coroutine, on asyncio's loop in the main thread, awaited by a task.
    Coroutine,
}

/// Blocks its thread.
struct Attached(Py<PyAny>);

/// Leaves the blocking to a thread of Tokio's.
struct SpawnBlocking(Arc<Py<PyAny>>);

/// Awaits what runs on asyncio's loop.
struct Coroutine {
    handler: Py<PyAny>,
    locals: TaskLocals,
}

impl Caller for Attached {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        called(&self.0, args)
    }
}

impl Caller for SpawnBlocking {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        let handler = self.0.clone();
        tokio::task::spawn_blocking(move || called(&handler, args)).await?
    }
}

impl Caller for Coroutine {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        let answer = Python::attach(|py| -> anyhow::Result<_> {
            let coroutine = self.handler.bind(py).call1((pythonize(py, &args)?,))?;
            Ok(pyo3_async_runtimes::into_future_with_locals(&self.locals, coroutine)?)
        })?;
        let answer = answer.await?;
        Ok(Python::attach(|py| answer.extract::<i64>(py))?)
    }
}

fn called(handler: &Py<PyAny>, args: Args) -> anyhow::Result<i64> {
    Python::attach(|py| Ok(handler.bind(py).call1((pythonize(py, &args)?,))?.extract()?))
}

fn handler(name: &str) -> PyResult<Py<PyAny>> {
    Python::attach(|py| Ok(py.import("tests.benchmarks.handler")?.getattr(name)?.unbind()))
}

fn main() -> anyhow::Result<()> {
    let Options { way, calls } = Options::parse();
    let times = match way {
        Way::Attached => calls.make_here(Attached(handler("validated_add")?))?,
        Way::AttachedElsewhere => {
            let caller = Attached(handler("validated_add")?);
            std::thread::spawn(|| calls.make_here(caller)).join().expect("the caller panicked")?
        }
        Way::SpawnBlocking => {
            let caller = SpawnBlocking(Arc::new(handler("validated_add")?));
            tokio::runtime::Runtime::new()?.block_on(async { tokio::spawn(calls.make(caller)).await? })?
        }
        Way::Coroutine => coroutines(calls)?,
    };
    println!("{}", times.report());
    Ok(())
}

/// asyncio has the main thread, and Tokio's threads the caller.
fn coroutines(calls: Calls) -> anyhow::Result<Times> {
    let handler = handler("awaited_add")?;
    let (send, times) = std::sync::mpsc::channel();
    Python::attach(|py| {
        pyo3_async_runtimes::tokio::run(py, async move {
            let locals = Python::attach(pyo3_async_runtimes::tokio::get_current_locals)?;
            let made = tokio::spawn(calls.make(Coroutine { handler, locals })).await;
            let _ = send.send(made);
            Ok(())
        })
    })?;
    times.recv()??
}
