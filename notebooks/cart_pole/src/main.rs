//! A control loop: balances a pole on a cart, asking a Python policy for every action.
//!
//! The equations of motion are those of Barto, Sutton and Anderson (1983), "Neuronlike adaptive elements that
//! can solve difficult learning control problems", IEEE Transactions on Systems, Man, and Cybernetics 13(5),
//! without friction, integrated by Euler's method. The paper steps 50 times a second; here a step is one tick
//! of the loop, 500 times a second by default, and the simulated time is the real one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use pycrust_client::{Pacer, RpcClient};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior};

// What the policy sees is the state of the cart and the pole: m, m/s, rad from the vertical, rad/s.
use crate::cart_pole::PolicyArgs as State;
use crate::cart_pole::methods::POLICY;

// Made of what `pycrust types cart_pole --lock cart_pole.schema.json` wrote while the notebook served it.
pycrust_client::service!("cart_pole");

/// Acceleration of gravity, m/s².
const GRAVITY: f64 = 9.8;
/// Mass of the cart, kg.
const CART_MASS: f64 = 1.0;
/// Mass of the pole, kg.
const POLE_MASS: f64 = 0.1;
/// Half the pole's length, m.
const HALF_LENGTH: f64 = 0.5;
/// The force at full share, N.
const FULL_FORCE: f64 = 10.0;
/// The pole has fallen past this angle, rad: 12°.
const FALLEN: f64 = 12.0 * std::f64::consts::PI / 180.0;
/// The cart has left the track past this position, m.
const TRACK: f64 = 2.4;

/// Balances a pole on a cart with a Python policy.
#[derive(Parser)]
struct Options {
    /// The endpoint whose method `policy` is asked with position, speed, angle and angular speed in m, m/s, rad and rad/s; its
    /// answer is the share of the full force, from -1 to 1.
    #[arg(long, default_value = "cart_pole")]
    endpoint: String,
    /// How long to run.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Steps a second.
    #[arg(long, default_value_t = 500.0)]
    hz: f64,
    /// By what it ticks.
    #[arg(long, value_enum, default_value_t = ClockKind::Pacer)]
    clock: ClockKind,
    /// Says nothing while it runs.
    #[arg(long)]
    quiet: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// What makes the loop tick.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClockKind {
    /// The client's pacer: to the microsecond, and the worker knows when the next call comes.
    Pacer,
    /// Tokio's interval, for comparison: it counts in milliseconds, and the worker has to learn.
    Tokio,
}

enum Clock {
    Pacer(Pacer),
    Tokio(Interval),
}

impl Clock {
    fn new(client: &RpcClient, kind: ClockKind, period: Duration) -> Self {
        match kind {
            ClockKind::Pacer => Self::Pacer(client.pacer(period)),
            ClockKind::Tokio => {
                let mut interval = tokio::time::interval(period);
                interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
                Self::Tokio(interval)
            }
        }
    }

    /// Waits for the next tick; gives how much later than due it came.
    async fn tick(&mut self) -> Duration {
        match self {
            Self::Pacer(pacer) => {
                pacer.tick().await;
                pacer.lateness()
            }
            Self::Tokio(interval) => interval.tick().await.elapsed(),
        }
    }
}

impl State {
    /// Almost upright; the small lean differs from episode to episode, without chance.
    fn start(episode: u64) -> Self {
        let lean = 0.01 * (1.0 + (episode % 5) as f64);
        Self {
            x: 0.0,
            x_dot: 0.0,
            theta: if episode.is_multiple_of(2) { lean } else { -lean },
            theta_dot: 0.0,
        }
    }

    /// One Euler step of `tau` seconds under `force` newtons.
    fn step(&self, force: f64, tau: f64) -> Self {
        let total_mass = CART_MASS + POLE_MASS;
        let pole_moment = POLE_MASS * HALF_LENGTH;
        let (sin, cos) = self.theta.sin_cos();
        let common = (force + pole_moment * self.theta_dot.powi(2) * sin) / total_mass;
        let theta_acc = (GRAVITY * sin - cos * common)
            / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.powi(2) / total_mass));
        let x_acc = common - pole_moment * theta_acc * cos / total_mass;
        Self {
            x: self.x + tau * self.x_dot,
            x_dot: self.x_dot + tau * x_acc,
            theta: self.theta + tau * self.theta_dot,
            theta_dot: self.theta_dot + tau * theta_acc,
        }
    }

    fn failed(&self) -> bool {
        self.theta.abs() > FALLEN || self.x.abs() > TRACK
    }
}

/// What one handler version did.
#[derive(Default)]
struct Record {
    calls: u64,
    /// Episodes in which it had the last word.
    episodes: u64,
    /// Seconds that those lasted.
    balanced: f64,
}

/// The whole run.
#[derive(Default)]
struct Run {
    steps: u64,
    episodes: u64,
    missed: u64,
    errors: BTreeMap<&'static str, u64>,
    versions: BTreeMap<u32, Record>,
}

/// Nanoseconds.
struct Times {
    /// From each call to its answer.
    trips: Histogram<u64>,
    /// From when each tick was due to when it came.
    lateness: Histogram<u64>,
}

impl Times {
    fn new() -> anyhow::Result<Self> {
        let times = || Histogram::new_with_max(3_600_000_000_000, 3);
        Ok(Self { trips: times()?, lateness: times()? })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client =
        RpcClient::builder(&options.endpoint).wait_for_worker(Duration::from_secs(10)).connect().await?;
    let mut times = Times::new()?;
    let run = balance(&client, &options, &mut times).await?;
    client.close().await;
    report(&options, &run, &times);
    Ok(())
}

async fn balance(client: &RpcClient, options: &Options, times: &mut Times) -> anyhow::Result<Run> {
    let tau = 1.0 / options.hz;
    let tick = Duration::from_secs_f64(tau);
    let mut clock = Clock::new(client, options.clock, tick);
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (mut run, mut state, mut begun) = (Run::default(), State::start(0), 0_u64);
    let (mut version, mut force) = (0, 0.0);
    let start = Instant::now();
    let mut said = start;
    while start.elapsed().as_secs_f64() < options.seconds {
        let late = tokio::select! {
            late = clock.tick() => late,
            _ = tokio::signal::ctrl_c() => break,
            _ = terminated.recv() => break,
        };
        let ticked = Instant::now();
        times.lateness.saturating_record(late.as_nanos() as u64);
        match client.request_of(&POLICY).timeout(Duration::from_secs(1)).send::<_, f64>(&state).await {
            Ok(reply) => {
                times.trips.saturating_record(reply.timing().round_trip.as_nanos() as u64);
                version = reply.version();
                run.versions.entry(version).or_default().calls += 1;
                force = reply.into_value().clamp(-1.0, 1.0) * FULL_FORCE;
            }
            // The last force goes on: a robot does not stop falling while its policy fails.
            Err(error) => *run.errors.entry(error.code().name()).or_default() += 1,
        }
        run.missed += u64::from(ticked.elapsed() + late > tick);
        state = state.step(force, tau);
        run.steps += 1;
        if state.failed() {
            let lasted = (run.steps - begun) as f64 * tau;
            end_episode(&mut run, version, lasted);
            begun = run.steps;
            state = State::start(run.episodes);
        }
        if !options.quiet && said.elapsed() > Duration::from_secs(1) {
            said = Instant::now();
            eprintln!("{} steps, {} episodes, version {version}", run.steps, run.episodes);
        }
    }
    // The episode that is still going on counts as long as it lasted.
    let lasted = (run.steps - begun) as f64 * tau;
    end_episode(&mut run, version, lasted);
    Ok(run)
}

fn end_episode(run: &mut Run, version: u32, seconds: f64) {
    run.episodes += 1;
    let record = run.versions.entry(version).or_default();
    record.episodes += 1;
    record.balanced += seconds;
}

fn report(options: &Options, run: &Run, Times { trips, lateness }: &Times) {
    let micros = |times: &Histogram<u64>| {
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": times.max() as f64 / 1e3})
    };
    let versions: Vec<Value> = run
        .versions
        .iter()
        .map(|(version, record)| {
            json!({
                "version": version,
                "calls": record.calls,
                "episodes": record.episodes,
                "mean_balanced_s": record.balanced / record.episodes.max(1) as f64,
            })
        })
        .collect();
    let report = json!({
        "calls": trips.len() + run.errors.values().sum::<u64>(),
        "errors": run.errors.values().sum::<u64>(),
        "errors_by_code": run.errors,
        "steps": run.steps,
        "episodes": run.episodes,
        "missed_ticks": run.missed,
        "round_trip_us": micros(trips),
        "lateness_us": micros(lateness),
        "versions": versions,
    });
    if options.json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
}
