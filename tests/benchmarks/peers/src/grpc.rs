//! gRPC: tonic over a Unix socket, protobuf inside.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use pycrust_peers_calling::{Args, Caller};
use tokio::net::UnixStream;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct AddArgs {
    #[prost(int32, tag = "1")]
    a: i32,
    #[prost(int32, tag = "2")]
    b: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sum {
    #[prost(int64, tag = "1")]
    value: i64,
}

pub struct Client(Grpc<Channel>);

pub async fn connect(path: &Path) -> anyhow::Result<Channel> {
    let path: PathBuf = path.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://localhost").connect_with_connector(connector).await?)
}

impl Client {
    pub fn new(channel: Channel) -> Self {
        Self(Grpc::new(channel))
    }
}

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        self.0.ready().await?;
        let request = Request::new(AddArgs { a: args.a, b: args.b });
        let codec = ProstCodec::<AddArgs, Sum>::default();
        let path = PathAndQuery::from_static("/bench.Calculator/Add");
        Ok(self.0.unary(request, path, codec).await?.into_inner().value)
    }
}
