//! One call from the shell: `call --endpoint calculator --method add --args '{"a": 1, "b": 2}'`.
//!
//! Prints one line of JSON, `{"value": …, "version": …}` or `{"error": …}`. The arguments are JSON: an object binds
//! by name, an array by position.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use clap::Parser;
use pycrust_client::{Details, Error, RpcClient};
use serde_json::{Value, json};

/// Calls one method and prints its answer as JSON.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method to call.
    #[arg(long)]
    method: String,
    /// The arguments as JSON.
    #[arg(long, default_value = "null", value_parser = json_value)]
    args: Value,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let answer = match call(&options).await {
        Ok(answer) => answer,
        Err(error) => json!({ "error": describe(&error) }),
    };
    println!("{answer}");
}

async fn call(options: &Options) -> Result<Value, Error> {
    let client = RpcClient::connect(&options.endpoint).await?;
    let reply = client.request(&options.method).send::<_, Value>(&options.args).await?;
    let version = reply.version();
    let answer = json!({ "value": reply.into_value(), "version": version });
    client.close().await;
    Ok(answer)
}

fn describe(error: &Error) -> Value {
    let details = match error.details() {
        Details::Validation(issues) => json!(issues),
        _ => error.details_as::<Value>().unwrap_or(Value::Null),
    };
    json!({
        "code": error.code().name(),
        "message": error.message(),
        "exception": error.exception(),
        "details": details,
        "traceback": error.traceback(),
        "may_have_run": error.may_have_run(),
        "shown": error.to_string(),
        "debug": format!("{error:?}"),
    })
}

fn json_value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}
