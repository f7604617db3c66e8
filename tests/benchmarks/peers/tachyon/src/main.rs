//! Calls through Tachyon's RPC and reports the times, in the form of the program `load`.
//!
//! `peer-tachyon --path /tmp/add.sock --seconds 2`

use std::time::{Duration, Instant};

use clap::Parser;
use pycrust_peers_calling::{Args, Caller, Calls};
use tachyon_ipc::RpcBus;

/// Rounds of looking for an answer before sleeping: its documentation's.
const SPINS: u32 = 10_000;

/// Calls `add` over Tachyon.
#[derive(Parser, Clone)]
struct Options {
    /// The socket that both sides meet at.
    #[arg(long)]
    path: String,
    #[command(flatten)]
    calls: Calls,
}

/// How long the other side may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

struct Client(RpcBus);

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        let call = self.0.call(&rmp_serde::to_vec_named(&args)?, 1)?;
        let answer = self.0.wait(call, SPINS)?;
        let sum = rmp_serde::from_slice(answer.data())?;
        answer.commit()?;
        Ok(sum)
    }
}

/// The other side can say that it is about to listen, not that it does: listening waits for this.
fn connect(path: &str) -> anyhow::Result<RpcBus> {
    let until = Instant::now() + PATIENCE;
    loop {
        match RpcBus::connect(path) {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            connected => return Ok(connected?),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = Client(connect(&options.path)?);
    println!("{}", options.calls.make_here(client)?.report());
    Ok(())
}
