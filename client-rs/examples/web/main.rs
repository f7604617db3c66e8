//! A web service in front of handlers: JSON in and out, a generator as server-sent events, a shutdown that lets requests end.
//!
//! `web --endpoint scoring --listen 127.0.0.1:8080`, with `scoring.py` beside this file as the cells of a notebook or as a
//! script:
//!
//! ```sh
//! curl -s localhost:8080/score --json '{"text": "Great!"}'
//! curl -sN 'localhost:8080/tokens?prompt=to+be+or+not&count=20'
//! ```
//!
//! It starts without a worker and outlives the worker's restarts: requests wait for one, within their time.
#![allow(clippy::print_stdout, reason = "a program")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use futures::{Stream, StreamExt};
use pycrust_client::{Code, Error, RpcClient};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Serves handlers over HTTP.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "scoring")]
    endpoint: String,
    /// Where to listen; port 0 is any that is free.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Seconds that a request has, those in which it waits for a worker included.
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
}

/// What every request can use.
#[derive(Clone)]
struct Service {
    client: RpcClient,
    /// True once the service is to end.
    ending: watch::Receiver<bool>,
}

/// An error of a call as HTTP has it.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.code() {
            Code::InvalidArgument | Code::OutOfRange => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
            Code::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"code": self.0.code().to_string(), "message": self.0.message()})))
            .into_response()
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Score {
    label: String,
    confidence: f64,
}

/// A text's score is the same whenever it is asked for, so it is asked for again if a worker dies with the call.
async fn score(State(service): State<Service>, Json(text): Json<Text>) -> Result<Json<Score>, Failed> {
    let asked = service.client.request("score").idempotent(true);
    Ok(Json(asked.send(&text).await?.into_value()))
}

#[derive(Serialize, Deserialize)]
struct Prompt {
    prompt: String,
    #[serde(default = "some")]
    count: u32,
}

fn some() -> u32 {
    10
}

/// A reader that leaves drops the stream, which ends the generator.
async fn tokens(
    State(service): State<Service>,
    Query(prompt): Query<Prompt>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let Service { client, mut ending } = service;
    let items = client.stream::<_, String>("tokens", &prompt).map(|token| {
        Ok(match token {
            Ok(token) => Event::default().data(token),
            Err(error) => Event::default().event("error").data(error.to_string()),
        })
    });
    let ended = async move { ending.wait_for(|ending| *ending).await.is_ok() };
    Sse::new(items.take_until(ended)).keep_alive(KeepAlive::default())
}

/// Whether a handler answers: for a load balancer, which must not wait.
async fn health(State(service): State<Service>) -> Result<&'static str, Failed> {
    let asked = service.client.request("score").wait_for_ready(false).timeout(Duration::from_secs(1));
    asked.send::<_, Score>(&Text { text: "well?".into() }).await?;
    Ok("well\n")
}

/// Until the service is asked to end, by Ctrl-C or its supervisor.
async fn asked_to_end() -> std::io::Result<()> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = RpcClient::builder(&options.endpoint)
        .wait_for_ready(true)
        .timeout(Duration::from_secs_f64(options.timeout))
        .connect_lazy();
    let (end, ending) = watch::channel(false);
    let routes = Router::new()
        .route("/score", post(score))
        .route("/tokens", get(tokens))
        .route("/health", get(health))
        .with_state(Service { client: client.clone(), ending });
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let shutdown = async move {
        if let Err(error) = asked_to_end().await {
            println!("signals can't be awaited: {error}");
        }
        // Requests end by themselves, streams when they are told.
        end.send_replace(true);
    };
    axum::serve(listener, routes).with_graceful_shutdown(shutdown).await?;
    client.close().await;
    println!("ended");
    Ok(())
}
