//! What one writes by hand: MessagePack behind a length, over a Unix socket; a connection for each task.

use std::path::Path;

use pycrust_peers_calling::{Args, Caller};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { stream: UnixStream::connect(path).await?, buffer: Vec::new() })
    }
}

impl Caller for Client {
    async fn add(&mut self, args: Args) -> anyhow::Result<i64> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        rmp_serde::encode::write_named(&mut self.buffer, &args)?;
        let len = (self.buffer.len() - 4) as u32;
        self.buffer[..4].copy_from_slice(&len.to_le_bytes());
        self.stream.write_all(&self.buffer).await?;
        // The answer is small: its length and body come in one read.
        let mut read = 0;
        self.buffer.resize(256, 0);
        loop {
            let count = self.stream.read(&mut self.buffer[read..]).await?;
            anyhow::ensure!(count > 0, "the worker hung up");
            read += count;
            if let Some(head) = self.buffer[..read].first_chunk::<4>() {
                let end = 4 + u32::from_le_bytes(*head) as usize;
                if read >= end {
                    return Ok(rmp_serde::from_slice(&self.buffer[4..end])?);
                }
            }
        }
    }
}
