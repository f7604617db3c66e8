//! A robot's loop: three camera images, built in shared memory, and the joints' state with every tick.
//!
//! `robot --endpoint robot`, with `policy.py` beside this file as the cells of a notebook or as a script. It goes on until
//! Ctrl-C and prints what came of it.
//!
//! A picture that is older than a tick is worth nothing: where the answer to one is still out when the next tick comes, its
//! call is dropped, which cancels it, and the arm goes on with the action that it has.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../pace/mod.rs"]
mod pace;

use std::collections::BTreeMap;

use clap::Parser;
use pace::Pace;
use pycrust_client::{Error, Reply, RpcClient, Tensor, TensorMut, TensorView};
use serde_json::json;

const SHAPE: [usize; 3] = [224, 224, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const JOINTS: usize = 7;

/// Asks a policy at every tick.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "robot")]
    endpoint: String,
    /// Ticks a second.
    #[arg(long, default_value_t = 50.0)]
    hz: f64,
}

/// The pictures of one tick, where they are sent from.
async fn expose(client: &RpcClient, tick: u64) -> Result<[TensorMut<u8>; 3], Error> {
    let mut images = client
        .build(3 * (IMAGE + 64), |arena| {
            [arena.allocate(&SHAPE), arena.allocate(&SHAPE), arena.allocate(&SHAPE)]
        })
        .await?;
    for (number, image) in images.iter_mut().enumerate() {
        image.as_mut_slice().fill((tick as usize + 80 * number) as u8);
    }
    Ok(images)
}

/// One call, from the pictures to the action.
async fn see(client: &RpcClient, tick: u64, joints: &[f64]) -> Result<(bool, Reply<TensorView>), Error> {
    let images = expose(client, tick).await?;
    let in_place = images.iter().all(TensorMut::is_shared);
    let [left, right, wrist] = &images;
    let reply = client.request("act").send(&(left, right, wrist, Tensor::from(joints.to_vec()))).await?;
    Ok((in_place, reply))
}

/// What came of the ticks.
#[derive(Default)]
struct Report {
    ticks: u64,
    acted: u64,
    stale: u64,
    in_place: u64,
    errors: BTreeMap<String, u64>,
    versions: BTreeMap<u32, u64>,
    last: Vec<f64>,
}

impl Report {
    fn act(
        &mut self,
        joints: &mut [f64],
        answer: Result<(bool, Reply<TensorView>), Error>,
    ) -> anyhow::Result<()> {
        match answer {
            Ok((in_place, reply)) => {
                self.acted += 1;
                self.in_place += u64::from(in_place);
                *self.versions.entry(reply.version()).or_default() += 1;
                self.last = reply.value().to_vec()?;
                joints.iter_mut().zip(&self.last).for_each(|(joint, step)| *joint += step);
            }
            Err(error) => *self.errors.entry(error.to_string()).or_default() += 1,
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = RpcClient::connect(&options.endpoint).await?;
    println!("moving");
    let pace = Pace::new(options.hz)?;
    let mut report = Report::default();
    let mut joints = [0.0; JOINTS];
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    pace.tick().await?;
    loop {
        report.ticks += 1;
        let seen = joints;
        let mut answer = std::pin::pin!(see(&client, report.ticks, &seen));
        let mut answered = false;
        // Until the next tick: an answer that comes first is acted on, one that does not is dropped with its future.
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => {
                    client.close().await;
                    println!("{}", json!({
                        "ticks": report.ticks, "acted": report.acted, "stale": report.stale,
                        "in_place": report.in_place, "errors": report.errors, "versions": report.versions,
                        "last": report.last,
                    }));
                    return Ok(());
                }
                came = &mut answer, if !answered => {
                    report.act(&mut joints, came)?;
                    answered = true;
                }
                ticked = pace.tick() => {
                    ticked?;
                    break;
                }
            }
        }
        report.stale += u64::from(!answered);
    }
}
