//! Environments stepped in Rust with a policy behind a ZeroMQ socket: arrays as the parts of a message, actions back.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../../../../../../client-rs/examples/vector_envs/cart_poles.rs"]
mod cart_poles;
#[path = "../../../../../../client-rs/examples/slices/mod.rs"]
mod slices;

use std::time::Instant;

use anyhow::Context;
use cart_poles::CartPoles;
use clap::Parser;
use slices::Slices;
use zeromq::{ReqSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

#[derive(Parser)]
struct Options {
    /// Where the policy listens.
    #[arg(long)]
    address: String,
    /// How many cart-poles.
    #[arg(long)]
    envs: usize,
}

async fn step(socket: &mut ReqSocket, poles: &mut CartPoles) -> anyhow::Result<()> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut message = ZmqMessage::from(bytes(&poles.states));
    message.push_back(bytes(&poles.rewards).into());
    message.push_back(poles.ended.clone().into());
    socket.send(message).await?;
    let actions = socket.recv().await?;
    poles.step(actions.get(0).context("an empty answer")?);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut poles = CartPoles::new(options.envs, 1);
    let mut socket = ReqSocket::new();
    socket.connect(&options.address).await?;
    let mut slices = Slices::begin()?;
    while let Some(mut slice) = slices.next()? {
        while slice.goes_on() {
            let begun = Instant::now();
            step(&mut socket, &mut poles).await?;
            slice.took(begun.elapsed(), true);
        }
        slice.tell()?;
    }
    Ok(())
}
