//! Round trips of arrays of one size: built in place, and copied in; beside an empty call and a memcpy.
//!
//! `payloads --endpoint NAME --bytes 1048576 --seconds 1` calls `swallow`, which looks at nothing, and prints a
//! line of JSON, in microseconds. The first call of each kind, which makes the memory, is reported apart.
#![allow(
    clippy::print_stdout,
    clippy::cast_sign_loss,
    reason = "a program; its times and counts are positive"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use pycrust_client::{RpcClient, Tensor};
use serde_json::{Value, json};

/// Measures one size.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The array's size.
    #[arg(long)]
    bytes: usize,
    /// How long for each kind.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// The times of one kind.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e6);
    }

    fn report(&mut self) -> Value {
        let first = self.0.first().copied();
        // Warm from the third on: the second still makes a page here and there.
        let mut warm = self.0.split_off(self.0.len().min(2));
        warm.sort_by(f64::total_cmp);
        let quantile = |part: f64| warm.get(((warm.len() as f64 - 1.0) * part) as usize).copied();
        json!({"first": first, "p50": quantile(0.5), "p99": quantile(0.99), "calls": warm.len()})
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let client = RpcClient::connect(&options.endpoint).await?;
    let bytes = options.bytes;
    let source = Tensor::from(vec![1_u8; bytes]);
    let mut target = vec![2_u8; bytes];
    let (mut empty, mut place, mut copied, mut memcpy) =
        (Times::default(), Times::default(), Times::default(), Times::default());
    let until = Instant::now() + Duration::from_secs_f64(4.0 * options.seconds);
    // Each round does every kind once: what the machine does meanwhile falls on all of them.
    for round in 0.. {
        let begun = Instant::now();
        client.call::<_, ()>("swallow", &()).await?;
        empty.add(begun.elapsed());

        let mut built = client.allocate::<u8>(&[bytes]).await?;
        if round < 2 {
            built.as_mut_slice().fill(3);
        }
        let begun = Instant::now();
        client.call::<_, ()>("swallow", &(&built,)).await?;
        place.add(begun.elapsed());

        let begun = Instant::now();
        client.call::<_, ()>("swallow", &(&source,)).await?;
        copied.add(begun.elapsed());

        let begun = Instant::now();
        black_box(&mut target[..]).copy_from_slice(black_box(source.as_slice()));
        memcpy.add(begun.elapsed());
        if round >= 4 && Instant::now() > until {
            break;
        }
    }
    client.close().await;
    println!(
        "{}",
        json!({
            "bytes": bytes,
            "empty": empty.report(),
            "in_place": place.report(),
            "copied": copied.report(),
            "memcpy": memcpy.report(),
        })
    );
    Ok(())
}
