//! Round trips of ticks in each form that they can cross in: as maps, as one array of records that is copied in, and as
//! one that is built in place.
//!
//! `ticks --endpoint NAME --form maps --count 100 --seconds 1` calls `turnover`, checks what it answers, and prints a
//! line of JSON. Making the ticks belongs to the round trip, as it does in a program that has new ones each time.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use pycrust_client::{Record, RpcClient, Tensor};
use serde::Serialize;
use serde_json::json;

/// Measures one form.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// How they cross.
    #[arg(long)]
    form: Form,
    /// Ticks of one call.
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// How long.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Maps,
    Records,
    InPlace,
}

#[derive(Clone, Copy, Pod, Zeroable, Record, Serialize)]
#[repr(C)]
struct Tick {
    at: i64,
    price: f64,
    size: u32,
    side: u8,
    #[record(padding)]
    #[serde(skip)]
    gap: [u8; 3],
}

fn tick(number: u32) -> Tick {
    let side = (number % 2) as u8;
    Tick { at: i64::from(number), price: 100.0 + f64::from(number) / 4.0, size: number, side, gap: [0; 3] }
}

async fn turnover(client: &RpcClient, form: Form, count: u32) -> Result<f64> {
    let ticks = (0..count).map(tick);
    Ok(match form {
        Form::Maps => client.call("turnover_of_maps", &(ticks.collect::<Vec<_>>(),)).await?,
        Form::Records => client.call("turnover", &(Tensor::from(ticks.collect::<Vec<_>>()),)).await?,
        Form::InPlace => {
            let mut built = client.allocate::<Tick>(&[count as usize]).await?;
            built.as_mut_slice().iter_mut().zip(ticks).for_each(|(place, tick)| *place = tick);
            client.call("turnover", &(built,)).await?
        }
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let Options { endpoint, form, count, seconds } = Options::parse();
    let client = RpcClient::connect(&endpoint).await?;
    let expected: f64 = (0..count).map(tick).map(|tick| tick.price * f64::from(tick.size)).sum();
    for _ in 0..10 {
        let found = turnover(&client, form, count).await?;
        ensure!((found - expected).abs() <= 1e-9 * expected, "{found}, not {expected}");
    }
    let mut trips = Histogram::<u64>::new_with_max(3_600_000_000_000, 3)?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs_f64(seconds) {
        let sent = Instant::now();
        turnover(&client, form, count).await?;
        trips.saturating_record(u64::try_from(sent.elapsed().as_nanos())?);
    }
    let took = begun.elapsed();
    client.close().await;
    let micros = |quantile| trips.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{}",
        json!({
            "calls": trips.len(),
            "calls_per_second": trips.len() as f64 / took.as_secs_f64(),
            "errors": {},
            "round_trip_us": {"p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "p999": micros(0.999)},
        })
    );
    Ok(())
}
