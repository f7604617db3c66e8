//! Paces a loop of a thread that runs nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pycrust_transport::{Alarm, monotonic_ns};

use crate::pacing::{MissedTicks, Ticks};
use crate::shared::Shared;

/// Paces a loop that calls: made by [`RpcClient::pacer`](super::RpcClient::pacer). It does what
/// [`crate::Pacer`] does, on a thread of its caller's own.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # fn run(mut client: pycrust_client::blocking::RpcClient) -> Result<(), pycrust_client::Error> {
/// let mut pacer = client.pacer(Duration::from_millis(1));
/// loop {
///     pacer.tick();
///     let torque: f64 = client.call("torque", &(0.1, 0.2))?;
/// #   let _ = torque;
/// }
/// # }
/// ```
pub struct Pacer {
    shared: Arc<Shared>,
    ticks: Ticks,
    /// None if the system has no descriptor left for one: the thread's own sleep is a little less exact.
    alarm: Option<Alarm>,
}

impl Pacer {
    pub(super) fn new(shared: Arc<Shared>, period: Duration) -> Self {
        Self { shared, ticks: Ticks::new(period), alarm: Alarm::new().ok() }
    }

    /// As in [`crate::Pacer::when_missed`].
    #[must_use]
    pub fn when_missed(mut self, when_missed: MissedTicks) -> Self {
        self.ticks.when_missed(when_missed);
        self
    }

    /// As in [`crate::Pacer::early_at_most`].
    #[must_use]
    pub fn early_at_most(mut self, time: Duration) -> Self {
        self.ticks.early_at_most(time);
        self
    }

    /// Returns when the next tick is due: the first time at once.
    pub fn tick(&mut self) {
        let now_ns = monotonic_ns();
        let due_ns = self.ticks.due_ns(now_ns);
        let wake_ns = self.ticks.wake_ns(due_ns);
        if wake_ns > now_ns {
            match &self.alarm {
                Some(alarm) => alarm.sleep_until(wake_ns),
                None => std::thread::sleep(Duration::from_nanos(wake_ns - now_ns)),
            }
            self.ticks.woke(wake_ns, monotonic_ns());
            self.shared.warm_up();
        }
        while monotonic_ns() < due_ns {
            std::hint::spin_loop();
        }
        self.shared.ticked(self.ticks.tick(due_ns, monotonic_ns()));
    }

    /// As in [`crate::Pacer::missed`].
    pub fn missed(&self) -> u64 {
        self.ticks.missed()
    }

    /// As in [`crate::Pacer::lateness`].
    pub fn lateness(&self) -> Duration {
        self.ticks.lateness()
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.ticked(0);
    }
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("ticks", &self.ticks).finish_non_exhaustive()
    }
}
