//! A day at the desk: at the market's own pace or as fast as answers come, until somebody has had enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use crate::desk::{Desk, Quoting};
use crate::flow::Flow;
use crate::slices::Slices;

/// The market, and how long it is made.
#[derive(Args)]
pub struct Day {
    /// Which market: the same number gives the same orders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much busier than by itself, which has some 400 changes of its best prices and sizes a second.
    #[arg(long, default_value_t = 1.0)]
    busier: f64,
    /// Does not wait for the market's time to pass: as a backtest.
    #[arg(long)]
    unpaced: bool,
    /// Seconds of the market's time; until Ctrl-C by default.
    #[arg(long)]
    seconds: Option<f64>,
    /// Microseconds that a decision may take; after that, quotes are pulled.
    #[arg(long, default_value_t = 200)]
    deadline_us: u64,
    /// Measures as `make bench-ported` asks for it.
    #[arg(long)]
    measure: bool,
}

impl Day {
    pub fn deadline(&self) -> Duration {
        Duration::from_micros(self.deadline_us)
    }

    /// Makes the market, and prints what came of it.
    pub fn run(&self, quoting: &mut impl Quoting) -> anyhow::Result<()> {
        let mut desk = Desk::new(Flow::new(self.seed, self.busier));
        if self.measure {
            let mut slices = Slices::begin()?;
            while let Some(mut slice) = slices.next()? {
                let clock = Clock::new(&desk);
                while slice.goes_on() {
                    slice.took(self.step(&mut desk, &clock, quoting), true);
                }
                slice.tell()?;
            }
            return Ok(());
        }
        let stopped = interrupted()?;
        println!("quoting");
        let clock = Clock::new(&desk);
        let until =
            self.seconds.map_or(u64::MAX, |seconds| Duration::from_secs_f64(seconds).as_nanos() as u64);
        while desk.at_ns() < until && !stopped.load(Ordering::Relaxed) {
            self.step(&mut desk, &clock, quoting);
        }
        println!("{}", desk.report());
        Ok(())
    }

    /// Up to the next change of the book and the decision on it; how long that took.
    fn step(&self, desk: &mut Desk, clock: &Clock, quoting: &mut impl Quoting) -> Duration {
        let features = desk.hear();
        if !self.unpaced {
            clock.wait_for(desk);
        }
        desk.decide(&features, quoting)
    }
}

/// Which of the market's moments is now.
struct Clock {
    begun: Instant,
    at_ns: u64,
}

impl Clock {
    fn new(desk: &Desk) -> Self {
        Self { begun: Instant::now(), at_ns: desk.at_ns() }
    }

    /// Waits until the desk's moment has come; one that has passed is made up for.
    fn wait_for(&self, desk: &Desk) {
        let due = Duration::from_nanos(desk.at_ns() - self.at_ns);
        if let Some(left) = due.checked_sub(self.begun.elapsed()) {
            std::thread::sleep(left);
        }
    }
}

/// Turns true at Ctrl-C.
fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = Arc::clone(&stopped);
    // Before the thread runs: a signal that comes first must find it.
    let mut signal = {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?
    };
    std::thread::spawn(move || {
        runtime.block_on(signal.recv());
        told.store(true, Ordering::Relaxed);
    });
    Ok(stopped)
}
