//! Sends images of digits to a classifier, over and over, and reports how often each version of it was right.
//!
//! `digits --endpoint digits --images images.json` goes on until its standard input closes, or for `--seconds`.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use pycrust_client::RpcClient;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Sends images of digits to a classifier.
#[derive(Parser)]
struct Options {
    /// The endpoint whose method `classify` is asked.
    #[arg(long, default_value = "digits")]
    endpoint: String,
    /// A JSON file with `images`, a list of lists of pixels, and `labels`, the digit of each.
    #[arg(long)]
    images: PathBuf,
    /// Images a second; without it, as fast as answers come.
    #[arg(long)]
    hz: Option<f64>,
    /// How long to go on, at most.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
}

/// What is sent and what it shows.
#[derive(Deserialize)]
struct Images {
    images: Vec<Vec<f32>>,
    labels: Vec<u8>,
}

/// The arguments of `classify`.
#[derive(Serialize)]
struct Classify<'a> {
    pixels: &'a [f32],
}

/// How one version did.
#[derive(Default)]
struct Score {
    calls: u64,
    right: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let Images { images, labels } = serde_json::from_reader(BufReader::new(File::open(&options.images)?))?;
    let closed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&closed);
    std::thread::spawn(move || {
        // Whatever comes is not read for its sake: the end is what is waited for.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let client = RpcClient::connect(&options.endpoint).await?;
    let mut pace = options.hz.map(|hertz| tokio::time::interval(Duration::from_secs_f64(1.0 / hertz)));
    let (mut scores, mut errors) = (BTreeMap::<u32, Score>::new(), BTreeMap::<&str, u64>::new());
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    for (pixels, label) in images.iter().zip(&labels).cycle() {
        if closed.load(Ordering::Relaxed) || Instant::now() > until {
            break;
        }
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        match client.request("classify").send::<_, u8>(&Classify { pixels }).await {
            Ok(reply) => {
                let score = scores.entry(reply.version()).or_default();
                score.calls += 1;
                score.right += u64::from(reply.value() == label);
            }
            Err(error) => *errors.entry(error.code().name()).or_default() += 1,
        }
    }
    client.close().await;
    let versions: Vec<_> = scores
        .iter()
        .map(|(version, Score { calls, right })| {
            json!({ "version": version, "calls": calls, "accuracy": *right as f64 / *calls as f64 })
        })
        .collect();
    println!("{}", json!({ "versions": versions, "errors": errors }));
    Ok(())
}
