//! A market maker: the book, the orders and the money are kept here, a notebook decides where to quote.
//!
//! `market_maker`, with `quoting.py` beside this file as the cells of a notebook or as a script. It goes on until Ctrl-C, or
//! for `--seconds` of the market's time, and prints what the quotes of each version have earned.
#![allow(clippy::print_stdout, reason = "a program")]

mod book;
mod desk;
mod flow;
#[path = "../slices/mod.rs"]
mod slices;
mod trading_day;

use std::time::Duration;

use clap::Parser;
use pycrust_client::{Code, Method, RpcClient, Spin, blocking};
use serde::de::IgnoredAny;

use crate::desk::{Features, Missed, Quotes, Quoting};
use crate::trading_day::Day;

/// To find the next notebook, when one has died.
const CONNECTING: Duration = Duration::from_millis(100);

const QUOTE: Method<(Features,), Quotes> = Method::new("quote");

/// Makes a market by quotes that a notebook decides on.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "quoting")]
    endpoint: String,
    /// Sleeps while it waits for an answer, even for a short one.
    #[arg(long)]
    sleeping: bool,
    #[command(flatten)]
    day: Day,
}

/// Asks the notebook.
struct Notebook {
    client: blocking::RpcClient,
    deadline: Duration,
}

impl Quoting for Notebook {
    fn quote(&mut self, features: &Features) -> Result<(u32, Quotes), Missed> {
        if !self.client.is_connected() {
            // Connecting takes some milliseconds, which no decision has: nothing is quoted meanwhile.
            let _found = self.client.request("pycrust.health").timeout(CONNECTING).send::<_, IgnoredAny>(&());
            return Err(Missed::Failed(Code::Unavailable.to_string()));
        }
        // A tuple: the handler's one parameter is the book as a whole.
        let reply = self.client.request_of(&QUOTE).timeout(self.deadline).send(&(features,));
        match reply {
            Ok(reply) => Ok((reply.version(), reply.into_value())),
            Err(error) if error.code() == Code::DeadlineExceeded => Err(Missed::Late),
            Err(error) => Err(Missed::Failed(error.code().to_string())),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let builder = RpcClient::builder(&options.endpoint);
    let builder = if options.sleeping { builder.spin(Spin::Off) } else { builder };
    let client = builder.connect_blocking()?;
    options.day.run(&mut Notebook { client, deadline: options.day.deadline() })
}
