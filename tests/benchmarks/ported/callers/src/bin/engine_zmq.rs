//! A front end of an inference engine over ZeroMQ, as vLLM's in Rust is (`rust/src/engine-core-client` of its repository): a
//! ROUTER socket for requests, a PULL socket for what each step has made, both bound here; requests as arrays of
//! MessagePack, a registry of who reads which of them, and an abort for each that is left.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../../../../../../client-rs/examples/engine/measured.rs"]
mod measured;
#[path = "../../../../../../client-rs/examples/slices/mod.rs"]
mod slices;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Parser;
use measured::Measure;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeromq::prelude::{Socket, SocketRecv, SocketSend};
use zeromq::{PullSocket, RouterSendHalf, RouterSocket, ZmqMessage};

/// The engine's name, as vLLM gives the first one.
const ENGINE: [u8; 2] = [0, 0];
const ADD: &[u8] = &[0];
const ABORT: &[u8] = &[1];

#[derive(Parser)]
struct Options {
    /// Where the sockets are.
    #[arg(long)]
    directory: PathBuf,
    /// Requests that run at once.
    #[arg(long)]
    at_once: u64,
    #[arg(long)]
    measure: Measure,
}

/// An array on the wire.
#[derive(Serialize)]
struct EngineCoreRequest {
    request_id: String,
    prompt_token_ids: Option<Vec<u32>>,
    arrival_time: f64,
    prompt: Option<String>,
    mm_features: Option<()>,
    sampling_params: Option<SamplingParams>,
    pooling_params: Option<()>,
    eos_token_id: Option<u32>,
    lora_request: Option<()>,
    cache_salt: Option<String>,
    data_parallel_rank: Option<u32>,
    prompt_embeds: Option<()>,
    prompt_is_token_ids: Option<Vec<bool>>,
    client_index: u32,
    current_wave: u32,
    priority: i32,
    trace_headers: Option<HashMap<String, String>>,
    resumable: bool,
    external_req_id: Option<String>,
    reasoning_ended: Option<bool>,
    reasoning_parser_kwargs: Option<()>,
    abort_immediately: bool,
}

/// A map on the wire, of what is there.
struct SamplingParams {
    max_tokens: u64,
    logprobs: i32,
}

impl Serialize for SamplingParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(12))?;
        for (name, value) in [("temperature", 1.0_f32), ("top_p", 1.0), ("repetition_penalty", 1.0)] {
            map.serialize_entry(name, &value)?;
        }
        for (name, value) in [("min_p", 0.0_f32), ("frequency_penalty", 0.0), ("presence_penalty", 0.0)] {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("top_k", &0)?;
        map.serialize_entry("max_tokens", &self.max_tokens)?;
        map.serialize_entry("min_tokens", &0)?;
        map.serialize_entry("logprobs", &self.logprobs)?;
        map.serialize_entry("stop_token_ids", &[0_u32; 0])?;
        map.serialize_entry("output_kind", &1)?;
        map.end()
    }
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is read as vLLM's front end reads it")]
struct Logprob {
    token_id: u32,
    logprob: f64,
    rank: Option<u32>,
}

/// An array whose last parts may be left out.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what is read as vLLM's front end reads it")]
struct EngineCoreOutput {
    request_id: String,
    new_token_ids: Vec<u32>,
    #[serde(default)]
    new_logprobs: Option<Vec<Vec<Logprob>>>,
    #[serde(default)]
    finish_reason: Option<u8>,
    #[serde(default)]
    stop_reason: Option<u32>,
    #[serde(default)]
    num_cached_tokens: u32,
    #[serde(default)]
    trace_headers: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is read as vLLM's front end reads it")]
struct EngineCoreOutputs {
    engine_index: u32,
    outputs: Vec<EngineCoreOutput>,
    scheduler_stats: Option<()>,
    timestamp: f64,
}

type Reader = UnboundedSender<(f64, EngineCoreOutput)>;

#[derive(Clone)]
struct FrontEnd(Arc<Shared>);

struct Shared {
    input: AsyncMutex<RouterSendHalf>,
    readers: Mutex<HashMap<String, Reader>>,
    left: UnboundedSender<String>,
}

impl FrontEnd {
    async fn bind(directory: &std::path::Path) -> anyhow::Result<Self> {
        let at = |name: &str| format!("ipc://{}", directory.join(name).display());
        let (mut input, mut output) = (RouterSocket::new(), PullSocket::new());
        input.bind(&at("input")).await?;
        output.bind(&at("output")).await?;
        // The engine says that it is there.
        let said = input.recv().await?;
        if said.get(0).is_none_or(|name| name.as_ref() != ENGINE) {
            bail!("another engine than {ENGINE:?}");
        }
        let (input, _) = input.split();
        let (left, leaving) = unbounded_channel();
        let front_end =
            Self(Arc::new(Shared { input: AsyncMutex::new(input), readers: Mutex::default(), left }));
        tokio::spawn(front_end.clone().hand_out(output));
        tokio::spawn(front_end.clone().abort(leaving));
        Ok(front_end)
    }

    async fn send(&self, kind: &'static [u8], body: Vec<u8>) -> anyhow::Result<()> {
        let mut message = ZmqMessage::from(ENGINE.to_vec());
        message.push_back(kind.into());
        message.push_back(body.into());
        Ok(self.0.input.lock().await.send(message).await?)
    }

    async fn hand_out(self, mut output: PullSocket) -> anyhow::Result<()> {
        loop {
            let message = output.recv().await?;
            let step: EngineCoreOutputs = rmp_serde::from_slice(message.get(0).context("no frame")?)?;
            let mut readers = lock(&self.0.readers);
            for output in step.outputs {
                // Of a request that has ended, nobody reads any more.
                let reader = match output.finish_reason {
                    Some(_) => readers.remove(&output.request_id),
                    None => readers.get(&output.request_id).cloned(),
                };
                if let Some(reader) = reader {
                    let _left = reader.send((step.timestamp, output));
                }
            }
        }
    }

    async fn abort(self, mut leaving: UnboundedReceiver<String>) -> anyhow::Result<()> {
        while let Some(request_id) = leaving.recv().await {
            self.send(ABORT, rmp_serde::to_vec(&[request_id])?).await?;
        }
        Ok(())
    }
}

struct Tokens {
    front_end: FrontEnd,
    request_id: String,
    outputs: UnboundedReceiver<(f64, EngineCoreOutput)>,
}

impl Drop for Tokens {
    fn drop(&mut self) {
        // Who has read to the end is known of no more.
        if lock(&self.front_end.0.readers).remove(&self.request_id).is_some() {
            let _ended = self.front_end.0.left.send(std::mem::take(&mut self.request_id));
        }
    }
}

impl measured::Engine for FrontEnd {
    type Tokens = Tokens;

    async fn generate(&self, request_id: String, max_tokens: u64) -> anyhow::Result<Tokens> {
        let (reader, outputs) = unbounded_channel();
        lock(&self.0.readers).insert(request_id.clone(), reader);
        let request = EngineCoreRequest {
            request_id: request_id.clone(),
            prompt_token_ids: Some(measured::PROMPT.iter().map(|token| *token as u32).collect()),
            arrival_time: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64(),
            prompt: None,
            mm_features: None,
            sampling_params: Some(SamplingParams { max_tokens, logprobs: 1 }),
            pooling_params: None,
            eos_token_id: None,
            lora_request: None,
            cache_salt: None,
            data_parallel_rank: None,
            prompt_embeds: None,
            prompt_is_token_ids: None,
            client_index: 0,
            current_wave: 0,
            priority: 0,
            trace_headers: Some([("traceparent".to_owned(), "00-1-2-01".to_owned())].into()),
            resumable: false,
            external_req_id: None,
            reasoning_ended: None,
            reasoning_parser_kwargs: None,
            abort_immediately: false,
        };
        self.send(ADD, rmp_serde::to_vec(&request)?).await?;
        Ok(Tokens { front_end: self.clone(), request_id, outputs })
    }
}

impl measured::Tokens for Tokens {
    async fn next(&mut self) -> anyhow::Result<Option<f64>> {
        Ok(self.outputs.recv().await.map(|(timestamp, _)| timestamp))
    }
}

fn lock(readers: &Mutex<HashMap<String, Reader>>) -> MutexGuard<'_, HashMap<String, Reader>> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let front_end = FrontEnd::bind(&options.directory).await?;
    measured::run(front_end, options.measure, options.at_once).await
}
