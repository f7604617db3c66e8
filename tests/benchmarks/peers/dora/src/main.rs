//! A dora node that sends requests and writes the times, in the form of the `load` example, into a file, since what a
//! node prints is dora's.
//!
//! `dora run` starts it: `peer-dora --report /tmp/report.json --seconds 2`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use dora_node_api::arrow_v59::array::{Array, Int64Array, StructArray};
use dora_node_api::arrow_v59::datatypes::{DataType, Field};
use dora_node_api::dora_core::config::{DataId, NodeId};
use dora_node_api::{DoraNode, Event, EventStream, MetadataParameters};
use pycrust_peers_calling::{Args, Caller, Calls};

/// Calls `add` of another node.
#[derive(Parser, Clone)]
struct Options {
    /// Where the times go.
    #[arg(long)]
    report: PathBuf,
    #[command(flatten)]
    calls: Calls,
}

/// The client's side of dora's service pattern.
struct Client {
    node: DoraNode,
    events: EventStream,
    requests: DataId,
    server: NodeId,
}

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        let column = |name, value: i32| {
            let values: Arc<dyn Array> = Arc::new(Int64Array::from(vec![i64::from(value)]));
            (Arc::new(Field::new(name, DataType::Int64, false)), values)
        };
        let arguments = StructArray::from(vec![column("a", args.a), column("b", args.b)]);
        let request = self
            .node
            .send_service_request(self.requests.clone(), MetadataParameters::default(), arguments)
            .map_err(|error| anyhow!("dora: {error}"))?;
        let answer = self
            .events
            .recv_service_response(&request, &self.server, Duration::from_secs(10))
            .await
            .map_err(|error| anyhow!("dora: {error}"))?;
        let Event::Input { data, .. } = answer else { anyhow::bail!("no answer: {answer:?}") };
        let sums = StructArray::from(data.as_array().to_data());
        let sum = sums.column_by_name("sum").and_then(|column| column.as_any().downcast_ref::<Int64Array>());
        Ok(sum.context("no sum")?.value(0))
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (node, events) = DoraNode::init_from_env().map_err(|error| anyhow!("dora: {error}"))?;
    let client =
        Client { node, events, requests: "request".to_owned().into(), server: "server".to_owned().into() };
    let times = options.calls.make_here(client)?;
    std::fs::write(options.report, times.report().to_string())?;
    Ok(())
}
