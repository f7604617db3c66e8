//! Where the time of a call went.

use std::time::Duration;

/// Where the time of a call went. What no stage has is the client's own: encoding and sending.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let timing = client.request("add").send::<_, i32>(&(10, 20)).await?.timing();
/// println!("{:?} of {:?} in the handler", timing.handler, timing.round_trip);
/// assert!(timing.handler <= timing.round_trip);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From before encoding the arguments to the answer's reaching the caller.
    pub round_trip: Duration,
    /// On the way to the worker.
    pub transit: Duration,
    /// In the worker's queue.
    pub queue: Duration,
    /// Waiting for the Python interpreter.
    pub interpreter: Duration,
    /// Decoding and validating the arguments.
    pub decode: Duration,
    /// In the handler.
    pub handler: Duration,
    /// Serialising and encoding the result.
    pub encode: Duration,
    /// On the way back.
    pub back: Duration,
}
