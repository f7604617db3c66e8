//! Calls one method from many tasks and reports what came of it.
//!
//! `load --endpoint NAME --method add --args '{"a": 1, "b": 2}' --tasks 8 --seconds 10 --json`
#![allow(clippy::print_stdout, reason = "a program that prints")]

#[path = "../../../../client-rs/examples/pace/mod.rs"]
mod pace;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use pycrust_client::{Error, RpcClient, Spin, Streaming, Timing};
use serde_json::{Value, json};

use crate::pace::Pace;

/// Calls one method from many tasks.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "a command line has flags")]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method to call.
    #[arg(long)]
    method: String,
    /// The arguments as JSON: an object binds by name, an array by position.
    #[arg(long, default_value = "null", value_parser = json_value)]
    args: Value,
    /// Tasks that call at the same time.
    #[arg(long, default_value_t = 1)]
    tasks: u64,
    /// Connections that the tasks are spread over.
    #[arg(long, default_value_t = 1)]
    clients: u64,
    /// How long to go on; without it, `--calls` says.
    #[arg(long)]
    seconds: Option<f64>,
    /// Goes on until standard input ends.
    #[arg(long)]
    until_eof: bool,
    /// Calls in all; without it, `--seconds` and `--until-eof`, one.
    #[arg(long)]
    calls: Option<u64>,
    /// Calls a second and task; without it, as fast as answers come.
    #[arg(long)]
    pace: Option<f64>,
    /// Ticks by the client's pacer, which tells the worker when the next call comes; with `--pace`.
    #[arg(long, requires = "pace")]
    pacer: bool,
    /// `off`, `adaptive`, or the microseconds to poll for an answer.
    #[arg(long, default_value = "adaptive", value_parser = spin)]
    spin: Spin,
    /// A call's time in milliseconds.
    #[arg(long)]
    timeout_ms: Option<u64>,
    /// Takes a streamed answer; the call's value is the list of its items.
    #[arg(long)]
    stream: bool,
    /// Where to write every call as a line of JSON.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// One call as its caller saw it, in nanoseconds since the start.
struct Call {
    task: u64,
    id: u64,
    sent_ns: u64,
    received_ns: u64,
    version: u32,
    /// Where its time went, in nanoseconds, by [`STAGES`]; nothing for a stream or an error.
    stages: Option<[u64; STAGES.len()]>,
    outcome: Result<Value, &'static str>,
}

/// Where the time of a call goes; see [`Timing`].
const STAGES: [&str; 8] =
    ["round_trip", "transit", "queue", "interpreter", "decode", "handler", "encode", "back"];

fn stages(timing: Timing) -> [u64; STAGES.len()] {
    let Timing { round_trip, transit, queue, interpreter, decode, handler, encode, back, .. } = timing;
    [round_trip, transit, queue, interpreter, decode, handler, encode, back]
        .map(|time| time.as_nanos() as u64)
}

fn main() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(Options::parse()))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for _ in 0..options.clients.max(1) {
        clients.push(RpcClient::builder(&options.endpoint).spin(options.spin).connect().await?);
    }
    let options = Arc::new(options);
    let left = Arc::new(AtomicU64::new(match (options.calls, options.seconds) {
        (Some(calls), _) => calls,
        (None, Some(_)) => u64::MAX,
        (None, None) if options.until_eof => u64::MAX,
        (None, None) => 1,
    }));
    if options.until_eof {
        let left = Arc::clone(&left);
        std::thread::spawn(move || {
            let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            left.store(0, Ordering::Relaxed);
            ended
        });
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..options.tasks)
        .zip(clients.iter().cycle())
        .map(|(task, client)| {
            tokio::spawn(work(client.clone(), Arc::clone(&options), Arc::clone(&left), task, begun))
        })
        .collect();
    let mut calls = Vec::new();
    for task in tasks {
        calls.extend(task.await??);
    }
    let took = begun.elapsed();
    for client in clients {
        client.close().await;
    }
    if let Some(path) = &options.history {
        write_history(&mut BufWriter::new(File::create(path)?), &calls)?;
    }
    report(&options, &calls, took)
}

async fn work(
    client: RpcClient,
    options: Arc<Options>,
    left: Arc<AtomicU64>,
    task: u64,
    begun: Instant,
) -> anyhow::Result<Vec<Call>> {
    let mut calls = Vec::new();
    let until = options.seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let paced = options.pace.filter(|_| options.pacer);
    let mut pacer = paced.map(|hertz| client.pacer(Duration::from_secs_f64(1.0 / hertz)));
    let pace = options.pace.filter(|_| !options.pacer).map(Pace::new).transpose()?;
    let one_less = |left: u64| left.checked_sub(1);
    while until.is_none_or(|until| Instant::now() < until)
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    {
        match (&mut pacer, &pace) {
            (Some(pacer), _) => pacer.tick().await,
            (None, Some(pace)) => pace.tick().await?,
            (None, None) => {}
        }
        let mut request = client.request(&options.method);
        if let Some(millis) = options.timeout_ms {
            request = request.timeout(Duration::from_millis(millis));
        }
        let sent_ns = begun.elapsed().as_nanos() as u64;
        let answer = if options.stream {
            collect(request.stream(&options.args)).await.map(|(version, value)| (version, None, value))
        } else {
            let reply = request.send(&options.args).await;
            reply.map(|reply| (reply.version(), Some(stages(reply.timing())), reply.into_value()))
        };
        let received_ns = begun.elapsed().as_nanos() as u64;
        let (version, stages, outcome) = match answer {
            Ok((version, stages, value)) => (version, stages, Ok(value)),
            Err(error) => (0, None, Err(error.code().name())),
        };
        calls.push(Call { task, id: calls.len() as u64, sent_ns, received_ns, version, stages, outcome });
    }
    Ok(calls)
}

/// A streamed answer's version and items.
async fn collect(mut items: Streaming<Value>) -> Result<(u32, Value), Error> {
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item?);
    }
    Ok((items.version(), Value::Array(all)))
}

fn write_history(out: &mut impl Write, calls: &[Call]) -> anyhow::Result<()> {
    for call in calls {
        let Call { task, id, sent_ns, received_ns, version, outcome, .. } = call;
        let mut line = json!({
            "task": task, "id": id, "sent_ns": sent_ns, "received_ns": received_ns, "version": version,
        });
        match outcome {
            Ok(value) => line["value"] = value.clone(),
            Err(code) => line["code"] = json!(code),
        }
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn report(options: &Options, calls: &[Call], took: Duration) -> anyhow::Result<()> {
    let mut trips = Histogram::<u64>::new_with_max(3_600_000_000_000, 3)?;
    let (mut errors, mut versions) = (BTreeMap::<&str, u64>::new(), BTreeMap::<u32, u64>::new());
    for call in calls {
        trips.saturating_record(call.received_ns - call.sent_ns);
        match call.outcome {
            Ok(_) => *versions.entry(call.version).or_default() += 1,
            Err(code) => *errors.entry(code).or_default() += 1,
        }
    }
    let micros = |quantile| trips.value_at_quantile(quantile) as f64 / 1e3;
    let report = json!({
        "calls": calls.len(),
        "calls_per_second": calls.len() as f64 / took.as_secs_f64(),
        "errors": errors,
        "versions": versions,
        "round_trip_us": {
            "p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "p999": micros(0.999),
            "max": trips.max() as f64 / 1e3,
        },
        "stages_us": median_stages(calls),
        "last": calls.last().and_then(|call| call.outcome.as_ref().ok()),
    });
    if options.json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
    Ok(())
}

/// The median of each stage in microseconds. They don't add up: each is another call's.
fn median_stages(calls: &[Call]) -> BTreeMap<&'static str, f64> {
    let timed: Vec<_> = calls.iter().filter_map(|call| call.stages).collect();
    let median = |stage: usize| {
        let mut times: Vec<_> = timed.iter().map(|stages| stages[stage]).collect();
        times.sort_unstable();
        times.get(times.len() / 2).map(|time| *time as f64 / 1e3)
    };
    STAGES.iter().enumerate().filter_map(|(at, name)| Some((*name, median(at)?))).collect()
}

fn json_value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn spin(text: &str) -> Result<Spin, String> {
    match text {
        "off" => Ok(Spin::Off),
        "adaptive" => Ok(Spin::Adaptive),
        micros => match micros.parse() {
            Ok(micros) => Ok(Spin::For(Duration::from_micros(micros))),
            Err(_) => Err("off, adaptive, or a number of microseconds".into()),
        },
    }
}
