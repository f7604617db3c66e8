//! A control loop with a rhythm: one call a tick, and how late its answers are, as JSON at the end.
//!
//! `cargo run --release -p pycrust-programs --bin rhythm -- --endpoint arm --method torque --args '[0.1, 0.2]' --hertz 1000 --cores 2
//! --priority 50 --lock-memory`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use hdrhistogram::Histogram;
use pycrust_client::{RealTime, RpcClient};
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::{Value, json};

const SECOND_NS: u64 = 1_000_000_000;

/// Calls one method at each tick of a clock.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method to call.
    #[arg(long)]
    method: String,
    /// The arguments as JSON.
    #[arg(long, default_value = "null")]
    args: String,
    /// Ticks a second.
    #[arg(long, default_value_t = 1000)]
    hertz: u64,
    /// How long to go on.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Cores that the loop may run on.
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// Its priority of real time.
    #[arg(long)]
    priority: Option<u8>,
    /// Whether its memory stays where it is.
    #[arg(long)]
    lock_memory: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let arguments: Value = serde_json::from_str(&options.args).context("--args")?;
    let mut realtime = RealTime::new().cores(options.cores).lock_memory(options.lock_memory);
    if let Some(priority) = options.priority {
        realtime = realtime.priority(priority);
    }
    let mut client = RpcClient::builder(&options.endpoint).realtime(realtime).connect_blocking()?;
    for line in client.realtime().iter().flat_map(|applied| applied.missing()) {
        eprintln!("{line}");
    }
    // What the loop runs has run before it begins.
    client.call::<_, Value>(&options.method, &arguments)?;

    let period_ns = SECOND_NS / options.hertz.max(1);
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let [mut lateness, mut trips, mut answers] = [(); 3].map(|()| times());
    let mut overruns = 0;
    let mut tick_ns = now_ns() + period_ns;
    while Instant::now() < until {
        let at = Timespec {
            tv_sec: (tick_ns / SECOND_NS).cast_signed(),
            tv_nsec: (tick_ns % SECOND_NS).cast_signed(),
        };
        while clock_nanosleep_absolute(ClockId::Monotonic, &at).is_err() {}
        let begun_ns = now_ns();
        client.call::<_, Value>(&options.method, &arguments)?;
        let answered_ns = now_ns();
        lateness.record(begun_ns - tick_ns)?;
        trips.record(answered_ns - begun_ns)?;
        answers.record(answered_ns - tick_ns)?;
        // Ticks that have passed meanwhile are missed, not made up for.
        let passed = (answered_ns - tick_ns) / period_ns;
        overruns += passed;
        tick_ns += (passed + 1) * period_ns;
    }
    println!(
        "{}",
        json!({
            "calls": trips.len(), "overruns": overruns,
            "late_us": quantiles(&lateness), "round_trip_us": quantiles(&trips),
            "answer_after_tick_us": quantiles(&answers),
        })
    );
    Ok(())
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * SECOND_NS + now.tv_nsec.cast_unsigned()
}

/// Nanoseconds, to a thousandth.
fn times() -> Histogram<u64> {
    Histogram::new(3).expect("between 0 and 5 digits")
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let at = |quantile| micros(times.value_at_quantile(quantile));
    json!({
        "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": micros(times.max()),
    })
}
