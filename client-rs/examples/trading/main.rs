//! A trading process: each event of its market asks the strategy in a notebook what to do, and waits 500 µs for it.
//!
//! `trading --endpoint strategy`, with `strategy.py` beside this file as the cells of a notebook or as a script. It goes on
//! until Ctrl-C and prints what came of it.
//!
//! What is not answered in time is not waited for: the quotes are pulled, as a market maker does that no longer knows where
//! it stands.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../pace/mod.rs"]
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use pace::Pace;
use pycrust_client::{Code, Error, Reply, RpcClient};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The price moves by this much.
const TICK_SIZE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Asks a strategy about every event.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "strategy")]
    endpoint: String,
    /// Events a second.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Microseconds that a decision may take.
    #[arg(long, default_value_t = 500)]
    budget_us: u64,
}

/// What happens in the market. Pydantic reads it as a union that `kind` tells apart.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Event {
    Tick { symbol: String, bid: Decimal, ask: Decimal },
    Fill { symbol: String, side: Side, price: Decimal, size: u32 },
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Bought,
    Sold,
}

/// What the strategy wants, told apart by `action`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Decision {
    Quote { bid: Decimal, ask: Decimal, size: u32 },
    Pull { reason: String },
}

/// A market in which the price walks at random, and now and then somebody trades with our quotes.
struct Market {
    bid: Decimal,
    chance: u64,
    quoted: Option<(Decimal, Decimal, u32)>,
}

impl Market {
    fn new() -> Self {
        Self { bid: Decimal::new(13_250, 2), chance: 1, quoted: None }
    }

    /// A number below `limit`. Knuth's generator (The Art of Computer Programming, volume 2, 3.3.4).
    fn draw(&mut self, limit: u64) -> u64 {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % limit
    }

    fn next(&mut self) -> Event {
        let symbol = "BUND".to_owned();
        match (self.draw(10), self.quoted.take()) {
            (0, Some((bid, _, size))) => Event::Fill { symbol, side: Side::Bought, price: bid, size },
            (1, Some((_, ask, size))) => Event::Fill { symbol, side: Side::Sold, price: ask, size },
            (number, _) => {
                if number % 2 == 0 {
                    self.bid += TICK_SIZE;
                } else {
                    self.bid -= TICK_SIZE;
                }
                Event::Tick { symbol, bid: self.bid, ask: self.bid + TICK_SIZE }
            }
        }
    }
}

/// What came of the events.
struct Report {
    events: u64,
    late: u64,
    quotes: u64,
    pulled: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    /// The widths of the quotes that each version of the strategy gave, and how many decisions.
    versions: BTreeMap<u32, (u64, BTreeSet<Decimal>)>,
    /// Money and contracts.
    cash: Decimal,
    position: Decimal,
    round_trip: Histogram<u64>,
}

impl Report {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            events: 0,
            late: 0,
            quotes: 0,
            pulled: BTreeMap::new(),
            errors: BTreeMap::new(),
            versions: BTreeMap::new(),
            cash: Decimal::ZERO,
            position: Decimal::ZERO,
            round_trip: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
        })
    }

    fn book(&mut self, event: &Event) {
        self.events += 1;
        if let Event::Fill { side, price, size, .. } = event {
            let size = Decimal::from(*size);
            let (size, money) = match side {
                Side::Bought => (size, -price * size),
                Side::Sold => (-size, price * size),
            };
            self.position += size;
            self.cash += money;
        }
    }

    /// Counts an answer; gives the quotes that are in the market from now on.
    fn decided(&mut self, answer: Result<Reply<Decision>, Error>) -> Option<(Decimal, Decimal, u32)> {
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => {
                match error.code() {
                    Code::DeadlineExceeded => self.late += 1,
                    _ => *self.errors.entry(error.to_string()).or_default() += 1,
                }
                return None;
            }
        };
        let (decisions, widths) = self.versions.entry(reply.version()).or_default();
        *decisions += 1;
        match reply.into_value() {
            Decision::Quote { bid, ask, size } => {
                self.quotes += 1;
                widths.insert((ask - bid).normalize());
                Some((bid, ask, size))
            }
            Decision::Pull { reason } => {
                *self.pulled.entry(reason).or_default() += 1;
                None
            }
        }
    }

    fn print(&self) {
        let us = |quantile| self.round_trip.value_at_quantile(quantile) as f64 / 1e3;
        let versions: BTreeMap<_, _> = (self.versions.iter())
            .map(|(version, (decisions, widths))| {
                (version, json!({"decisions": decisions, "widths": widths}))
            })
            .collect();
        let report = json!({
            "events": self.events,
            "late": self.late,
            "quotes": self.quotes,
            "pulled": self.pulled,
            "errors": self.errors,
            "versions": versions,
            "position": self.position,
            "cash": self.cash,
            "round_trip_us": {"p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p999": us(0.999)},
        });
        println!("{report}");
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = RpcClient::connect(&options.endpoint).await?;
    println!("trading");
    let budget = Duration::from_micros(options.budget_us);
    let pace = Pace::new(options.rate)?;
    let (mut market, mut report) = (Market::new(), Report::new()?);
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            ticked = pace.tick() => ticked?,
        }
        let event = market.next();
        report.book(&event);
        let begun = Instant::now();
        // A tuple: the handler's one parameter is the event as a whole.
        let answer = client.request("decide").timeout(budget).send(&(event,)).await;
        report.round_trip.saturating_record(begun.elapsed().as_nanos() as u64);
        market.quoted = report.decided(answer);
    }
    client.close().await;
    report.print();
    Ok(())
}
