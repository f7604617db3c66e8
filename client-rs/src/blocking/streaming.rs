//! A streamed answer without Tokio.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::call::items::Items;
use crate::call::outgoing::{Call, Encoded};
use crate::call::stream::Arguments;
use crate::call::streaming::{Decode, decode};
use crate::connection::thread::Thread;
use crate::error::Error;
use crate::shared::Shared;

/// A streamed answer: an iterator over its items, each as it comes, then the end or one error.
///
/// The call is made when the first item is asked for; dropping the stream cancels it. As in [`crate::Streaming`] a worker
/// is never far ahead of whoever takes the items, and there is no time limit unless one was given.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on_stream("count", |to: u32| (1..=to).map(Ok));
/// # let mut client = worker.blocking_client();
/// let numbers = client.stream::<_, u32>("count", &3).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(numbers, [1, 2, 3]);
/// # }
/// # Ok(())
/// # }
/// ```
pub struct Streaming<'u, R> {
    items: Items<'u>,
    /// One of its own: other calls may be made, and other streams read, meanwhile.
    thread: Arc<Thread>,
    decode: Decode<R>,
}

impl<'u, R: DeserializeOwned> Streaming<'u, R> {
    pub(super) fn new(
        shared: &Arc<Shared>,
        call: &Call<'_>,
        encoded: Result<Encoded, Error>,
        arguments: Option<Arguments<'u>>,
    ) -> Self {
        let thread = Arc::new(Thread::default());
        let items = Shared::items(shared, Arc::clone(&thread), call, encoded, arguments);
        Self { items, thread, decode }
    }
}

impl<R> Streaming<'_, R> {
    /// As in [`crate::Streaming::idle_timeout`].
    #[must_use]
    pub fn idle_timeout(mut self, longest: Duration) -> Self {
        self.items.idle_timeout = Some(longest);
        self
    }

    /// The handler version that ended the stream; 0 before its end.
    pub fn version(&self) -> u32 {
        self.items.version
    }
}

impl<R> Iterator for Streaming<'_, R> {
    type Item = Result<R, Error>;

    /// The next item; waits for it. `None` at the end.
    fn next(&mut self) -> Option<Result<R, Error>> {
        let Self { items, thread, .. } = self;
        let item = thread.block_within(|cx| (items.poll(cx), items.limit_ns()))?;
        let value = item.and_then(|item| (self.decode)(&self.items.method, item));
        if let Err(error) = &value {
            self.items.fail(error);
        }
        Some(value)
    }
}

impl<R> fmt::Debug for Streaming<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("method", &self.items.method).finish_non_exhaustive()
    }
}
