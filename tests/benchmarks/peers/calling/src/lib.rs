//! The loop by which every peer is measured: the same arguments, the same clock, the same rhythm.

pub mod measure;
#[path = "../../../../../client-rs/examples/pace/mod.rs"]
mod pace;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::measure::Times;
use crate::pace::Pace;

/// How to call.
#[derive(clap::Args, Clone)]
pub struct Calls {
    /// How long to go on.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// Calls a second and task; without it, as fast as answers come.
    #[arg(long)]
    pub pace: Option<f64>,
}

/// The arguments of `add`, as they are for this project.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Args {
    pub a: i32,
    pub b: i32,
}

pub const ARGS: Args = Args { a: 1, b: 2 };

/// Calls that one task makes, one after another.
pub trait Caller: Send + 'static {
    /// Makes one call.
    fn add(&mut self, args: Args) -> impl Future<Output = anyhow::Result<i64>> + Send;
}

impl Calls {
    /// Calls from one task, which is the one that awaits this.
    ///
    /// # Errors
    ///
    /// The first call that fails or answers wrongly ends it.
    pub async fn make(self, mut caller: impl Caller) -> anyhow::Result<Times> {
        let mut times = Times::default();
        let pace = self.pace.map(Pace::new).transpose()?;
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < self.seconds {
            if let Some(pace) = &pace {
                pace.tick().await?;
            }
            let sent = Instant::now();
            let sum = caller.add(ARGS).await?;
            times.record(sent.elapsed());
            anyhow::ensure!(sum == i64::from(ARGS.a) + i64::from(ARGS.b), "wrong sum: {sum}");
        }
        times.took = begun.elapsed();
        Ok(times)
    }

    /// Calls from the thread that this is called on, for callers that block.
    ///
    /// # Errors
    ///
    /// As [`make`](Self::make).
    pub fn make_here(self, caller: impl Caller) -> anyhow::Result<Times> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.make(caller))
    }
}
