//! A moving average of durations.

/// The exponential moving average of nanoseconds: each value counts for an eighth.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Average(Option<u64>);

impl Average {
    /// Adds a value, cut at `cap` so that one outlier does not outweigh what follows for long.
    pub(crate) fn add(&mut self, value_ns: u64, cap_ns: u64) {
        let value = value_ns.min(cap_ns);
        self.0 = Some(match self.0 {
            None => value,
            Some(average) => average - average / 8 + value / 8,
        });
    }

    /// The average in nanoseconds, if anything was added.
    pub(crate) fn get(self) -> Option<u64> {
        self.0
    }
}
