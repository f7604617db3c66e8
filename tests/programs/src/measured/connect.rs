//! Connects many clients, one after another, prints how long each took, and keeps them until its input ends.
//!
//! `connect --endpoint NAME --clients 64`
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::time::Instant;

use clap::Parser;
use pycrust_client::RpcClient;
use serde_json::json;

/// Connects many clients.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// How many clients.
    #[arg(long, default_value_t = 1)]
    clients: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // The process as it is without clients is read before the first line, and with them after it.
    println!("{}", json!({"pid": std::process::id()}));
    wait_for_line().await?;
    let (mut clients, mut millis) = (Vec::new(), Vec::new());
    for _ in 0..options.clients {
        let begun = Instant::now();
        clients.push(RpcClient::connect(&options.endpoint).await?);
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!("{}", json!({"connect_ms": millis}));
    wait_for_line().await?;
    for client in clients {
        client.close().await;
    }
    Ok(())
}

/// Waits for a line on the input, or for its end.
async fn wait_for_line() -> anyhow::Result<()> {
    Ok(tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()).map(drop)).await??)
}
