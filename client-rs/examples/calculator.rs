//! Calls the calculator of the quickstart: adds 10 and 20, and pings.
//!
//! The module `calculator` is made of the lock file, which `pycrust types calculator --lock calculator.schema.json` writes while
//! the notebook serves: a handler whose arguments change does not compile here.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use crate::calculator::CalculatorClient;

pycrust_client::service!("calculator", lock = "examples/calculator.schema.json");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = CalculatorClient::connect().await?;
    println!("10 + 20 = {}", client.add(10, 20).await?);
    println!("ping: {}", client.ping().await?);
    client.client().close().await;
    Ok(())
}
