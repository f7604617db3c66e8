//! What makes the market: hears the feed, asks for quotes, trades by them, and keeps the books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::book::{Best, Book, Order};
use crate::flow::{Event, Flow, Side};

/// From the desk to the exchange.
const WIRE: Duration = Duration::from_micros(20);
/// How much of an average is the last move.
const LAST: f64 = 0.02;

/// What quotes are decided by.
#[derive(Debug, Clone, Serialize)]
pub struct Features {
    /// Nanoseconds of the market's time.
    pub at_ns: u64,
    pub bid_tick: i64,
    pub ask_tick: i64,
    pub bid_lots: u32,
    pub ask_lots: u32,
    /// Of the best levels: from -1, all want to sell, to 1.
    pub imbalance: f64,
    /// Ticks that the middle moves at a change of the book, on average.
    pub volatility: f64,
    /// Lots that were bought less those that were sold, lately.
    pub flow: f64,
    /// Lots that we have.
    pub position: i64,
    /// Where our quotes are now.
    pub our_bid: Option<i64>,
    pub our_ask: Option<i64>,
}

/// Where to quote, and how much; nothing on a side without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Quotes {
    pub bid_tick: Option<i64>,
    pub ask_tick: Option<i64>,
    pub lots: u32,
}

/// Why there are no quotes.
pub enum Missed {
    Late,
    Failed(String),
}

/// Who decides.
pub trait Quoting {
    /// Quotes, and the version that decided on them.
    fn quote(&mut self, features: &Features) -> Result<(u32, Quotes), Missed>;
}

/// What came of the quotes of one version.
struct Record {
    decisions: u64,
    fills: u64,
    /// Money that was made, in ticks of a lot, with what is held at the middle's price.
    earned: f64,
    largest_position: i64,
    market_ns: u64,
    widths: BTreeSet<i64>,
    times: Histogram<u64>,
}

/// The desk.
pub struct Desk {
    flow: Flow,
    book: Book,
    best: Option<Best>,
    orders: Vec<Order>,
    /// Quotes on their way, and when they arrive.
    sent: Option<(u64, u32, Option<Quotes>)>,
    /// Whose quotes are in the market.
    version: u32,
    volatility: f64,
    trades: f64,
    position: i64,
    cash: i64,
    worth: f64,
    at_ns: u64,
    bought: u64,
    sold: u64,
    asked: u64,
    late: u64,
    errors: BTreeMap<String, u64>,
    versions: BTreeMap<u32, Record>,
}

impl Desk {
    pub fn new(flow: Flow) -> Self {
        Self {
            flow,
            book: Book::default(),
            best: None,
            orders: Vec::new(),
            sent: None,
            version: 0,
            volatility: 0.0,
            trades: 0.0,
            position: 0,
            cash: 0,
            worth: 0.0,
            at_ns: 0,
            bought: 0,
            sold: 0,
            asked: 0,
            late: 0,
            errors: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Nanoseconds of the market's time.
    pub fn at_ns(&self) -> u64 {
        self.at_ns
    }

    /// Hears the feed up to the next change that quotes may depend on.
    pub fn hear(&mut self) -> Features {
        loop {
            let (at_ns, event) = self.flow.next();
            if self.sent.is_some_and(|(arrives, ..)| arrives <= at_ns) {
                self.arrive();
            }
            let since = at_ns - std::mem::replace(&mut self.at_ns, at_ns);
            let filled = self.trade(&event);
            if let Event::Depth { side, tick, lots } = event {
                self.book.set(side, tick, lots);
            }
            let before = self.best;
            self.best = self.book.best();
            let Some(best) = self.best else { continue };
            let moved = before.map_or(0.0, |before| best.middle() - before.middle());
            self.volatility += LAST * (moved.abs() - self.volatility);
            self.value(best.middle(), since);
            if filled || before != Some(best) {
                return self.features(best);
            }
        }
    }

    /// Asks what to quote, and sends it; how long that took.
    pub fn decide(&mut self, features: &Features, quoting: &mut impl Quoting) -> Duration {
        self.asked += 1;
        let begun = Instant::now();
        let answer = quoting.quote(features);
        let took = begun.elapsed();
        let arrives = self.at_ns + (took + WIRE).as_nanos() as u64;
        match answer {
            Ok((version, quotes)) => {
                let record = self.record(version);
                record.decisions += 1;
                record.times.saturating_record(took.as_nanos() as u64);
                record.widths.extend(quotes.ask_tick.zip(quotes.bid_tick).map(|(ask, bid)| ask - bid));
                self.sent = Some((arrives, version, Some(quotes)));
            }
            Err(missed) => {
                match missed {
                    Missed::Late => self.late += 1,
                    Missed::Failed(why) => *self.errors.entry(why).or_default() += 1,
                }
                // Who does not know where it stands quotes nothing.
                self.sent = Some((arrives, self.version, None));
            }
        }
        took
    }

    /// What was sent is in the market: an order whose price stays keeps its place.
    fn arrive(&mut self) {
        let Some((_, version, quotes)) = self.sent.take() else { return };
        self.version = version;
        let Some(best) = self.best else { return };
        let wanted = quotes.map_or([None; 2], |quotes| {
            // Makers do not take: what would trade at once goes to the best price that does not.
            let bid = quotes.bid_tick.map(|tick| (Side::Bid, tick.min(best.ask - 1), quotes.lots));
            let ask = quotes.ask_tick.map(|tick| (Side::Ask, tick.max(best.bid + 1), quotes.lots));
            [bid, ask]
        });
        self.orders.retain(|order| {
            order.lots > 0
                && wanted.iter().flatten().any(|(side, tick, _)| (*side, *tick) == (order.side, order.tick))
        });
        for (side, tick, lots) in wanted.into_iter().flatten() {
            if !self.orders.iter().any(|order| order.side == side) {
                self.orders.push(Order::new(side, tick, lots, &self.book));
            }
        }
    }

    /// Whether something of ours was taken.
    fn trade(&mut self, event: &Event) -> bool {
        if let Event::Trade { side, lots, .. } = event {
            let lots = if *side == Side::Ask { f64::from(*lots) } else { -f64::from(*lots) };
            self.trades += LAST * (lots - self.trades);
        }
        let mut filled = false;
        for order in &mut self.orders {
            let lots = order.heard(event);
            if lots == 0 {
                continue;
            }
            filled = true;
            let signed = match order.side {
                Side::Bid => i64::from(lots),
                Side::Ask => -i64::from(lots),
            };
            self.position += signed;
            self.cash -= signed * order.tick;
            match order.side {
                Side::Bid => self.bought += u64::from(lots),
                Side::Ask => self.sold += u64::from(lots),
            }
        }
        self.orders.retain(|order| order.lots > 0);
        if filled {
            let (version, position) = (self.version, self.position.abs());
            let record = self.record(version);
            record.fills += 1;
            record.largest_position = record.largest_position.max(position);
        }
        filled
    }

    /// What has been earned since is the live version's.
    fn value(&mut self, middle: f64, since_ns: u64) {
        let worth = self.cash as f64 + self.position as f64 * middle;
        let earned = worth - std::mem::replace(&mut self.worth, worth);
        let version = self.version;
        let record = self.record(version);
        record.earned += earned;
        record.market_ns += since_ns;
    }

    fn record(&mut self, version: u32) -> &mut Record {
        self.versions.entry(version).or_insert_with(|| Record {
            decisions: 0,
            fills: 0,
            earned: 0.0,
            largest_position: 0,
            market_ns: 0,
            widths: BTreeSet::new(),
            times: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that a histogram has"),
        })
    }

    fn features(&self, best: Best) -> Features {
        let ours = |side| self.orders.iter().find(|order| order.side == side).map(|order| order.tick);
        Features {
            at_ns: self.at_ns,
            bid_tick: best.bid,
            ask_tick: best.ask,
            bid_lots: best.bid_lots,
            ask_lots: best.ask_lots,
            imbalance: self.book.imbalance(),
            volatility: self.volatility,
            flow: self.trades,
            position: self.position,
            our_bid: ours(Side::Bid),
            our_ask: ours(Side::Ask),
        }
    }

    /// All of it, version by version; that of no version are quotes that were not there yet.
    pub fn report(&self) -> Value {
        let versions: BTreeMap<_, _> = (self.versions.iter().filter(|(version, _)| **version > 0))
            .map(|(version, record)| {
                let us = |quantile| record.times.value_at_quantile(quantile) as f64 / 1e3;
                let told = json!({
                    "decisions": record.decisions,
                    "market_seconds": record.market_ns as f64 / 1e9,
                    "fills": record.fills,
                    "earned_ticks": record.earned,
                    "largest_position": record.largest_position,
                    "widths": record.widths,
                    "decision_us": {"p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p999": us(0.999)},
                });
                (version, told)
            })
            .collect();
        json!({
            "asked": self.asked,
            "late": self.late,
            "errors": self.errors,
            "bought": self.bought,
            "sold": self.sold,
            "position": self.position,
            "cash_ticks": self.cash,
            "worth_ticks": self.worth,
            "versions": versions,
        })
    }
}
