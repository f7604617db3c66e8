//! A market maker whose quotes come from Python over ZeroMQ: a REQ socket of libzmq's, arrays of MessagePack inside.
//!
//! Its limits are milliseconds, so that one of microseconds takes a loop that asks again and again (`--polled`); the other
//! way sleeps in the kernel and finds out afterwards that an answer was late.
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

use std::time::{Duration, Instant};

use clap::Parser;
use desk::{Features, Missed, Quotes, Quoting};
use trading_day::Day;

#[derive(Parser)]
struct Options {
    /// Where quotes are decided on.
    #[arg(long)]
    address: String,
    /// Asks for the answer again and again, instead of sleeping until it is there.
    #[arg(long)]
    polled: bool,
    #[command(flatten)]
    day: Day,
}

struct Desk {
    socket: zmq::Socket,
    polled: bool,
    deadline: Duration,
    buffer: Vec<u8>,
}

impl Quoting for Desk {
    fn quote(&mut self, features: &Features) -> Result<(u32, Quotes), Missed> {
        let failed = |error: &dyn std::fmt::Display| Missed::Failed(error.to_string());
        let begun = Instant::now();
        self.buffer.clear();
        rmp_serde::encode::write(&mut self.buffer, features).map_err(|error| failed(&error))?;
        self.socket.send(&*self.buffer, 0).map_err(|error| failed(&error))?;
        let answer = loop {
            match self.socket.recv_bytes(if self.polled { zmq::DONTWAIT } else { 0 }) {
                // With REQ_CORRELATE and REQ_RELAXED, its answer is thrown away when it comes.
                Err(zmq::Error::EAGAIN) if begun.elapsed() > self.deadline => return Err(Missed::Late),
                Err(zmq::Error::EAGAIN) => std::hint::spin_loop(),
                Err(error) => return Err(failed(&error)),
                Ok(answer) => break answer,
            }
        };
        let (version, quotes) = rmp_serde::from_slice(&answer).map_err(|error| failed(&error))?;
        if begun.elapsed() > self.deadline {
            return Err(Missed::Late);
        }
        Ok((version, quotes))
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let context = zmq::Context::new();
    let socket = context.socket(zmq::REQ)?;
    socket.set_req_correlate(true)?;
    socket.set_req_relaxed(true)?;
    socket.set_linger(0)?;
    socket.connect(&options.address)?;
    let (polled, deadline) = (options.polled, options.day.deadline());
    options.day.run(&mut Desk { socket, polled, deadline, buffer: Vec::new() })
}
