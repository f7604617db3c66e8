//! The book as the feed tells of it, and where our own orders stand in it.

use std::collections::BTreeMap;

use crate::flow::{Event, Side};

/// Levels that count for the imbalance.
const LEVELS: usize = 5;

/// Lots by price, on each side.
#[derive(Default)]
pub struct Book {
    bids: BTreeMap<i64, u32>,
    asks: BTreeMap<i64, u32>,
}

/// The best of both sides: prices and lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Best {
    pub bid: i64,
    pub ask: i64,
    pub bid_lots: u32,
    pub ask_lots: u32,
}

impl Book {
    /// Takes over a level's lots.
    pub fn set(&mut self, side: Side, tick: i64, lots: u32) {
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if lots == 0 {
            levels.remove(&tick);
        } else {
            levels.insert(tick, lots);
        }
    }

    /// None while a side is empty.
    pub fn best(&self) -> Option<Best> {
        let ((&bid, &bid_lots), (&ask, &ask_lots)) =
            (self.bids.iter().next_back()?, self.asks.iter().next()?);
        Some(Best { bid, ask, bid_lots, ask_lots })
    }

    pub fn lots(&self, side: Side, tick: i64) -> u32 {
        match side {
            Side::Bid => self.bids.get(&tick),
            Side::Ask => self.asks.get(&tick),
        }
        .copied()
        .unwrap_or(0)
    }

    /// From -1, where all of the best levels' lots want to sell, to 1.
    pub fn imbalance(&self) -> f64 {
        let bids = f64::from(self.bids.values().rev().take(LEVELS).sum::<u32>());
        let asks = f64::from(self.asks.values().take(LEVELS).sum::<u32>());
        (bids - asks) / (bids + asks).max(1.0)
    }
}

impl Best {
    pub fn middle(&self) -> f64 {
        (self.bid + self.ask) as f64 / 2.0
    }
}

/// An order of ours that rests.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub side: Side,
    pub tick: i64,
    pub lots: u32,
    /// Lots that stand before it, as far as that can be known of a feed without names: the most that there can be.
    ahead: u32,
}

impl Order {
    /// Behind all that rests there.
    pub fn new(side: Side, tick: i64, lots: u32, book: &Book) -> Self {
        Self { side, tick, lots, ahead: book.lots(side, tick) }
    }

    /// What the feed tells moves it on; gives the lots of it that were taken.
    pub fn heard(&mut self, event: &Event) -> u32 {
        let (side, tick, lots) = match *event {
            Event::Trade { side, tick, lots } => (side, tick, lots),
            Event::Depth { side, tick, lots } => {
                if (side, tick) == (self.side, self.tick) {
                    // Whoever left was before it only if there are fewer than it knew of.
                    self.ahead = self.ahead.min(lots);
                }
                return 0;
            }
        };
        let through = match self.side {
            Side::Bid => tick < self.tick,
            Side::Ask => tick > self.tick,
        };
        if side != self.side || (tick != self.tick && !through) {
            return 0;
        }
        let reached = if through { self.lots } else { lots.saturating_sub(self.ahead).min(self.lots) };
        self.ahead = self.ahead.saturating_sub(lots);
        self.lots -= reached;
        reached
    }
}
