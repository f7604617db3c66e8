//! Calls that are parts of a trace, which an OTLP collector gets: `traced --endpoint calculator --collector
//! http://127.0.0.1:4318 --method add --args '[1, 2]'`.
//!
//! Its one span, `work`, is what the call belongs to; the spans of the handlers that the call reaches belong to the call.
#![allow(clippy::print_stdout, reason = "a program")]

use async_trait::async_trait;
use clap::Parser;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pycrust_client::RpcClient;
use serde_json::Value;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Makes one call and exports what is known of it.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// Where the collector takes OTLP over HTTP.
    #[arg(long, default_value = "http://127.0.0.1:4318")]
    collector: String,
    /// What is called.
    #[arg(long, default_value = "add")]
    method: String,
    /// Its arguments, as JSON.
    #[arg(long, default_value = "[1, 2]")]
    args: String,
}

/// Sends what is exported. The exporters have threads of their own, which it may block.
#[derive(Debug)]
struct Http(ureq::Agent);

#[async_trait]
impl HttpClient for Http {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let resource = Resource::builder().with_service_name("traced").build();
    let http = || Http(ureq::Agent::new_with_defaults());
    let spans = SpanExporter::builder()
        .with_http()
        .with_http_client(http())
        .with_endpoint(format!("{}/v1/traces", options.collector))
        .build()?;
    let tracers =
        SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build();
    let metrics = MetricExporter::builder()
        .with_http()
        .with_http_client(http())
        .with_endpoint(format!("{}/v1/metrics", options.collector))
        .build()?;
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics).with_resource(resource).build();
    global::set_meter_provider(meters.clone());
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("traced"));
    tracing_subscriber::registry().with(layer).init();

    let client = RpcClient::connect(&options.endpoint).await?;
    let args: Value = serde_json::from_str(&options.args)?;
    let call = client.call::<_, Value>(&options.method, &args);
    match call.instrument(tracing::info_span!("work")).await {
        Ok(result) => println!("{result}"),
        Err(error) => println!("{error}"),
    }
    client.close().await;
    // What was recorded is sent before the program ends, on a thread that may wait for it.
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        tracers.shutdown()?;
        meters.shutdown()?;
        Ok(())
    })
    .await?
}
