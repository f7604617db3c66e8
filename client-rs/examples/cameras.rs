//! A control loop with eyes: three camera images of 224×224×3 and a state vector per call, at a fixed rate.
//!
//! `cameras --endpoint NAME --method act --hz 240 --seconds 10 --json`
//!
//! A tick whose answer comes after the next one was due is a missed deadline; the ticks that it took are not
//! made up for.
#![allow(
    clippy::print_stdout,
    clippy::cast_sign_loss,
    reason = "a program; its times and counts are positive"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use hdrhistogram::Histogram;
use pycrust_client::{RpcClient, Tensor, TensorMut, TensorView};
use serde_json::json;

const SHAPE: [usize; 3] = [224, 224, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const JOINTS: usize = 7;

/// Sends images and a state vector at a fixed rate.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// The method: it takes three images and a state, and gives an array.
    #[arg(long, default_value = "act")]
    method: String,
    /// Calls a second.
    #[arg(long, default_value_t = 240.0)]
    hz: f64,
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Sends nothing but an empty call, as the floor.
    #[arg(long)]
    floor: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The images, where they are sent from.
type Images = [TensorMut<u8>; 3];

/// What the cameras would write.
fn expose(images: &mut Images, tick: u64) {
    for (number, image) in images.iter_mut().enumerate() {
        let shade = (tick as usize * 3 + number * 80) as u8;
        for (at, row) in image.as_mut_slice().chunks_exact_mut(SHAPE[1] * SHAPE[2]).enumerate() {
            row.fill(shade.wrapping_add(at as u8));
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let client = RpcClient::connect(&options.endpoint).await?;
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let mut worker = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let period = Duration::from_secs_f64(1.0 / options.hz);
    let ticks = (options.seconds * options.hz) as u64;
    let (mut missed, mut errors, mut shared, mut last) = (0_u64, 0_u64, 0_u64, None);
    let mut due = Instant::now() + period;
    for tick in 0..ticks {
        tokio::time::sleep_until(due.into()).await;
        if options.floor {
            let begun = Instant::now();
            match client.call::<_, ()>(&options.method, &()).await {
                Ok(()) => histogram.saturating_record(begun.elapsed().as_nanos() as u64),
                Err(_) => errors += 1,
            }
        } else {
            let mut images = client
                .build(3 * (IMAGE + 64), |arena| {
                    [arena.allocate(&SHAPE), arena.allocate(&SHAPE), arena.allocate(&SHAPE)]
                })
                .await?;
            shared += u64::from(images.iter().all(TensorMut::is_shared));
            expose(&mut images, tick);
            let state = Tensor::from(vec![tick as f64 / options.hz; JOINTS]);
            let begun = Instant::now();
            let called = client.request(&options.method).send::<_, TensorView>(&(&images, state)).await;
            match called {
                Ok(reply) => {
                    histogram.saturating_record(begun.elapsed().as_nanos() as u64);
                    let timing = reply.timing();
                    worker.saturating_record((timing.handler + timing.interpreter).as_nanos() as u64);
                    last = reply.value().to_vec::<f32>().ok();
                }
                Err(error) => {
                    if errors == 0 {
                        eprintln(&error.to_string());
                    }
                    errors += 1;
                }
            }
        }
        due += period;
        let now = Instant::now();
        if now > due {
            let late = (now - due).as_nanos() / period.as_nanos() + 1;
            missed += late as u64;
            due += period * u32::try_from(late).unwrap_or(u32::MAX);
        }
    }
    client.close().await;
    let us = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let quantiles = |of: &Histogram<u64>| json!({"p50": us(of, 0.5), "p90": us(of, 0.9), "p99": us(of, 0.99), "p999": us(of, 0.999)});
    let report = json!({
        "hz": options.hz,
        "ticks": ticks,
        "missed": missed,
        "errors": errors,
        "in_place": shared,
        "round_trip_us": quantiles(&histogram),
        "handler_us": quantiles(&worker),
        "last": last,
    });
    if options.json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the first error, for whoever runs this")]
fn eprintln(text: &str) {
    eprintln!("{text}");
}
