//! Makes calls of every kind until its standard input ends, and notes in a file what becomes of each.
//!
//! `faults --endpoint NAME --file FILE --first 1000000` writes one JSON object a line: when a call begins and when it
//! ends. Each line is one write, so that what was noted is known however the process ends.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use pycrust_client::{Code, Error, Reply, RpcClient, Tensor};
use serde::Serialize;
use serde_json::{Value, json};

/// Elements of an array that is sent: more than fits beside a small frame.
const ELEMENTS: usize = 40_000;

/// Calls of every kind, through whatever becomes of the worker.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// Where calls are noted.
    #[arg(long)]
    file: PathBuf,
    /// The number of the first call.
    #[arg(long)]
    first: u64,
    /// Tasks that call at a time.
    #[arg(long, default_value_t = 4)]
    tasks: u64,
    /// Microseconds between two calls of a task.
    #[arg(long, default_value_t = 300)]
    pause_us: u64,
    /// Runs on one thread.
    #[arg(long)]
    one_thread: bool,
}

/// What all tasks share.
struct Shared {
    client: RpcClient,
    file: File,
    next: AtomicU64,
    ended: AtomicBool,
    pause: Duration,
}

impl Shared {
    /// Writes one line.
    fn note(&self, line: &Value) -> std::io::Result<()> {
        (&self.file).write_all(format!("{line}\n").as_bytes())
    }
}

/// The moment on `CLOCK_MONOTONIC`, in nanoseconds.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// The numbers that a call with streamed arguments sends: its own first.
fn numbers(number: u64) -> impl futures::Stream<Item = u64> + Send + 'static {
    futures::stream::iter([number, 1, 2, 3, 4, 5, 6, 7])
}

/// Makes call `number` of the kind that its turn is; gives the kind and the answer.
async fn one(client: &RpcClient, number: u64, turn: u64) -> (&'static str, Result<Value, Error>) {
    match turn % 14 {
        0 => ("echo", answer(client, "echo", &(number,)).await),
        1 => ("nap", answer(client, "nap", &(number, 0.003)).await),
        2 => ("anap", answer(client, "anap", &(number, 0.003)).await),
        3 => {
            let call = client.request("nap").timeout(Duration::from_millis(2));
            let napped: Result<_, Error> = call.send::<_, Value>(&(number, 0.01)).await;
            ("late", napped.map(Reply::into_value))
        }
        4 => ("count", all(client.stream("count", &(number, 50))).await),
        5 => {
            let mut items = client.request("count").window(4).stream::<_, Value>(&(number, 1_000_000_000u64));
            let first = items.next().await.unwrap_or_else(|| Err(Error::new(Code::Internal, "no item")));
            ("dropped stream", first)
        }
        6 => {
            let call = client.call::<_, Value>("nap", &(number, 0.05));
            match tokio::time::timeout(Duration::from_millis(1), call).await {
                Ok(answered) => ("dropped", answered),
                Err(_) => ("dropped", Err(Error::new(Code::Cancelled, "dropped"))),
            }
        }
        7 => {
            let sum = client.request("add_up").upload::<_, Value>(numbers(number)).await;
            ("upload", sum.map(Reply::into_value))
        }
        8 => ("exchange", all(client.request("running_sums").exchange(numbers(number))).await),
        9 => {
            let sent = Tensor::from(vec![number; ELEMENTS]);
            let doubled = client.call::<_, Tensor<u64>>("double", &(number, &sent)).await;
            let value = doubled.map(|back| {
                let right = back.as_slice().len() == ELEMENTS
                    && back.as_slice().iter().all(|element| *element == 2 * number);
                json!(right.then_some(number))
            });
            ("array", value)
        }
        10 => {
            let sent = client.request("note").notify(&(number,)).await;
            ("one way", sent.map(|()| Value::Null))
        }
        11 => ("fails", answer(client, "fail", &(number,)).await),
        12 => ("batch", answer(client, "square", &(number,)).await),
        _ => {
            let call = client.request("echo_again").idempotent(true);
            let reply: Result<_, Error> = call.send::<_, Value>(&(number,)).await;
            ("idempotent", reply.map(Reply::into_value))
        }
    }
}

/// The answer to an ordinary call.
async fn answer(client: &RpcClient, method: &str, args: &(impl Serialize + Sync)) -> Result<Value, Error> {
    client.call(method, args).await
}

/// All items of a stream.
async fn all(mut items: pycrust_client::Streaming<Value>) -> Result<Value, Error> {
    let mut values = Vec::new();
    while let Some(item) = items.next().await {
        values.push(item?);
    }
    Ok(Value::Array(values))
}

/// Makes calls until it is time to end.
async fn work(shared: Arc<Shared>, task: u64) -> std::io::Result<()> {
    let mut turn = task * 5;
    while !shared.ended.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let began_ns = now_ns();
        shared.note(&json!({ "began": number }))?;
        let (kind, answered) = one(&shared.client, number, turn).await;
        let mut line = json!({ "ended": number, "kind": kind, "began_ns": began_ns, "ended_ns": now_ns() });
        match answered {
            Ok(value) => line["value"] = value,
            Err(error) => {
                line["code"] = error.code().name().into();
                line["may_have_run"] = error.may_have_run().into();
                line["message"] = error.message().into();
            }
        }
        shared.note(&line)?;
        turn += 1;
        tokio::time::sleep(shared.pause).await;
    }
    Ok(())
}

async fn run(options: Options) -> anyhow::Result<()> {
    let builder = RpcClient::builder(&options.endpoint).timeout(Duration::from_secs(120));
    let client = builder.wait_for_worker(Duration::from_secs(120)).connect().await?;
    let file = File::options().append(true).create(true).open(&options.file)?;
    let next = AtomicU64::new(options.first);
    let pause = Duration::from_micros(options.pause_us);
    let shared = Arc::new(Shared { client, file, next, ended: AtomicBool::new(false), pause });
    let tasks: Vec<_> =
        (0..options.tasks).map(|task| tokio::spawn(work(Arc::clone(&shared), task))).collect();
    println!("calling");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    shared.ended.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    shared.client.close().await;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut runtime = if options.one_thread {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let done = runtime.enable_all().build()?.block_on(run(options));
    println!("done");
    done
}
