//! gRPC's interoperability cases, those that have a counterpart here, against `tests/interop/grpc_worker.py`.
//!
//! The cases, sizes and codes are those of
//! <https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>. Prints `ok <case>` for each.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use futures::SinkExt;
use futures::stream;
use pycrust_client::{Code, Error, MetadataValue, RpcClient, Streaming};
use serde::{Deserialize, Serialize};

/// The sizes that the cases give.
const LARGE_REQUEST: usize = 271_828;
const LARGE_RESPONSE: usize = 314_159;
const REQUEST_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES: [usize; 4] = [31_415, 9, 2_653, 58_979];

#[derive(Parser)]
struct Options {
    /// Cases to run; all by default.
    cases: Vec<String>,
}

/// Bytes that travel as MessagePack's bin.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);

#[derive(Default, Serialize)]
struct SimpleRequest {
    response_size: usize,
    payload: Bytes,
    status: Option<(u8, &'static str)>,
}

#[derive(Default, Serialize)]
struct StreamingRequest {
    sizes: Vec<usize>,
    interval_us: u64,
    payload: Bytes,
    status: Option<(u8, &'static str)>,
}

fn zeros(size: usize) -> Bytes {
    Bytes(vec![0; size])
}

fn error<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Result<Error> {
    outcome.err().context("it should have failed")
}

async fn sizes(mut answers: Streaming<Bytes>) -> Result<Vec<usize>, Error> {
    let mut sizes = Vec::new();
    while let Some(answer) = answers.next().await {
        sizes.push(answer?.0.len());
    }
    Ok(sizes)
}

/// Waits until the worker has noted this often that a call of this kind ended.
async fn ended(client: &RpcClient, what: &str, times: usize) -> Result<()> {
    loop {
        let noted: Vec<String> = client.call("what_ended", &()).await?;
        if noted.iter().filter(|noted| *noted == what).count() >= times {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[expect(clippy::too_many_lines, reason = "one case after the other")]
async fn run(case: &str, client: &RpcClient) -> Result<()> {
    match case {
        "empty_unary" => client.call::<_, ()>("empty_call", &()).await?,
        "large_unary" => {
            let request =
                SimpleRequest { response_size: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST), status: None };
            let answer: Bytes = client.call("unary_call", &(request,)).await?;
            ensure!(answer.0.len() == LARGE_RESPONSE);
        }
        "client_streaming" => {
            let arguments = stream::iter(REQUEST_SIZES.map(zeros));
            let reply = client.request("streaming_input_call").upload::<_, usize>(arguments).await?;
            ensure!(*reply.value() == 74_922, "aggregated_payload_size is {}", reply.value());
        }
        "server_streaming" => {
            let request = StreamingRequest { sizes: RESPONSE_SIZES.into(), ..StreamingRequest::default() };
            let answers = sizes(client.stream("streaming_output_call", &(request,))).await?;
            ensure!(answers == RESPONSE_SIZES, "{answers:?}");
        }
        "ping_pong" => {
            let (mut requests, arguments) = futures::channel::mpsc::channel(1);
            let mut answers = client.request("full_duplex_call").exchange::<_, Bytes>(arguments);
            for (request, answer) in REQUEST_SIZES.into_iter().zip(RESPONSE_SIZES) {
                let sizes = vec![answer];
                let payload = zeros(request);
                requests.send(StreamingRequest { sizes, payload, ..StreamingRequest::default() }).await?;
                ensure!(answers.next().await.context("an answer")??.0.len() == answer);
            }
            drop(requests);
            ensure!(answers.next().await.is_none());
        }
        "empty_stream" => {
            let arguments = stream::empty::<StreamingRequest>();
            let answers = client.request("full_duplex_call").exchange::<_, Bytes>(arguments);
            ensure!(sizes(answers).await?.is_empty());
        }
        "half_duplex" => {
            let request = |size| StreamingRequest { sizes: vec![size], ..StreamingRequest::default() };
            let arguments = stream::iter(RESPONSE_SIZES.map(request));
            let answers = client.request("half_duplex_call").exchange::<_, Bytes>(arguments);
            ensure!(sizes(answers).await? == RESPONSE_SIZES);
        }
        "cancel_after_begin" => {
            // Polled until it waits, then dropped.
            let upload =
                client.request("streaming_input_call").upload::<_, usize>(stream::pending::<Bytes>());
            let timeout = Duration::from_millis(50);
            ensure!(tokio::time::timeout(timeout, upload).await.is_err(), "it can't have ended");
            let sum = client.request("streaming_input_call").upload::<_, usize>(stream::iter([zeros(3)]));
            ensure!(*sum.await?.value() == 3, "the handler is free again");
        }
        "cancel_after_first_response" => {
            let mut numbers = client.stream::<_, u64>("counts", &(1_000_000_000_u64,));
            ensure!(numbers.next().await.context("a number")?? == 0);
            drop(numbers);
            ended(client, "counts ended", 1).await?;
        }
        "cancelled_handlers_know" => {
            for method in ["sleeps", "watches"] {
                let request = client.request(method).timeout(Duration::from_millis(30));
                let outcome = if method == "sleeps" {
                    request.send::<_, ()>(&(1000.0,)).await.map(drop)
                } else {
                    request.send::<_, String>(&()).await.map(drop)
                };
                ensure!(error(outcome)?.code() == Code::DeadlineExceeded);
            }
            ended(client, "sleeps cancelled", 1).await?;
            ended(client, "watches saw it", 1).await?;
        }
        "timeout_on_sleeping_server" => {
            let request = StreamingRequest {
                sizes: vec![31_415],
                interval_us: 100_000,
                payload: zeros(27_182),
                status: None,
            };
            let call = client.request("streaming_output_call").timeout(Duration::from_millis(1));
            let error = error(sizes(call.stream(&(request,))).await)?;
            ensure!(error.code() == Code::DeadlineExceeded, "{error}");
        }
        "status_code_and_message" => {
            let status = Some((2, "test status message"));
            let request = SimpleRequest { status, ..SimpleRequest::default() };
            let unary = error(client.call::<_, Bytes>("unary_call", &(request,)).await)?;
            let request = StreamingRequest { status, ..StreamingRequest::default() };
            let arguments = stream::iter([request]);
            let duplex = error(sizes(client.request("full_duplex_call").exchange(arguments)).await)?;
            for error in [unary, duplex] {
                ensure!(
                    (error.code(), error.message()) == (Code::Unknown, "test status message"),
                    "{error:?}"
                );
            }
        }
        "special_status_message" => {
            let message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
            let request = SimpleRequest { status: Some((2, message)), ..SimpleRequest::default() };
            let error = error(client.call::<_, Bytes>("unary_call", &(request,)).await)?;
            ensure!((error.code(), error.message()) == (Code::Unknown, message), "{error:?}");
        }
        "custom_metadata" => {
            let (text, binary) = ("x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin");
            let bytes = vec![0xab_u8, 0xab, 0xab];
            let request = client.request("unary_call").metadata(text, "test_initial_metadata_value");
            let arguments = SimpleRequest { response_size: LARGE_RESPONSE, ..SimpleRequest::default() };
            let reply = request.metadata(binary, bytes.clone()).send::<_, Bytes>(&(arguments,)).await?;
            ensure!(reply.value().0.len() == LARGE_RESPONSE);
            ensure!(reply.metadata()[text] == MetadataValue::from("test_initial_metadata_value"));
            ensure!(reply.metadata()[binary] == MetadataValue::from(bytes));
        }
        "unimplemented_method" => {
            let error = error(client.call::<_, ()>("unimplemented_call", &()).await)?;
            ensure!(error.code() == Code::Unimplemented, "{error}");
        }
        "unimplemented_service" => {
            // A service is an endpoint of its own here: nobody serves this one.
            let error = error(RpcClient::connect("unimplemented-service").await)?;
            ensure!(error.code() == Code::Unavailable, "{error}");
        }
        "unlike_kinds" => {
            let error = error(client.call::<_, Bytes>("counts", &(3,)).await)?;
            ensure!(error.code() == Code::FailedPrecondition, "{error}");
            ensure!(error.message().contains("stream()"), "{error}");
            let mut single = client.stream::<_, ()>("empty_call", &());
            ensure!(single.next().await.context("one item")?.is_ok() && single.next().await.is_none());
            let sum: usize = client.call("streaming_input_call", &[zeros(2), zeros(3)]).await?;
            ensure!(sum == 5, "all arguments at once are a stream too");
        }
        "many_items" => {
            let mut numbers = client.stream::<_, u64>("counts", &(200_000,));
            for expected in 0..200_000 {
                ensure!(numbers.next().await.context("a number")?? == expected);
            }
            ensure!(numbers.next().await.is_none());
        }
        other => bail!("there is no case {other}"),
    }
    Ok(())
}

const CASES: [&str; 18] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "half_duplex",
    "cancel_after_begin",
    "cancel_after_first_response",
    "cancelled_handlers_know",
    "timeout_on_sleeping_server",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "unlike_kinds",
    "many_items",
];

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let client = RpcClient::connect("grpc-test-service").await?;
    for case in CASES {
        if options.cases.is_empty() || options.cases.iter().any(|wanted| wanted == case) {
            run(case, &client).await.with_context(|| format!("case {case}"))?;
            println!("ok {case}");
        }
    }
    client.close().await;
    Ok(())
}
