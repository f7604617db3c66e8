//! A control loop with eyes: three camera images of 224×224×3 and a state vector per call, at a fixed rate.
//!
//! `cameras --endpoint NAME --method act --hz 240 --seconds 10 --json`
//!
//! A tick whose answer comes after the next one was due is a missed deadline; the ticks that it took are not
//! made up for. With `--beside METHOD`, seconds of images take turns with seconds of empty calls to that method and
//! seconds in which a byte goes to another process and back, the floor: what the machine does meanwhile falls on all of
//! them.
#![allow(
    clippy::print_stdout,
    clippy::cast_sign_loss,
    reason = "a program; its times and counts are positive"
)]

use std::io::{PipeReader, PipeWriter, Read, Write, pipe, stdin, stdout};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use hdrhistogram::Histogram;
use pycrust_client::{Pacer, RpcClient, Tensor, TensorMut, TensorView};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const SHAPE: [usize; 3] = [224, 224, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const JOINTS: usize = 7;

/// What the other process of the floor is called with.
const ECHO: &str = "--echo-of-the-floor";

/// Sends images and a state vector at a fixed rate.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method: it takes three images and a state, and gives an array.
    #[arg(long, default_value = "act")]
    method: String,
    /// Calls a second.
    #[arg(long, default_value_t = 240.0)]
    hz: f64,
    /// How long, of each kind.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// A method that takes nothing: empty calls to it, and the floor, take turns with the images.
    #[arg(long)]
    beside: Option<String>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The images, where they are sent from.
type Images = [TensorMut<u8>; 3];

/// What the cameras would write.
fn expose(images: &mut Images, tick: u64) {
    for (number, image) in images.iter_mut().enumerate() {
        let shade = (tick as usize * 3 + number * 80) as u8;
        for (at, row) in image.as_mut_slice().chunks_exact_mut(SHAPE[1] * SHAPE[2]).enumerate() {
            row.fill(shade.wrapping_add(at as u8));
        }
    }
}

/// Times of what is done at each tick.
struct Times {
    round_trip: Histogram<u64>,
    handler: Histogram<u64>,
    ticks: u64,
    missed: u64,
    errors: u64,
}

impl Times {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Ok(Self { round_trip: histogram()?, handler: histogram()?, ticks: 0, missed: 0, errors: 0 })
    }

    fn round_trip(&mut self, time: Duration) {
        self.round_trip.saturating_record(time.as_nanos() as u64);
    }

    fn report(&self) -> Value {
        let quantiles = |of: &Histogram<u64>| {
            let us = |quantile| of.value_at_quantile(quantile) as f64 / 1e3;
            json!({"p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p999": us(0.999), "max": us(1.0)})
        };
        json!({
            "ticks": self.ticks,
            "missed": self.missed,
            "errors": self.errors,
            "round_trip_us": quantiles(&self.round_trip),
            "handler_us": quantiles(&self.handler),
        })
    }
}

/// Waits for the next tick, and says how late it came.
trait Clock {
    fn tick(&mut self) -> Duration;
}

/// The client's pacer: it is awake in time, and the worker with it.
struct Paced<'a>(&'a Runtime, Pacer);

impl Clock for Paced<'_> {
    fn tick(&mut self) -> Duration {
        self.0.block_on(self.1.tick());
        self.1.lateness()
    }
}

/// A thread that sleeps in the kernel until each tick, for what is called without a client.
struct Asleep {
    due: Instant,
    period: Duration,
}

impl Clock for Asleep {
    fn tick(&mut self) -> Duration {
        let now = Instant::now();
        while self.due + self.period < now {
            self.due += self.period;
        }
        self.due += self.period;
        std::thread::sleep(self.due.saturating_duration_since(now));
        self.due.elapsed()
    }
}

/// Does something at each tick of a clock, and counts the ticks that came while it was still at an earlier one.
fn paced(
    clock: &mut dyn Clock,
    period: Duration,
    ticks: u64,
    times: &mut Times,
    mut tick: impl FnMut(u64, &mut Times) -> Result<()>,
) -> Result<()> {
    for _ in 0..ticks {
        let late = clock.tick();
        let next = Instant::now() + period.saturating_sub(late);
        tick(times.ticks, times)?;
        times.ticks += 1;
        let now = Instant::now();
        if now > next {
            times.missed += ((now - next).as_nanos() / period.as_nanos() + 1) as u64;
        }
    }
    Ok(())
}

/// The loop's calls.
struct Caller<'a> {
    runtime: Arc<Runtime>,
    client: RpcClient,
    options: &'a Options,
    /// Ticks whose images were all built in shared memory.
    shared: u64,
    last: Option<Vec<f32>>,
}

impl Caller<'_> {
    fn images(&mut self, tick: u64, times: &mut Times) -> Result<()> {
        let build = self.client.build(3 * (IMAGE + 64), |arena| {
            [arena.allocate(&SHAPE), arena.allocate(&SHAPE), arena.allocate(&SHAPE)]
        });
        let mut images = self.runtime.block_on(build)?;
        self.shared += u64::from(images.iter().all(TensorMut::is_shared));
        expose(&mut images, tick);
        let state = Tensor::from(vec![tick as f64 / self.options.hz; JOINTS]);
        let begun = Instant::now();
        let called = self.client.request(&self.options.method).send::<_, TensorView>(&(&images, state));
        match self.runtime.block_on(called) {
            Ok(reply) => {
                times.round_trip(begun.elapsed());
                let timing = reply.timing();
                times.handler.saturating_record((timing.handler + timing.interpreter).as_nanos() as u64);
                self.last = reply.value().to_vec::<f32>().ok();
            }
            Err(error) => {
                if times.errors == 0 {
                    eprintln(&error.to_string());
                }
                times.errors += 1;
            }
        }
        Ok(())
    }

    fn empty(&self, method: &str, times: &mut Times) {
        let begun = Instant::now();
        match self.runtime.block_on(self.client.call::<_, ()>(method, &())) {
            Ok(()) => times.round_trip(begun.elapsed()),
            Err(_) => times.errors += 1,
        }
    }
}

/// A process that sends every byte back.
struct Floor {
    process: Child,
    there: PipeWriter,
    back: PipeReader,
}

impl Floor {
    fn start() -> Result<Self> {
        let ((heard, there), (back, said)) = (pipe()?, pipe()?);
        let echo = std::env::current_exe()?;
        let process =
            Command::new(echo).arg(ECHO).stdin(Stdio::from(heard)).stdout(Stdio::from(said)).spawn()?;
        Ok(Self { process, there, back })
    }

    fn round_trip(&mut self, times: &mut Times) -> Result<()> {
        let begun = Instant::now();
        self.there.write_all(&[1])?;
        self.back.read_exact(&mut [0])?;
        times.round_trip(begun.elapsed());
        Ok(())
    }

    fn end(self) -> Result<()> {
        let Self { mut process, there, .. } = self;
        drop(there);
        process.wait()?;
        Ok(())
    }
}

fn echo() -> Result<()> {
    let (mut heard, mut said) = (stdin().lock(), stdout().lock());
    let mut byte = [0];
    while heard.read(&mut byte)? > 0 {
        said.write_all(&byte)?;
        said.flush()?;
    }
    Ok(())
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(ECHO) {
        return echo();
    }
    let options = Options::parse();
    let runtime = Arc::new(Runtime::new()?);
    let client = runtime.block_on(RpcClient::connect(&options.endpoint))?;
    let period = Duration::from_secs_f64(1.0 / options.hz);
    let mut left = (options.seconds * options.hz) as u64;
    let (mut images, mut empty, mut bare) = (Times::new()?, Times::new()?, Times::new()?);
    let mut caller = Caller { runtime, client, options: &options, shared: 0, last: None };
    let mut floor = options.beside.as_ref().map(|_| Floor::start()).transpose()?;
    while left > 0 {
        let ticks = left.min(options.hz.ceil() as u64);
        left -= ticks;
        let (runtime, pacer) = (Arc::clone(&caller.runtime), caller.client.pacer(period));
        let mut clock = Paced(&runtime, pacer);
        paced(&mut clock, period, ticks, &mut images, |tick, times| caller.images(tick, times))?;
        if let (Some(method), Some(floor)) = (&options.beside, &mut floor) {
            paced(&mut clock, period, ticks, &mut empty, |_, times| {
                caller.empty(method, times);
                Ok(())
            })?;
            drop(clock);
            let mut clock = Asleep { due: Instant::now(), period };
            paced(&mut clock, period, ticks, &mut bare, |_, times| floor.round_trip(times))?;
        }
    }
    let Caller { runtime, client, shared, last, .. } = caller;
    runtime.block_on(client.close());
    let mut report = images.report();
    report["hz"] = json!(options.hz);
    report["in_place"] = json!(shared);
    report["last"] = json!(last);
    if let Some(floor) = floor {
        floor.end()?;
        report["empty"] = empty.report();
        report["floor"] = bare.report();
    }
    if options.json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the first error, for whoever runs this")]
fn eprintln(text: &str) {
    eprintln!("{text}");
}
