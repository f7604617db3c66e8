//! An answer with what is known about it.

use crate::call::answer::Finished;
use crate::metadata::{self, Metadata};
use crate::timing::Timing;

/// The answer to a [`Request`](crate::Request).
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let reply = client.request("add").send::<_, i32>(&(10, 20)).await?;
/// assert_eq!((*reply.value(), reply.version()), (30, 1));
/// println!("answered in {:?}", reply.timing().round_trip);
/// let sum = reply.into_value();
/// # assert_eq!(sum, 30);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<R> {
    value: R,
    version: u32,
    schema_hash: u64,
    timing: Timing,
    metadata: Metadata,
}

impl<R> Reply<R> {
    pub(crate) fn new(value: R, finished: &Finished) -> Self {
        Self {
            value,
            version: finished.header.version,
            schema_hash: finished.header.schema_hash,
            timing: finished.timing(),
            metadata: metadata::decoded(&finished.metadata),
        }
    }

    /// What the handler returned.
    pub fn value(&self) -> &R {
        &self.value
    }

    /// What the handler returned, by value.
    pub fn into_value(self) -> R {
        self.value
    }

    /// The handler version that answered, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The hash of the method's schema, to pin with [`Request::schema`](crate::Request::schema).
    pub fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// What the handler sent beside its result.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the time went.
    pub fn timing(&self) -> Timing {
        self.timing
    }
}
