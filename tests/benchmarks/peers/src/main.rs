//! Calls `add` of one of the peers from Tokio tasks and reports the times, in the form of the `load` example.
//!
//! `peer --kind socket --path /tmp/add.sock --tasks 1 --seconds 2`

mod grpc;
mod iceoryx;
mod measure;
#[path = "../../../../client-rs/examples/pace/mod.rs"]
mod pace;
mod socket;
mod zmq;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::measure::Times;
use crate::pace::Pace;

/// Calls `add` of one of the peers.
#[derive(Parser, Clone)]
struct Options {
    /// Which peer.
    #[arg(long)]
    kind: Kind,
    /// Its socket, or iceoryx2's directory.
    #[arg(long)]
    path: PathBuf,
    /// Tasks that call at the same time.
    #[arg(long, default_value_t = 1)]
    tasks: usize,
    /// How long to go on.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Calls a second and task; without it, as fast as answers come.
    #[arg(long)]
    pace: Option<f64>,
}

/// The peers.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Grpc,
    Iceoryx2,
    Iceoryx2Polled,
    Socket,
    Zeromq,
}

/// The arguments of `add`, as they are for this project.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Args {
    a: i32,
    b: i32,
}

const ARGS: Args = Args { a: 1, b: 2 };

/// Calls that one task makes, one after another.
trait Caller: Send + 'static {
    /// Makes one call.
    fn add(&mut self, args: Args) -> impl Future<Output = anyhow::Result<i64>> + Send;
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let times = match options.kind {
        // Its ports block or poll: they are for threads, not for tasks.
        Kind::Iceoryx2 => iceoryx::run(&options, false)?,
        Kind::Iceoryx2Polled => iceoryx::run(&options, true)?,
        _ => tokio::runtime::Runtime::new()?.block_on(run(&options))?,
    };
    println!("{}", times.report());
    Ok(())
}

async fn run(options: &Options) -> anyhow::Result<Times> {
    let mut callers = tokio::task::JoinSet::new();
    let channel = match options.kind {
        Kind::Grpc => Some(grpc::connect(&options.path).await?),
        _ => None,
    };
    let begun = std::time::Instant::now();
    for _ in 0..options.tasks {
        let options = options.clone();
        let path = options.path.clone();
        match (options.kind, &channel) {
            (Kind::Grpc, Some(channel)) => {
                let caller = grpc::Client::new(channel.clone());
                callers.spawn(call(caller, options));
            }
            (Kind::Socket, _) => {
                let caller = socket::Client::connect(&path).await?;
                callers.spawn(call(caller, options));
            }
            _ => {
                let caller = zmq::Client::connect(&path).await?;
                callers.spawn(call(caller, options));
            }
        }
    }
    let mut times = Times::new();
    while let Some(done) = callers.join_next().await {
        times.add(&done??);
    }
    times.took = begun.elapsed();
    Ok(times)
}

async fn call(mut caller: impl Caller, options: Options) -> anyhow::Result<Times> {
    let mut times = Times::new();
    let pace = options.pace.map(Pace::new).transpose()?;
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs_f64() < options.seconds {
        if let Some(pace) = &pace {
            pace.tick().await?;
        }
        let sent = std::time::Instant::now();
        let sum = caller.add(ARGS).await?;
        times.record(sent.elapsed());
        anyhow::ensure!(sum == i64::from(ARGS.a) + i64::from(ARGS.b), "wrong sum: {sum}");
    }
    Ok(times)
}
