//! One client object through its worker's death: a call in flight, then calls until a successor answers.
//!
//! `survivor --endpoint NAME` calls `nap(60.0)`, prints how that ended, then calls `ping` until it is answered.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use pycrust_client::{Error, RpcClient};
use serde_json::json;

/// Calls through a worker's death.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let client = RpcClient::builder(&options.endpoint).timeout(Duration::from_secs(120)).connect().await?;
    println!("calling");
    let napped: Result<String, Error> = client.call("nap", &(60.0,)).await;
    match napped {
        Ok(answer) => println!("{}", json!({ "code": "OK", "answer": answer })),
        Err(error) => {
            println!("{}", json!({ "code": error.code().name(), "may_have_run": error.may_have_run() }));
        }
    }
    let mut codes = BTreeMap::<&str, u64>::new();
    let answered = loop {
        match client.call::<_, String>("ping", &()).await {
            Ok(answer) => break answer,
            Err(error) => *codes.entry(error.code().name()).or_default() += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    client.close().await;
    println!("{}", json!({ "answered": answered, "codes": codes }));
    Ok(())
}
