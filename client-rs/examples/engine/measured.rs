//! What is measured of a front end and its engine, whatever carries their messages: as `make bench-ported` asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::slices::Slices;

/// Every request's prompt: what a turn of a chat has.
pub const PROMPT: [u64; 256] = [17; 256];

/// From where to where time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// From the request to its first token.
    First,
    /// From the end of the engine's step to the token's reader.
    Delivery,
    /// From one token to the next.
    Between,
}

/// An engine as its front end sees it.
pub trait Engine: Clone + Send + Sync + 'static {
    type Tokens: Tokens;
    /// Sends a request for so many tokens.
    fn generate(
        &self,
        request_id: String,
        max_tokens: u64,
    ) -> impl Future<Output = anyhow::Result<Self::Tokens>> + Send;
}

/// The tokens of one request.
pub trait Tokens: Send {
    /// When the step ended that made the next one, in seconds on the monotonic clock; `None` at the end.
    fn next(&mut self) -> impl Future<Output = anyhow::Result<Option<f64>>> + Send;
}

/// Answers with the times of each slice, while `streams` requests run at once.
pub async fn run<E: Engine>(engine: E, measure: Measure, streams: u64) -> anyhow::Result<()> {
    let mut slices = Slices::begin()?;
    let numbers = Arc::new(AtomicU64::new(0));
    // Nothing else is to be done while the next slice is waited for.
    while let Some(mut slice) = tokio::task::block_in_place(|| slices.next())? {
        let (times, mut taken) = unbounded_channel();
        let mut readers = JoinSet::new();
        for stream in 0..streams {
            let (engine, times) = (engine.clone(), times.clone());
            let numbers = Arc::clone(&numbers);
            readers.spawn(async move {
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    // Of different lengths, so that they do not all end in one step.
                    let max_tokens = 48 + (number * 7 + stream) % 33;
                    if let Err(error) = read(&engine, number, max_tokens, measure, &times).await {
                        return error;
                    }
                }
            });
        }
        drop(times);
        let mut failed = None;
        while slice.goes_on() && failed.is_none() {
            tokio::select! {
                time = taken.recv() => if let Some(time) = time { slice.took(time, true) },
                error = readers.join_next() => failed = error,
            }
        }
        // Dropped in the middle of their answers, as by readers that leave.
        readers.shutdown().await;
        if let Some(error) = failed {
            return Err(error?);
        }
        slice.tell()?;
    }
    Ok(())
}

/// Reads one answer to its end.
async fn read<E: Engine>(
    engine: &E,
    number: u64,
    max_tokens: u64,
    measure: Measure,
    times: &UnboundedSender<Duration>,
) -> anyhow::Result<()> {
    let mut before = Instant::now();
    let mut tokens = engine.generate(format!("request-{number}"), max_tokens).await?;
    let mut first = true;
    while let Some(made) = tokens.next().await? {
        let now = Instant::now();
        let time = match measure {
            Measure::First => first.then(|| now - before),
            Measure::Between => (!first).then(|| now - before),
            Measure::Delivery => Some(since(made)),
        };
        if let Some(time) = time {
            times.send(time)?;
        }
        (before, first) = (now, false);
    }
    Ok(())
}

/// How long ago that was.
pub fn since(moment: f64) -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let now =
        Duration::from_secs(now.tv_sec.cast_unsigned()) + Duration::from_nanos(now.tv_nsec.cast_unsigned());
    now.saturating_sub(Duration::from_secs_f64(moment))
}
