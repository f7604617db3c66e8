//! A market maker whose quotes come from Python over a Unix socket, written by hand: arrays of MessagePack behind a length.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../../../../../../client-rs/examples/market_maker/book.rs"]
mod book;
#[path = "../../../../../../client-rs/examples/market_maker/desk.rs"]
mod desk;
#[path = "../../../../../../client-rs/examples/market_maker/flow.rs"]
mod flow;
#[path = "../../../../../../client-rs/examples/slices/mod.rs"]
mod slices;
#[path = "../../../../../../client-rs/examples/market_maker/trading_day.rs"]
mod trading_day;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use desk::{Features, Missed, Quotes, Quoting};
use trading_day::Day;

#[derive(Parser)]
struct Options {
    /// The socket's file.
    #[arg(long)]
    path: PathBuf,
    #[command(flatten)]
    day: Day,
}

struct Desk {
    stream: UnixStream,
    deadline: Duration,
    buffer: Vec<u8>,
}

impl Desk {
    fn ask(&mut self, features: &Features) -> anyhow::Result<(u32, Quotes)> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        rmp_serde::encode::write(&mut self.buffer, features)?;
        let len = (self.buffer.len() - 4) as u32;
        self.buffer[..4].copy_from_slice(&len.to_le_bytes());
        self.stream.write_all(&self.buffer)?;
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        self.buffer.resize(u32::from_le_bytes(head) as usize, 0);
        self.stream.read_exact(&mut self.buffer)?;
        Ok(rmp_serde::from_slice(&self.buffer)?)
    }
}

impl Quoting for Desk {
    fn quote(&mut self, features: &Features) -> Result<(u32, Quotes), Missed> {
        let begun = Instant::now();
        let answer = self.ask(features).map_err(|error| Missed::Failed(error.to_string()))?;
        if begun.elapsed() > self.deadline { Err(Missed::Late) } else { Ok(answer) }
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let stream = UnixStream::connect(&options.path)?;
    let deadline = options.day.deadline();
    options.day.run(&mut Desk { stream, deadline, buffer: Vec::new() })
}
