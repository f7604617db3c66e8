//! A streamed answer on Tokio.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::call::items::Items;
use crate::connection::buffers;
use crate::connection::in_flight::Body;
use crate::connection::timer::Sleep;
use crate::error::Error;

/// A streamed answer: each item as it comes, then the end or one error.
///
/// It is a [`Stream`]; [`next`](Self::next) does without that trait. The call is made when it is first polled.
/// A worker sends no more items than the call's window before they are taken, and none beyond 16 MiB and one item, so
/// a slow reader slows its handler down. Dropping the stream cancels the call.
///
/// It has no time limit, unless [`Request::timeout`](crate::Request::timeout) gives one to all of it or
/// [`idle_timeout`](Self::idle_timeout) to each wait for an item.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on_stream("count", |to: u32| (1..=to).map(Ok));
/// # let client = worker.client();
/// let mut numbers = client.stream::<_, u32>("count", &3);
/// let mut sum = 0;
/// while let Some(number) = numbers.next().await {
///     sum += number?;
/// }
/// assert_eq!(sum, 1 + 2 + 3);
/// # }
/// # Ok(())
/// # }
/// ```
pub struct Streaming<R> {
    items: Items<'static>,
    /// The timer of a wait for an item that has a limit.
    timer: Option<Sleep>,
    decode: Decode<R>,
}

/// How an item is read.
pub(crate) type Decode<R> = fn(&str, Body) -> Result<R, Error>;

/// Reads an item and keeps its buffer.
pub(crate) fn decode<R: DeserializeOwned>(method: &str, item: Body) -> Result<R, Error> {
    let value = crate::call::answer::decode(method, &item);
    buffers::give(item.payload);
    value
}

impl<R> Streaming<R> {
    pub(crate) fn new(items: Items<'static>, decode: Decode<R>) -> Self {
        Self { items, timer: None, decode }
    }

    /// The longest that the call may be silent while an item is waited for: neither an item comes nor, where the
    /// arguments stream as well, one of those goes. Then it ends in `DEADLINE_EXCEEDED` and is cancelled. Without limit
    /// by default. To be said before the first item is asked for.
    #[must_use]
    pub fn idle_timeout(mut self, longest: Duration) -> Self {
        self.items.idle_timeout = Some(longest);
        self
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`](crate::RpcClient::call), once; then the stream has ended.
    pub async fn next(&mut self) -> Option<Result<R, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The handler version that ended the stream; 0 before its end.
    pub fn version(&self) -> u32 {
        self.items.version
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R, Error>>> {
        loop {
            if let Poll::Ready(item) = self.items.poll(cx) {
                let value = item.map(|item| item.and_then(|item| (self.decode)(&self.items.method, item)));
                if let Some(Err(error)) = &value {
                    self.items.fail(error);
                }
                return Poll::Ready(value);
            }
            let Some(limit_ns) = self.items.limit_ns() else { return Poll::Pending };
            std::task::ready!(self.poll_timer(cx, limit_ns));
        }
    }

    /// Ready once it is so late.
    fn poll_timer(&mut self, cx: &mut Context<'_>, at_ns: u64) -> Poll<()> {
        let sleep = self.timer.get_or_insert_with(|| Sleep::until(at_ns));
        sleep.reset(at_ns);
        Pin::new(sleep).poll(cx)
    }
}

impl<R> Stream for Streaming<R> {
    type Item = Result<R, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<R> fmt::Debug for Streaming<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("method", &self.items.method).finish_non_exhaustive()
    }
}
