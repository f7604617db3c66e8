//! Queries a Zenoh queryable and reports the times, in the form of the program `load`.
//!
//! `peer-zenoh --path /tmp/add.sock --seconds 2`

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Parser;
use pycrust_peers_calling::{Args, Caller, Calls};
use zenoh::Config;
use zenoh::query::{ConsolidationMode, Querier};

/// Calls `add` of a Zenoh queryable.
#[derive(Parser, Clone)]
struct Options {
    /// The socket that it listens on.
    #[arg(long)]
    path: PathBuf,
    #[command(flatten)]
    calls: Calls,
}

/// What Zenoh has for querying the same thing again and again.
struct Client(Querier<'static>);

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        let replies = self.0.get().payload(rmp_serde::to_vec_named(&args)?).await.map_err(failed)?;
        let reply = replies.recv_async().await.map_err(|_| anyhow!("no reply"))?;
        let sample = reply.result().map_err(|error| anyhow!("an error in reply: {error:?}"))?;
        Ok(rmp_serde::from_slice(&sample.payload().to_bytes())?)
    }
}

fn failed(error: zenoh::Error) -> anyhow::Error {
    anyhow!("zenoh: {error}")
}

/// One host: a peer that connects to the other's Unix socket, without looking for any others.
fn config(path: &std::path::Path) -> zenoh::Result<Config> {
    let mut config = Config::default();
    for (key, value) in [
        ("mode", r#""peer""#.to_owned()),
        ("connect/endpoints", format!(r#"["unixsock-stream/{}"]"#, path.display())),
        ("listen/endpoints", "[]".to_owned()),
        ("scouting/multicast/enabled", "false".to_owned()),
        ("transport/unicast/lowlatency", "true".to_owned()),
        ("transport/unicast/qos/enabled", "false".to_owned()),
    ] {
        config.insert_json5(key, &value)?;
    }
    Ok(config)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let session = zenoh::open(config(&options.path).map_err(failed)?).await.map_err(failed)?;
    // There is one to answer, so that nothing is gained by waiting for the answers of others.
    let querier =
        session.declare_querier("bench/add").consolidation(ConsolidationMode::None).await.map_err(failed)?;
    let times = tokio::spawn(options.calls.make(Client(querier))).await??;
    println!("{}", times.report());
    session.close().await.map_err(failed)
}
