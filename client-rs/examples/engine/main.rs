//! A front end of an inference engine: vLLM's request and its answer, without a type written by hand.
//!
//! Everything below `engine::` is made of `engine.schema.json`, which `pycrust types engine --lock engine.schema.json` wrote
//! while `engine.py` beside this file was served. A front end that mirrors those classes by hand finds out in production
//! that one was changed; this one does not compile.
//!
//! `engine --prompt 1,2,3 --max-tokens 4`
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Parser;
use pycrust_client::Tensor;

use crate::engine::{EngineClient, EngineCoreRequest, FinishReason, SamplingParams};

pycrust_client::service!("engine", lock = "examples/engine/engine.schema.json");

/// Generates tokens.
#[derive(Parser)]
struct Options {
    /// The prompt's tokens.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    prompt: Vec<u64>,
    /// Tokens to be generated at most.
    #[arg(long, default_value_t = 4)]
    max_tokens: u64,
    /// A token that ends the answer.
    #[arg(long)]
    stop: Option<u64>,
    /// Sends the prompt as embeddings, of which the engine takes the sum.
    #[arg(long)]
    embedded: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = EngineClient::connect().await?;
    client.check().await?;
    let embedded =
        options.embedded.then(|| options.prompt.iter().map(|token| *token as f32).collect::<Vec<_>>());
    let prompt_embeds = embedded.map(|sum| Tensor::new(&[1, sum.len()], sum)).transpose()?;
    let request = EngineCoreRequest {
        sampling_params: Some(SamplingParams {
            max_tokens: options.max_tokens,
            stop_token_ids: options.stop.into_iter().collect(),
            logprobs: Some(1),
            ..SamplingParams::new()
        }),
        trace_headers: Some([("traceparent".to_owned(), "00-1-2-01".to_owned())].into()),
        prompt_embeds,
        ..EngineCoreRequest::new("request-1", Some(options.prompt), since_1970()?.as_secs_f64())
    };
    let mut outputs = client.generate(request);
    while let Some(output) = outputs.next().await {
        let output = output?;
        let finish = output.finish_reason.map_or("", |reason| match reason {
            FinishReason::Stop => " (stop)",
            FinishReason::Length => " (length)",
            FinishReason::Abort => " (abort)",
            FinishReason::Error => " (error)",
        });
        let likely = output.new_logprobs.context("no probabilities")?;
        println!("{:?} at {}{finish}", output.new_token_ids, likely[0][0].logprob);
    }
    let aborted = client.abort(vec!["request-2".into()]).await?;
    println!("{aborted} to be aborted");
    Ok(())
}

fn since_1970() -> anyhow::Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
