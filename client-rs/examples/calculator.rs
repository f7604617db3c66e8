//! Calls the calculator of the quickstart: adds 10 and 20, and pings.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::time::Duration;

use pycrust_client::RpcClient;

#[derive(serde::Serialize)]
struct AddArgs {
    a: i32,
    b: i32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = RpcClient::connect("calculator").await?;
    let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
    println!("10 + 20 = {sum}");
    let pong: String = client.call_with_timeout("ping", &(), Duration::from_secs(5)).await?;
    println!("ping: {pong}");
    client.close().await;
    Ok(())
}
