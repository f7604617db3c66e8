//! ZeroMQ: request and reply over a Unix socket, MessagePack inside.

use std::path::Path;

use pycrust_peers_calling::{Args, Caller};
use zeromq::{ReqSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

pub struct Client(ReqSocket);

impl Client {
    pub async fn connect(path: &Path) -> anyhow::Result<Self> {
        let mut socket = ReqSocket::new();
        socket.connect(&format!("ipc://{}", path.display())).await?;
        Ok(Self(socket))
    }
}

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        self.0.send(ZmqMessage::from(rmp_serde::to_vec_named(&args)?)).await?;
        let answer = self.0.recv().await?;
        let frame = answer.get(0).ok_or_else(|| anyhow::anyhow!("an empty answer"))?;
        Ok(rmp_serde::from_slice(frame)?)
    }
}
