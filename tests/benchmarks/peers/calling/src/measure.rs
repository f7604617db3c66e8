//! What calls took, in the form of the program `load`.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Times of calls.
pub struct Times {
    nanos: Histogram<u64>,
    /// From the first call to the last answer.
    pub took: Duration,
}

impl Default for Times {
    fn default() -> Self {
        // Bounds that the histogram takes: an hour, three digits.
        let nanos = Histogram::new_with_max(3_600_000_000_000, 3).expect("valid bounds");
        Self { nanos, took: Duration::ZERO }
    }
}

impl Times {
    pub fn record(&mut self, time: Duration) {
        self.nanos.saturating_record(time.as_nanos() as u64);
    }

    pub fn add(&mut self, other: &Self) {
        self.nanos.add(&other.nanos).expect("equal bounds");
    }

    pub fn report(&self) -> Value {
        let micros = |quantile| self.nanos.value_at_quantile(quantile) as f64 / 1e3;
        json!({
            "calls": self.nanos.len(),
            "calls_per_second": self.nanos.len() as f64 / self.took.as_secs_f64(),
            "errors": {},
            "round_trip_us": {
                "p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "p999": micros(0.999),
                "max": self.nanos.max() as f64 / 1e3,
            },
        })
    }
}
