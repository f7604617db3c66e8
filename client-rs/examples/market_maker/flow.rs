//! Order flow that is made up: limit orders, cancellations and market orders at random times, in the way of Cont, Stoikov and
//! Talreja, "A stochastic model for order book dynamics", Operations Research 58(3), 2010.
//!
//! Limit orders come rarer the further they are from the other side's best price, each lot that rests is cancelled at the
//! same rate, and market orders lean towards a fair price that wanders and comes back. It shows how a program behaves,
//! not what a strategy would earn: this market has no memory, no news, and does not notice who trades with it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The side of the book that an order rests on, or that a trade takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Bid,
    Ask,
}

/// What a feed tells.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// So many lots rest there now.
    Depth { side: Side, tick: i64, lots: u32 },
    /// So many lots were taken from there.
    Trade { side: Side, tick: i64, lots: u32 },
}

/// Limit orders a second on each side at one tick from the other side's best.
const LIMIT_RATE: f64 = 80.0;
/// By this power of the distance they come rarer (as of the paper's section 4).
const LIMIT_POWER: f64 = 0.7;
/// The ticks on which they come.
const LIMIT_TICKS: i64 = 12;
/// Cancellations a second of each lot that rests.
const CANCEL_RATE: f64 = 3.0;
/// Market orders a second.
const MARKET_RATE: f64 = 100.0;
/// Lots of an order on average.
const ORDER_LOTS: f64 = 3.0;
/// Orders above this are cancelled as a whole.
const LARGE_ORDER: u32 = 3;
/// The fair price: how fast it comes back to where it began, a second, and how far it moves, in ticks for a second's root.
const FAIR_RETURN: f64 = 0.05;
const FAIR_SPREAD: f64 = 3.0;
/// How much likelier a market order towards the fair price is, for each tick that it is away.
const FAIR_PULL: f64 = 0.12;
/// Where it begins.
pub const FIRST_TICK: i64 = 10_000;

/// The market, which tells of everything that happens in it.
pub struct Flow {
    random: Random,
    at_ns: u64,
    fair: f64,
    bids: BTreeMap<i64, u32>,
    asks: BTreeMap<i64, u32>,
    told: VecDeque<Event>,
    /// How much faster than the rates say.
    faster: f64,
}

impl Flow {
    /// A market with orders on both sides; the same seed gives the same one.
    pub fn new(seed: u64, faster: f64) -> Self {
        let mut flow = Self {
            random: Random(seed),
            at_ns: 0,
            fair: FIRST_TICK as f64,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            told: VecDeque::new(),
            faster,
        };
        for away in 1..=LIMIT_TICKS {
            flow.add(Side::Bid, FIRST_TICK - away, 20);
            flow.add(Side::Ask, FIRST_TICK + away, 20);
        }
        flow
    }

    /// What happens next, and when, in nanoseconds from the start.
    pub fn next(&mut self) -> (u64, Event) {
        loop {
            if let Some(event) = self.told.pop_front() {
                return (self.at_ns, event);
            }
            self.happen();
        }
    }

    fn happen(&mut self) {
        let limits = (1..=LIMIT_TICKS).map(limit_rate).sum::<f64>();
        let resting = f64::from(self.bids.values().chain(self.asks.values()).sum::<u32>());
        let rates = [2.0 * limits, CANCEL_RATE * resting, MARKET_RATE];
        let total = rates.iter().sum::<f64>();
        let seconds = -self.random.share().ln() / total;
        self.at_ns += Duration::from_secs_f64(seconds / self.faster).as_nanos() as u64;
        self.fair += FAIR_RETURN * (FIRST_TICK as f64 - self.fair) * seconds
            + FAIR_SPREAD * seconds.sqrt() * self.random.normal();
        let drawn = self.random.share() * total;
        if drawn < rates[0] {
            let side = if self.random.share() < 0.5 { Side::Bid } else { Side::Ask };
            let away = self.distance(limits);
            let lots = self.random.lots();
            let tick = match side {
                Side::Bid => self.asks.keys().next().map_or(FIRST_TICK, |best| best - away),
                Side::Ask => self.bids.keys().next_back().map_or(FIRST_TICK, |best| best + away),
            };
            self.add(side, tick, lots);
        } else if drawn < rates[0] + rates[1] {
            self.cancel();
        } else {
            self.take();
        }
    }

    /// How far from the other side's best a limit order goes.
    fn distance(&mut self, limits: f64) -> i64 {
        let mut left = self.random.share() * limits;
        for away in 1..LIMIT_TICKS {
            left -= limit_rate(away);
            if left < 0.0 {
                return away;
            }
        }
        LIMIT_TICKS
    }

    fn add(&mut self, side: Side, tick: i64, lots: u32) {
        let resting = self.side(side).entry(tick).or_default();
        *resting += lots;
        let lots = *resting;
        self.told.push_back(Event::Depth { side, tick, lots });
    }

    /// Takes away a lot that rests, any of them, and with it some of its order.
    fn cancel(&mut self) {
        let resting = self.bids.values().chain(self.asks.values()).sum::<u32>();
        let mut left = self.random.below(resting);
        // Now and then a whole order goes, mostly a lot of one.
        let lots = match self.random.lots() {
            lots if lots > LARGE_ORDER => lots,
            _ => 1,
        };
        let levels = self.bids.iter().map(|(tick, lots)| (Side::Bid, *tick, *lots));
        let levels = levels.chain(self.asks.iter().map(|(tick, lots)| (Side::Ask, *tick, *lots)));
        for (side, tick, there) in levels.collect::<Vec<_>>() {
            if left < there {
                return self.remove(side, tick, lots);
            }
            left -= there;
        }
    }

    /// A market order.
    fn take(&mut self) {
        let (Some(bid), Some(ask)) = (self.bids.keys().next_back(), self.asks.keys().next()) else { return };
        let middle = (bid + ask) as f64 / 2.0;
        let buys = 0.5 + (FAIR_PULL * (self.fair - middle)).clamp(-0.45, 0.45);
        let side = if self.random.share() < buys { Side::Ask } else { Side::Bid };
        let mut left = self.random.lots();
        while left > 0 {
            let best = match side {
                Side::Bid => self.bids.iter().next_back(),
                Side::Ask => self.asks.iter().next(),
            };
            let Some((&tick, &there)) = best else { break };
            let lots = left.min(there);
            self.told.push_back(Event::Trade { side, tick, lots });
            self.remove(side, tick, lots);
            left -= lots;
        }
    }

    fn remove(&mut self, side: Side, tick: i64, lots: u32) {
        let levels = self.side(side);
        let left = levels.get(&tick).map_or(0, |there| there.saturating_sub(lots));
        if left > 0 {
            levels.insert(tick, left);
        } else if levels.len() > 1 {
            levels.remove(&tick);
        } else {
            return; // a side is never empty
        }
        self.told.push_back(Event::Depth { side, tick, lots: left });
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, u32> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

fn limit_rate(away: i64) -> f64 {
    LIMIT_RATE / (away as f64).powf(LIMIT_POWER)
}

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, and below 1.
    fn share(&mut self) -> f64 {
        ((self.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }

    /// A number below that one, which is not 0.
    fn below(&mut self, limit: u32) -> u32 {
        (self.draw() % u64::from(limit)) as u32
    }

    /// Of an order; geometric.
    fn lots(&mut self) -> u32 {
        let mut lots = 1;
        while self.share() > 1.0 / ORDER_LOTS {
            lots += 1;
        }
        lots
    }
}
