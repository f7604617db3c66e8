//! Calls by the slice, as `make bench-ported` asks for them: a line of standard input is a number of seconds, and brings a
//! line with the time of each call in them. Between slices the program sleeps.

use std::io::{BufRead, BufReader, Lines, Stdin, Write, stdin, stdout};
use std::time::{Duration, Instant};

/// The slices that are asked for.
pub struct Slices(Lines<BufReader<Stdin>>);

impl Slices {
    /// Says that calls can begin.
    pub fn begin() -> std::io::Result<Self> {
        writeln!(stdout(), "ready")?;
        Ok(Self(BufReader::new(stdin()).lines()))
    }

    /// Waits for the next one; none follows when standard input has ended.
    pub fn next(&mut self) -> anyhow::Result<Option<Slice>> {
        let Some(line) = self.0.next().transpose()? else { return Ok(None) };
        let seconds = Duration::from_secs_f64(line.trim().parse()?);
        Ok(Some(Slice { until: Instant::now() + seconds, times: Vec::new(), errors: 0 }))
    }
}

/// The calls of one slice.
pub struct Slice {
    until: Instant,
    /// Nanoseconds of each call.
    times: Vec<u64>,
    errors: u64,
}

impl Slice {
    /// Whether there is time for one more call.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// A call took so long and ended, well or not.
    pub fn took(&mut self, time: Duration, well: bool) {
        self.times.push(time.as_nanos() as u64);
        self.errors += u64::from(!well);
    }

    /// Tells what came of them.
    pub fn tell(self) -> std::io::Result<()> {
        let Self { times, errors, .. } = self;
        writeln!(stdout(), "{}", serde_json::json!({"round_trip_ns": times, "errors": errors}))
    }
}
