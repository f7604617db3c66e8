//! Streams of large frames whose reader is slow, both ways: what the other side makes meanwhile.
//!
//! `slow_streams ENDPOINT` prints a line of JSON: frames that were made while few were taken, and sums.
#![allow(clippy::print_stdout, reason = "a program for a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::stream;
use pycrust_client::{RpcClient, Tensor, TensorView};
use serde_json::json;

const FRAMES: usize = 60;
const FRAME: usize = 6_000_000;
const LARGER_THAN_THE_WINDOW: usize = 40 << 20;

/// What `count` says once it says it twice in a row.
async fn settled<F: Future<Output = Result<usize>>>(count: impl Fn() -> F) -> Result<usize> {
    let mut before = count().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = count().await?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

fn frame(number: usize, len: usize) -> Tensor<u8> {
    Tensor::from(vec![number as u8; len])
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = RpcClient::connect(&std::env::args().nth(1).context("an endpoint")?).await?;
    let first = |view: &TensorView| view.as_slice::<u8>().map(|bytes| usize::from(bytes[bytes.len() - 1]));

    let mut items = client.stream::<_, TensorView>("frames", &(FRAMES, FRAME));
    let mut sum = first(&items.next().await.context("a frame")??)?;
    let made = settled(|| async { Ok(client.call::<_, usize>("made", &()).await?) }).await?;
    while let Some(item) = items.next().await {
        sum += first(&item?)?;
    }

    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let arguments = stream::iter((0..FRAMES).map(move |number| {
        counted.fetch_add(1, Ordering::Relaxed);
        frame(number, FRAME)
    }));
    let caller = client.clone();
    let upload = tokio::spawn(async move { caller.request("hold").upload::<_, usize>(arguments).await });
    while !client.call::<_, bool>("holds", &()).await? {}
    let uploaded = settled(|| async { Ok(sent.load(Ordering::Relaxed)) }).await?;
    client.call::<_, ()>("let_go", &()).await?;
    let total = *upload.await??.value();

    let large = stream::iter((0..3).map(|number| frame(number, LARGER_THAN_THE_WINDOW)));
    let mut echoes = client.request("each").exchange::<_, TensorView>(large);
    let mut large = Vec::new();
    while let Some(echo) = echoes.next().await {
        let echo = echo?;
        large.push(echo.as_slice::<u8>().map_or(0, <[u8]>::len));
    }
    client.close().await;
    println!("{}", json!({"made": made, "sum": sum, "uploaded": uploaded, "total": total, "large": large}));
    Ok(())
}
