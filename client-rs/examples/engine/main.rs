//! A front end of an inference engine: vLLM's request and its answer, without a type written by hand.
//!
//! Everything below `engine::` is made of `engine.schema.json`, which `pycrust types engine --lock engine.schema.json` wrote
//! while `engine.py` beside this file was served. A front end that mirrors those classes by hand finds out in production
//! that one was changed; this one does not compile.
//!
//! `engine --prompt 1,2,3 --max-tokens 4` prints an answer as it comes, `engine --at-once 256` keeps so many requests
//! running and tells at Ctrl-C, or after `--requests`, what came of them.
#![allow(clippy::print_stdout, reason = "a program")]

mod crowd;
mod front_end;
mod measured;
#[path = "../slices/mod.rs"]
mod slices;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use pycrust_client::{Error, RpcClient, Streaming, Tensor};

use crate::crowd::Crowd;
use crate::engine::{EngineClient, EngineCoreOutput, EngineCoreRequest, FinishReason, SamplingParams};
use crate::front_end::FrontEnd;
use crate::measured::Measure;

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
    #[command(flatten)]
    crowd: Crowd,
    /// Reads the tokens of all requests from one stream of the engine's steps, instead of a stream for each.
    #[arg(long)]
    steps: bool,
    /// Measures as `make bench-ported` asks for it, with `--at-once` requests.
    #[arg(long)]
    measure: Option<Measure>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // While an engine is started anew, requests wait for it.
    let client = RpcClient::builder("engine").max_in_flight(1024).wait_for_ready(true).connect().await?;
    let client = EngineClient::from(client);
    client.check().await?;
    let front_end =
        if options.steps { Engine::Steps(FrontEnd::open(client, 0)) } else { Engine::Streams(client) };
    if let Some(measure) = options.measure {
        return measured::run(front_end, measure, options.crowd.at_once).await;
    }
    if options.crowd.at_once > 0 {
        return options.crowd.run(front_end).await;
    }
    show(&options, &front_end).await
}

/// One answer, token by token.
async fn show(options: &Options, engine: &Engine) -> anyhow::Result<()> {
    let embedded =
        options.embedded.then(|| options.prompt.iter().map(|token| *token as f32).collect::<Vec<_>>());
    let prompt_embeds = embedded.map(|sum| Tensor::new(&[1, sum.len()], sum)).transpose()?;
    let mut asked = request("request-1".into(), &options.prompt, options.max_tokens)?;
    asked.prompt_embeds = prompt_embeds;
    if let Some(params) = &mut asked.sampling_params {
        params.stop_token_ids = options.stop.into_iter().collect();
    }
    let mut outputs = engine.ask(asked).await?;
    while let Some(output) = outputs.next().await {
        let output = output?;
        let finish = output.finish_reason.map_or("", |reason| match reason {
            FinishReason::Stop => " (stop)",
            FinishReason::Length => " (length)",
            FinishReason::Abort => " (abort)",
            FinishReason::Error => " (error)",
        });
        let likely = likely(&output).map_or_else(String::new, |logprob| format!(" at {logprob}"));
        println!("{:?}{likely}{finish}", output.new_token_ids);
    }
    Ok(())
}

/// A request as a front end makes one of what it was asked.
fn request(request_id: String, prompt: &[u64], max_tokens: u64) -> anyhow::Result<EngineCoreRequest> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    Ok(EngineCoreRequest {
        sampling_params: Some(SamplingParams { max_tokens, logprobs: Some(1), ..SamplingParams::new() }),
        trace_headers: Some([("traceparent".to_owned(), "00-1-2-01".to_owned())].into()),
        ..EngineCoreRequest::new(request_id, Some(prompt.to_vec()), now)
    })
}

/// How likely the engine found its token.
fn likely(output: &EngineCoreOutput) -> Option<f64> {
    Some(output.new_logprobs.as_ref()?.first()?.first()?.logprob)
}

/// The engine, and how its tokens are read.
#[derive(Clone)]
enum Engine {
    /// Each request is a stream of its own.
    Streams(EngineClient),
    /// What each step has made comes together.
    Steps(Arc<FrontEnd>),
}

/// The tokens of one request.
enum Tokens {
    Stream(Box<Streaming<EngineCoreOutput>>),
    Steps(front_end::Tokens),
}

impl Engine {
    async fn ask(&self, request: EngineCoreRequest) -> Result<Tokens, Error> {
        match self {
            Self::Streams(client) => Ok(Tokens::Stream(Box::new(client.generate(request)))),
            Self::Steps(front_end) => front_end.generate(request).await.map(Tokens::Steps),
        }
    }
}

impl Tokens {
    async fn next(&mut self) -> Option<Result<EngineCoreOutput, Error>> {
        match self {
            Self::Stream(stream) => stream.next().await,
            Self::Steps(tokens) => tokens.next().await,
        }
    }

    /// The version of the handler that took the request; 0 before its first token.
    fn version(&self) -> u32 {
        match self {
            Self::Stream(stream) => stream.version(),
            Self::Steps(tokens) => tokens.version,
        }
    }
}

impl measured::Engine for Engine {
    type Tokens = Tokens;

    async fn generate(&self, request_id: String, max_tokens: u64) -> anyhow::Result<Tokens> {
        Ok(self.ask(request(request_id, &measured::PROMPT, max_tokens)?).await?)
    }
}

impl measured::Tokens for Tokens {
    async fn next(&mut self) -> anyhow::Result<Option<f64>> {
        Ok(Self::next(self).await.transpose()?.map(|output| output.timestamp))
    }
}
