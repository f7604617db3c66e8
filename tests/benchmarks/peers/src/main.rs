//! Calls `add` of one of the peers from Tokio tasks and reports the times, in the form of the program `load`.
//!
//! `peer --kind socket --path /tmp/add.sock --tasks 1 --seconds 2`

mod grpc;
mod iceoryx;
mod socket;
mod zmq;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pycrust_peers_calling::Calls;
use pycrust_peers_calling::measure::Times;

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
    #[command(flatten)]
    calls: Calls,
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
        let (calls, path) = (options.calls.clone(), &options.path);
        match (options.kind, &channel) {
            (Kind::Grpc, Some(channel)) => {
                let caller = grpc::Client::new(channel.clone());
                callers.spawn(calls.make(caller));
            }
            (Kind::Socket, _) => {
                let caller = socket::Client::connect(path).await?;
                callers.spawn(calls.make(caller));
            }
            _ => {
                let caller = zmq::Client::connect(path).await?;
                callers.spawn(calls.make(caller));
            }
        }
    }
    let mut times = Times::default();
    while let Some(done) = callers.join_next().await {
        times.add(&done??);
    }
    times.took = begun.elapsed();
    Ok(times)
}
