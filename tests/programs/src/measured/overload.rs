//! Calls at a rate of its own, whatever comes back: what a worker that can't keep up does to its callers.
//!
//! `overload --endpoint NAME --method work --rate 20000 --clients 4 --seconds 10` calls with `(number,)`, numbers from 0 up,
//! and expects the number back. A last call, once the load is over, says how soon somebody is served again. Prints a
//! report as JSON.
#![allow(clippy::print_stdout, reason = "a program that prints")]

#[path = "../../../../client-rs/examples/pace/mod.rs"]
mod pace;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use pycrust_client::{Reply, RpcClient, WhenFull};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::pace::Pace;

/// How often in a second calls are made, those that are due by then.
const TICKS: f64 = 1000.0;

/// Calls at a rate of its own, whatever comes back.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method to call, with a number that it gives back.
    #[arg(long)]
    method: String,
    /// Calls a second, in all.
    #[arg(long)]
    rate: u32,
    /// Connections that the calls are spread over.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// How long to go on; without it, until standard input ends.
    #[arg(long)]
    seconds: Option<f64>,
    /// A call's time in milliseconds.
    #[arg(long, default_value_t = 1000)]
    timeout_ms: u64,
    /// The time of half of the calls in milliseconds, where it is a shorter one.
    #[arg(long)]
    short_ms: Option<u64>,
    /// How long the calls of that half have the worker compute, in microseconds, if it is not to choose.
    #[arg(long, requires = "short_ms")]
    short_work_us: Option<u64>,
    /// Has calls wait in the order in which they came: the worker is told of all that they have the longer time, and those
    /// with the shorter one are cancelled at its end.
    #[arg(long, requires = "short_ms")]
    first_come: bool,
    /// Calls wait for a place within their time, where they would fail for want of one.
    #[arg(long)]
    wait: bool,
    /// Where to write every call as a line of JSON.
    #[arg(long)]
    history: Option<PathBuf>,
}

/// One call as its caller saw it.
struct Call {
    number: u64,
    /// Whether its time was the shorter one.
    short: bool,
    /// The code's name, `OK` for the number that was sent.
    code: &'static str,
    may_have_run: bool,
    took: Duration,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    // Connected before the load and on no runtime, so that nothing but a call is what it waits for afterwards.
    let mut later = RpcClient::builder(&options.endpoint)
        .when_full(WhenFull::Wait)
        .timeout(Duration::MAX)
        .connect_blocking()?;
    let clients = runtime.block_on(connect(&options))?;
    println!("calling");
    let over = Arc::new(AtomicBool::new(false));
    if options.seconds.is_none() {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            over.store(true, Ordering::Relaxed);
            ended
        });
    }
    let calls = Arc::new(Mutex::new(Vec::new()));
    // Each call holds one end; the other one hears when the last is gone.
    let (held, mut ended) = mpsc::channel::<()>(1);
    let begun = Instant::now();
    let sent = runtime.block_on(offer(&options, &clients, &over, &calls, held))?;
    let took = begun.elapsed();
    // The queues are as the load has left them.
    let after = Instant::now();
    let answer: Value = later.call(&options.method, &(sent,))?;
    let after = after.elapsed();
    anyhow::ensure!(answer == json!(sent), "the call after the load was answered {answer}");
    runtime.block_on(async {
        let _ = ended.recv().await;
        for client in clients {
            client.close().await;
        }
    });
    let calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(path) = &options.history {
        write_history(&mut BufWriter::new(File::create(path)?), &calls)?;
    }
    println!("{}", report(&calls, sent, took, after)?);
    Ok(())
}

async fn connect(options: &Options) -> anyhow::Result<Vec<RpcClient>> {
    let when_full = if options.wait { WhenFull::Wait } else { WhenFull::Fail };
    let mut clients = Vec::new();
    for _ in 0..options.clients.max(1) {
        clients.push(RpcClient::builder(&options.endpoint).when_full(when_full).connect().await?);
    }
    Ok(clients)
}

/// Makes the calls and waits for none of them; how many there were.
async fn offer(
    options: &Options,
    clients: &[RpcClient],
    over: &AtomicBool,
    calls: &Arc<Mutex<Vec<Call>>>,
    held: mpsc::Sender<()>,
) -> anyhow::Result<u64> {
    let method: Arc<str> = options.method.as_str().into();
    let long = Duration::from_millis(options.timeout_ms);
    let short = options.short_ms.map(Duration::from_millis);
    let pace = Pace::new(TICKS)?;
    let begun = Instant::now();
    let until = options.seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) && until.is_none_or(|until| Instant::now() < until) {
        pace.tick().await?;
        let due = (begun.elapsed().as_nanos() * u128::from(options.rate) / 1_000_000_000) as u64;
        for (number, client) in (sent..due).zip(clients.iter().cycle()) {
            let (client, method, calls, held) =
                (client.clone(), Arc::clone(&method), Arc::clone(calls), held.clone());
            let short = short.filter(|_| is_short(number));
            let work_us = options.short_work_us.filter(|_| short.is_some());
            let told = short.filter(|_| !options.first_come).unwrap_or(long);
            tokio::spawn(async move {
                let answer = one(&client, &method, told, number, work_us);
                let call = match short {
                    Some(short) => match tokio::time::timeout(short, answer).await {
                        Ok(call) => Call { short: true, ..call },
                        Err(_) => {
                            Call { number, short: true, code: "cancelled", may_have_run: true, took: short }
                        }
                    },
                    None => answer.await,
                };
                calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                drop(held);
            });
        }
        sent = due.max(sent);
    }
    Ok(sent)
}

/// Whether a call's time is the shorter one: half of any clients' calls, in no rhythm.
fn is_short(number: u64) -> bool {
    // 2^64 by the golden ratio, as Fibonacci hashing has it.
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 1
}

async fn one(client: &RpcClient, method: &str, timeout: Duration, number: u64, work_us: Option<u64>) -> Call {
    let sent = Instant::now();
    let request = client.request(method).timeout(timeout);
    let answer = match work_us {
        Some(micros) => request.send::<_, u64>(&(number, micros)).await,
        None => request.send(&(number,)).await,
    };
    let took = sent.elapsed();
    let (code, may_have_run) = match answer.map(Reply::into_value) {
        Ok(back) if back == number => ("OK", true),
        Ok(_) => ("another call's answer", true),
        Err(error) => (error.code().name(), error.may_have_run()),
    };
    Call { number, short: false, code, may_have_run, took }
}

fn write_history(out: &mut impl Write, calls: &[Call]) -> anyhow::Result<()> {
    for Call { number, code, may_have_run, .. } in calls {
        writeln!(out, "{}", json!({ "number": number, "code": code, "may_have_run": may_have_run }))?;
    }
    Ok(out.flush()?)
}

fn report(calls: &[Call], sent: u64, took: Duration, after: Duration) -> anyhow::Result<Value> {
    let mut by_code = BTreeMap::<&str, Histogram<u64>>::new();
    for call in calls {
        let times = match by_code.get_mut(call.code) {
            Some(times) => times,
            None => by_code.entry(call.code).or_insert(Histogram::new_with_max(3_600_000_000_000, 3)?),
        };
        times.saturating_record(call.took.as_nanos() as u64);
    }
    let codes: BTreeMap<_, _> = by_code
        .iter()
        .map(|(code, times)| {
            let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
            let (p50, p90, p99, p999) = (micros(0.5), micros(0.9), micros(0.99), micros(0.999));
            (code, json!({ "calls": times.len(), "p50": p50, "p90": p90, "p99": p99, "p999": p999 }))
        })
        .collect();
    let in_time = |short| calls.iter().filter(|call| call.code == "OK" && call.short == short).count();
    Ok(json!({
        "sent": sent,
        "seconds": took.as_secs_f64(),
        "codes": codes,
        "in_time": { "short": in_time(true), "long": in_time(false) },
        "after_us": after.as_secs_f64() * 1e6,
    }))
}
