//! How much may be in the worker at once. Calls past a bound are answered, not queued.
//!
//! A bound of all clients together is not one client's to use up: each has a share that it may use whatever the others
//! hold. So all of them together hold twice the bound at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pycrust_transport::Link;

use crate::clients::account::{Account, Held};
use crate::clients::client::Client;
use crate::clients::outbox::Outbox;
use crate::config::Config;

/// Clients among whom the bounds are shared out: as many as may be connected.
const SHARES: usize = 256;

/// What the worker holds of all clients together, and the bounds.
pub(crate) struct Admission {
    /// Bound of calls in flight of one client.
    per_client: usize,
    /// Bound of calls in flight of all clients.
    total: usize,
    /// Bound of argument bytes in queues.
    bytes: usize,
    /// Calls received and not yet answered.
    in_flight: AtomicUsize,
    /// Argument bytes in queues.
    queued_bytes: AtomicUsize,
    /// Bound of the bytes of answers that wait in outboxes.
    max_waiting: usize,
    /// Bytes of answers that wait in outboxes.
    waiting: Arc<AtomicUsize>,
    /// Bytes of streamed arguments that no handler has taken.
    streamed: Arc<AtomicUsize>,
}

/// Which bound a call met, and how full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Calls in flight of its client.
    Client { held: usize, bound: usize },
    /// Calls in flight of all clients.
    Worker { held: usize, bound: usize },
    /// Bytes in queues.
    Bytes { held: usize, bound: usize, asked: usize },
    /// Bytes of answers in outboxes.
    Waiting { held: usize, bound: usize, asked: usize },
    /// Bytes of streamed arguments that no handler has taken.
    Streamed { held: usize, bound: usize, asked: usize },
}

// Only the leader reserves, while other threads release: a reservation that passes its check can
// only find more room by the time it is made. So load, compare and add need not be one step.
impl Admission {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            per_client: config.max_in_flight_per_client,
            total: config.max_in_flight,
            bytes: config.max_queued_bytes,
            in_flight: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            max_waiting: config.max_waiting_bytes,
            waiting: Arc::default(),
            streamed: Arc::default(),
        }
    }

    /// Takes room for one call of `bytes` argument bytes.
    ///
    /// # Errors
    /// [`Full`] if a bound is met; nothing is taken then.
    pub(crate) fn reserve(&self, account: &Account, bytes: usize) -> Result<(), Full> {
        let held = account.in_flight();
        if held >= self.per_client {
            return Err(Full::Client { held, bound: self.per_client });
        }
        let held = self.in_flight.load(Ordering::Relaxed);
        if held >= self.total && account.in_flight() >= (self.total / SHARES).max(1) {
            return Err(Full::Worker { held, bound: self.total });
        }
        let held = self.queued_bytes.load(Ordering::Relaxed);
        let own = account.queued_bytes().saturating_add(bytes);
        if held > 0 && held.saturating_add(bytes) > self.bytes && own > self.bytes / SHARES {
            return Err(Full::Bytes { held, bound: self.bytes, asked: bytes });
        }
        self.hold(account);
        account.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a call as in flight without asking: for an answer that has to wait in the outbox.
    pub(crate) fn hold(&self, account: &Account) {
        account.in_flight.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The call is answered, or dropped with its client.
    pub(crate) fn release(&self, account: &Account) {
        account.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A call of so many bytes left its queue.
    pub(crate) fn unqueue(&self, account: &Account, bytes: usize) {
        account.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts the bytes of answers that wait in outboxes.
    pub(crate) fn waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.waiting)
    }

    /// Whether an answer of so many bytes may wait for its client.
    ///
    /// # Errors
    /// [`Full`] if others wait in all, and for this client, beyond its share.
    pub(crate) fn may_wait(&self, outbox: &Outbox, bytes: usize) -> Result<(), Full> {
        let held = self.waiting.load(Ordering::Relaxed);
        let share = self.max_waiting / SHARES;
        if held.saturating_add(bytes) <= self.max_waiting || outbox.bytes().saturating_add(bytes) <= share {
            return Ok(());
        }
        Err(Full::Waiting { held, bound: self.max_waiting, asked: bytes })
    }

    /// Takes room for a streamed argument of so many bytes, until what is given is dropped.
    ///
    /// # Errors
    /// [`Full`] if others wait in all, and of this client, beyond its share.
    pub(crate) fn reserve_item(&self, account: &Account, bytes: usize) -> Result<Held, Full> {
        let held = self.streamed.load(Ordering::Relaxed);
        let own = account.streamed.load(Ordering::Relaxed).saturating_add(bytes);
        if held.saturating_add(bytes) > self.max_waiting && own > self.max_waiting / SHARES {
            return Err(Full::Streamed { held, bound: self.max_waiting, asked: bytes });
        }
        Ok(Held::new(bytes, [&self.streamed, &account.streamed]))
    }

    /// Whether frames may be received from a client: not while it leaves its answers lying.
    pub(crate) fn receives_from<L: Link>(&self, client: &Client<L>) -> bool {
        let outbox = &client.outbox;
        !client.is_gone()
            && (outbox.is_empty()
                || (outbox.len() < self.per_client.max(1) && outbox.bytes() < self.bytes.max(1)))
    }

    /// Calls received and not yet answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Argument bytes in queues.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&Config {
            max_in_flight_per_client: 2,
            max_in_flight: 3,
            max_queued_bytes: 100,
            ..Config::new("test", 1)
        })
    }

    #[test]
    fn bounds_calls_per_client_and_in_total() {
        let admission = admission();
        let (first, second) = (Account::default(), Account::default());
        assert_eq!(admission.reserve(&first, 1), Ok(()));
        assert_eq!(admission.reserve(&first, 1), Ok(()));
        assert_eq!(admission.reserve(&first, 1), Err(Full::Client { held: 2, bound: 2 }));
        assert_eq!(admission.reserve(&second, 1), Ok(()));
        assert_eq!(admission.reserve(&second, 1), Err(Full::Worker { held: 3, bound: 3 }));
        admission.release(&first);
        assert_eq!(admission.reserve(&second, 1), Ok(()));
        assert_eq!(admission.in_flight(), 3);
    }

    #[test]
    fn bounds_queued_bytes_but_takes_one_large_call() {
        let admission = Admission::new(&Config { max_queued_bytes: 100, ..Config::new("test", 1) });
        let account = Account::default();
        assert_eq!(admission.reserve(&account, 1000), Ok(()));
        assert_eq!(admission.reserve(&account, 1), Err(Full::Bytes { held: 1000, bound: 100, asked: 1 }));
        admission.unqueue(&account, 1000);
        assert_eq!(admission.reserve(&account, 1), Ok(()));
        assert_eq!(admission.queued_bytes(), 1);
    }

    #[test]
    fn streamed_arguments_count_until_they_are_taken() {
        let admission = Admission::new(&Config { max_waiting_bytes: 25_600, ..Config::new("test", 1) });
        let (greedy, modest) = (Account::default(), Account::default());
        let mut items = Vec::new();
        while let Ok(item) = admission.reserve_item(&greedy, 1000) {
            items.push(item);
        }
        assert_eq!(items.len(), 25);
        let full = Full::Streamed { held: 25_000, bound: 25_600, asked: 1000 };
        assert_eq!(admission.reserve_item(&greedy, 1000).err(), Some(full));
        assert!(admission.reserve_item(&modest, 100).is_ok(), "its share, which is given back at once");
        drop(items.pop());
        assert!(admission.reserve_item(&greedy, 1000).is_ok());
    }

    #[test]
    fn a_client_has_its_share_whatever_the_others_hold() {
        let admission = Admission::new(&Config {
            max_in_flight_per_client: 1 << 20,
            max_in_flight: 1024,
            max_queued_bytes: 256_000,
            ..Config::new("test", 1)
        });
        let (greedy, modest) = (Account::default(), Account::default());
        while admission.reserve(&greedy, 250).is_ok() {}
        assert_eq!(greedy.in_flight(), 1024);
        for _ in 0..4 {
            assert_eq!(admission.reserve(&modest, 250), Ok(()));
        }
        assert_eq!(admission.reserve(&modest, 1), Err(Full::Worker { held: 1028, bound: 1024 }));

        let (greedy, modest) = (Account::default(), Account::default());
        let admission = Admission::new(&Config { max_queued_bytes: 256_000, ..Config::new("test", 1) });
        while admission.reserve(&greedy, 1_000).is_ok() {}
        assert_eq!(admission.reserve(&modest, 900), Ok(()));
        assert_eq!(admission.reserve(&modest, 100), Ok(()));
        assert_eq!(
            admission.reserve(&modest, 1),
            Err(Full::Bytes { held: 257_000, bound: 256_000, asked: 1 })
        );
    }
}
