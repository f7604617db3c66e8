//! Closures as handlers.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use pycrust_protocol::Code;
use pycrust_protocol::header::flags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::call::{Call, Done, encode};
use crate::error::Error;

/// Answers calls.
pub(super) type Handler = Arc<dyn Fn(Arc<Call>) -> Answering + Send + Sync>;

type Answering = Pin<Box<dyn Future<Output = Result<Done, Error>> + Send>>;

thread_local! {
    /// The call that this thread runs.
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// Whether the caller of the call that this thread runs has given up: for closures of
/// [`Worker::on`](super::Worker::on) that take their time. Those of `on_async` are dropped where they wait.
///
/// # Examples
/// ```
/// # use pycrust_client::Error;
/// use pycrust_client::testing::{Worker, is_cancelled};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let worker = Worker::new("calculator");
/// worker.on("search", |(): ()| {
///     let mut looked = 0_u64;
///     while !is_cancelled() && looked < 1000 {
///         looked += 1;
///     }
///     Ok(looked)
/// });
/// assert_eq!(worker.client().call::<_, u64>("search", &()).await?, 1000);
/// # Ok(())
/// # }
/// ```
pub fn is_cancelled() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|call| call.flow.is_cancelled()))
}

/// Arguments that stream, as their caller sends them.
///
/// # Examples
/// ```
/// # use pycrust_client::Error;
/// use pycrust_client::testing::{Arguments, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let worker = Worker::new("calculator");
/// worker.on_upload("longest", |mut words: Arguments<String>| async move {
///     let mut longest = 0;
///     while let Some(word) = words.next().await {
///         longest = longest.max(word?.len());
///     }
///     Ok(longest)
/// });
/// let words = futures::stream::iter(["one", "three", "five"]);
/// assert_eq!(worker.client().request("longest").upload::<_, usize>(words).await?.into_value(), 5);
/// # Ok(())
/// # }
/// ```
pub struct Arguments<T> {
    call: Arc<Call>,
    types: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Arguments<T> {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is no `T`: a handler returns it.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.call.next().await
    }

    /// All that are left.
    ///
    /// # Errors
    /// That of the first that is no `T`.
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(argument) = self.next().await {
            all.push(argument?);
        }
        Ok(all)
    }
}

/// Where the items of a streamed answer go.
///
/// # Examples
/// ```
/// # use pycrust_client::Error;
/// use pycrust_client::testing::{Items, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let worker = Worker::new("calculator");
/// worker.on_stream_async("count", |to: u32, items: Items<u32>| async move {
///     for number in 1..=to {
///         items.send(number).await?;
///     }
///     Ok(())
/// });
/// let client = worker.client();
/// let mut numbers = client.stream::<_, u32>("count", &2);
/// assert_eq!(numbers.next().await.transpose()?, Some(1));
/// # Ok(())
/// # }
/// ```
pub struct Items<T> {
    call: Arc<Call>,
    types: PhantomData<fn(T)>,
}

impl<T: Serialize> Items<T> {
    /// Sends one, as soon as the caller takes more.
    ///
    /// # Errors
    /// `INTERNAL` if it can't be encoded: a handler returns it.
    pub async fn send(&self, item: T) -> Result<(), Error> {
        self.call.give(&item).await
    }
}

/// A task that ends with whoever waits for it.
struct Owned<T>(JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Owned<Result<T, Error>> {
    /// What it gives; a panic is what an exception is in Python.
    async fn outcome(mut self, call: &Call) -> Result<T, Error> {
        let outcome = (&mut self.0).await;
        outcome.unwrap_or_else(|error| {
            let reason = match error.try_into_panic() {
                Ok(panic) => told(&*panic),
                Err(_) => "it was cancelled".into(),
            };
            Err(Error::new(Code::Unknown, format!("the closure for {:?} panicked: {reason}", call.method))
                .maybe_run())
        })
    }
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "something".into())
}

/// A closure that blocks its thread.
pub(super) fn plain<A, R, F>(closure: F) -> Handler
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
    F: Fn(A) -> Result<R, Error> + Send + Sync + 'static,
{
    let closure = Arc::new(closure);
    Arc::new(move |call| {
        let (closure, running) = (Arc::clone(&closure), Arc::clone(&call));
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || {
                // The thread is used again.
                let arguments = running.arguments::<A>()?;
                CURRENT.set(Some(Arc::clone(&running)));
                let answered = closure(arguments).map_err(Error::maybe_run);
                CURRENT.set(None);
                encode(&answered?)
            });
            Owned(task).outcome(&call).await.map(Done::Value)
        })
    })
}

/// A closure that gives a future.
pub(super) fn asynchronous<A, R, F, W>(closure: F) -> Handler
where
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(A) -> W + Send + Sync + 'static,
    W: Future<Output = Result<R, Error>> + Send + 'static,
{
    let closure = Arc::new(closure);
    running(move |call| {
        let closure = Arc::clone(&closure);
        async move {
            let arguments = call.arguments()?;
            let value = closure(arguments).await.map_err(Error::maybe_run)?;
            encode(&value).map(Done::Value)
        }
    })
}

/// A closure that gives an iterator.
pub(super) fn iterating<A, T, I, F>(closure: F) -> Handler
where
    A: DeserializeOwned + Send + 'static,
    T: Serialize + Send + Sync + 'static,
    I: IntoIterator<Item = Result<T, Error>, IntoIter: Send + 'static>,
    F: Fn(A) -> I + Send + Sync + 'static,
{
    let closure = Arc::new(closure);
    running(move |call| {
        let closure = Arc::clone(&closure);
        async move {
            call.demands(flags::STREAM)?;
            let items = closure(call.arguments()?).into_iter();
            for item in items {
                call.give(&item.map_err(Error::maybe_run)?).await?;
            }
            Ok(Done::Items)
        }
    })
}

/// A closure that sends its items.
pub(super) fn streaming<A, T, F, W>(closure: F) -> Handler
where
    A: DeserializeOwned + Send + 'static,
    T: 'static,
    F: Fn(A, Items<T>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    let closure = Arc::new(closure);
    running(move |call| {
        let closure = Arc::clone(&closure);
        async move {
            call.demands(flags::STREAM)?;
            let items = Items { call: Arc::clone(&call), types: PhantomData };
            closure(call.arguments()?, items).await.map_err(Error::maybe_run)?;
            Ok(Done::Items)
        }
    })
}

/// A closure that takes a stream of arguments.
pub(super) fn uploading<T, R, F, W>(closure: F) -> Handler
where
    T: 'static,
    R: Serialize + Send + 'static,
    F: Fn(Arguments<T>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<R, Error>> + Send + 'static,
{
    let closure = Arc::new(closure);
    running(move |call| {
        let closure = Arc::clone(&closure);
        async move {
            call.demands(flags::UPLOAD)?;
            let arguments = Arguments { call: Arc::clone(&call), types: PhantomData };
            let value = closure(arguments).await.map_err(Error::maybe_run)?;
            encode(&value).map(Done::Value)
        }
    })
}

/// One that also sends items.
pub(super) fn exchanging<T, R, F, W>(closure: F) -> Handler
where
    T: 'static,
    R: 'static,
    F: Fn(Arguments<T>, Items<R>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    let closure = Arc::new(closure);
    running(move |call| {
        let closure = Arc::clone(&closure);
        async move {
            call.demands(flags::UPLOAD)?;
            call.demands(flags::STREAM)?;
            let arguments = Arguments { call: Arc::clone(&call), types: PhantomData };
            let items = Items { call: Arc::clone(&call), types: PhantomData };
            closure(arguments, items).await.map_err(Error::maybe_run)?;
            Ok(Done::Items)
        }
    })
}

/// In a task of its own, so that a panic ends nothing else.
fn running<F, W>(work: F) -> Handler
where
    F: Fn(Arc<Call>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Done, Error>> + Send + 'static,
{
    Arc::new(move |call| {
        let work = work(Arc::clone(&call));
        Box::pin(async move { Owned(tokio::spawn(work)).outcome(&call).await })
    })
}
