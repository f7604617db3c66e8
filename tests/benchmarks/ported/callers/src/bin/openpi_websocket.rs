//! openpi's observations from Rust, over its websocket: a map of MessagePack with arrays in openpi's form.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../../../../../../client-rs/examples/slices/mod.rs"]
mod slices;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use slices::{Slice, Slices};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const SHAPE: [usize; 3] = [224, 224, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const CAMERAS: [&str; 3] = ["cam_high", "cam_left_wrist", "cam_right_wrist"];

#[derive(Parser)]
struct Options {
    /// Where the server listens.
    #[arg(long)]
    address: String,
}

#[derive(Serialize)]
struct Observation<'a> {
    images: BTreeMap<&'static str, Array<'a>>,
    state: Array<'a>,
    prompt: &'static str,
}

/// An array in openpi's form: the keys are bytes.
struct Array<'a> {
    data: &'a [u8],
    dtype: &'static str,
    shape: &'a [usize],
}

impl Serialize for Array<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry(Bytes::new(b"__ndarray__"), &true)?;
        map.serialize_entry(Bytes::new(b"data"), Bytes::new(self.data))?;
        map.serialize_entry(Bytes::new(b"dtype"), self.dtype)?;
        map.serialize_entry(Bytes::new(b"shape"), self.shape)?;
        map.end()
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    actions: BTreeMap<&'a Bytes, Field<'a>>,
}

/// A value of an array's map.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field<'a> {
    #[serde(borrow)]
    Data(&'a Bytes),
    #[allow(dead_code, reason = "read to be skipped")]
    Other(serde::de::IgnoredAny),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn infer(socket: &mut Socket, observation: &Observation<'_>) -> anyhow::Result<Vec<f32>> {
    let packed = rmp_serde::to_vec_named(observation)?;
    socket.send(Message::binary(packed)).await?;
    let answer = loop {
        match socket.next().await.context("closed")?? {
            Message::Binary(answer) => break answer,
            Message::Ping(_) | Message::Pong(_) => {}
            other => bail!("{other}"),
        }
    };
    let answer: Answer = rmp_serde::from_slice(&answer)?;
    let Some(Field::Data(data)) = answer.actions.get(Bytes::new(b"data")) else { bail!("no data") };
    Ok(data.chunks_exact(4).filter_map(|four| Some(f32::from_le_bytes(four.try_into().ok()?))).collect())
}

/// Waits for the next slice, and meanwhile answers the server's pings, without which it would hang up.
async fn pause(socket: &mut Socket, mut slices: Slices) -> anyhow::Result<(Slices, Option<Slice>)> {
    let mut waiting = tokio::task::spawn_blocking(move || slices.next().map(|slice| (slices, slice)));
    loop {
        tokio::select! {
            asked = &mut waiting => return asked?,
            message = socket.next() => match message.context("closed")?? {
                Message::Ping(_) => socket.flush().await?,
                Message::Pong(_) => {}
                other => bail!("{other}"),
            },
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let (mut socket, _) =
        tokio_tungstenite::connect_async_with_config(&options.address, Some(config), true).await?;
    socket.next().await.context("closed")??;
    let mut images = [0, 1, 2].map(|_| vec![0_u8; IMAGE]);
    let state: Vec<u8> = [0.1_f64; 14].iter().flat_map(|joint| joint.to_le_bytes()).collect();
    let mut slices = Slices::begin()?;
    let mut step = 0_usize;
    loop {
        let (left, slice) = pause(&mut socket, slices).await?;
        slices = left;
        let Some(mut slice) = slice else { break };
        while slice.goes_on() {
            step += 1;
            for (camera, image) in images.iter_mut().enumerate() {
                for (at, row) in image.chunks_exact_mut(SHAPE[1] * SHAPE[2]).enumerate() {
                    row.fill((step + 80 * camera + at) as u8);
                }
            }
            let begun = Instant::now();
            let array = |image| Array { data: image, dtype: "|u1", shape: &SHAPE };
            let observation = Observation {
                images: CAMERAS.into_iter().zip(images.iter().map(|image| array(image.as_slice()))).collect(),
                state: Array { data: &state, dtype: "<f8", shape: &[14] },
                prompt: "fold the towel",
            };
            let actions = infer(&mut socket, &observation).await?;
            slice.took(begun.elapsed(), actions.len() == 50 * 14);
        }
        slice.tell()?;
    }
    socket.close(None).await?;
    Ok(())
}
