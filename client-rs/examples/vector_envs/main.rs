//! Many environments stepped in Rust, as fast as a Python policy gives actions, while the policy learns from them.
//!
//! `vector_envs`, with `policy.py` beside this file as the cells of a notebook or as a script. It goes on until Ctrl-C and
//! prints what came of it. `--measure` steps by the slice, for `make bench-ported`.
#![allow(clippy::print_stdout, reason = "a program")]

mod cart_poles;
#[path = "../slices/mod.rs"]
mod slices;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cart_poles::CartPoles;
use clap::Parser;
use pycrust_client::{Reply, RpcClient, Tensor, TensorView};
use serde::Serialize;
use serde_json::json;
use slices::Slices;

/// Steps environments with the actions of a policy.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "vector_envs")]
    endpoint: String,
    /// How many cart-poles.
    #[arg(long, default_value_t = 64)]
    envs: usize,
    /// Steps in slices of time that standard input asks for.
    #[arg(long)]
    measure: bool,
}

/// What `act` takes.
#[derive(Serialize)]
struct Arrays {
    observations: Tensor<f32>,
    rewards: Tensor<f32>,
    ended: Tensor<u8>,
}

async fn act(client: &RpcClient, poles: &CartPoles) -> anyhow::Result<Reply<TensorView>> {
    let arrays = Arrays {
        observations: Tensor::new(&[poles.rewards.len(), 4], poles.states.clone())?,
        rewards: Tensor::from(poles.rewards.clone()),
        ended: Tensor::from(poles.ended.clone()),
    };
    Ok(client.request("act").send(&arrays).await?)
}

/// What a version of the policy did.
#[derive(Default)]
struct Score {
    steps: u64,
    episodes: u64,
    lasted: u64,
}

async fn run(client: &RpcClient, envs: usize) -> anyhow::Result<()> {
    let mut poles = CartPoles::new(envs, 1);
    let (mut scores, mut errors) = (BTreeMap::<u32, Score>::new(), BTreeMap::<String, u64>::new());
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    println!("stepping");
    loop {
        let answer = tokio::select! {
            biased;
            _ = &mut stopped => break,
            answer = act(client, &poles) => answer,
        };
        match answer {
            Ok(reply) => {
                let finished = poles.step(reply.value().as_slice()?);
                let score = scores.entry(reply.version()).or_default();
                score.steps += 1;
                score.episodes += finished.len() as u64;
                score.lasted += finished.iter().map(|&steps| u64::from(steps)).sum::<u64>();
            }
            Err(error) => {
                *errors.entry(error.to_string()).or_default() += 1;
                // The environments stand still until a worker is there again.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let versions: Vec<_> = scores
        .iter()
        .map(|(version, score)| {
            json!({
                "version": version, "steps": score.steps, "episodes": score.episodes,
                "mean_return": score.lasted as f64 / score.episodes.max(1) as f64,
            })
        })
        .collect();
    println!("{}", json!({"versions": versions, "errors": errors}));
    Ok(())
}

async fn measure(client: &RpcClient, envs: usize) -> anyhow::Result<()> {
    let mut poles = CartPoles::new(envs, 1);
    let mut slices = Slices::begin()?;
    while let Some(mut slice) = slices.next()? {
        while slice.goes_on() {
            let begun = Instant::now();
            let answer = act(client, &poles).await;
            if let Ok(reply) = &answer {
                poles.step(reply.value().as_slice()?);
            }
            slice.took(begun.elapsed(), answer.is_ok());
        }
        slice.tell()?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client =
        RpcClient::builder(&options.endpoint).wait_for_worker(Duration::from_secs(10)).connect().await?;
    if options.measure {
        measure(&client, options.envs).await?;
    } else {
        run(&client, options.envs).await?;
    }
    client.close().await;
    Ok(())
}
