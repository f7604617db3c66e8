//! What the leader receives with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_protocol::Malformed;
use pycrust_protocol::control::Request;
use pycrust_protocol::reserved::{HEALTH, INTERPRETER, METHODS, METRICS, STATS, TRAFFIC, TrafficQuery};
use pycrust_transport::{Link, monotonic_ns};

use crate::clients::call::Call;
use crate::clients::client::Client;
use crate::measuring::anticipation::{Anticipation, Budget, Plan};
use crate::measuring::rhythm::{Rhythm, Waited};
use crate::measuring::spin::Spin;
use crate::recording::refused::Refused;
use crate::refusals::Refusal;

/// What the leader receives with.
pub(crate) struct Receiver<L: Link> {
    /// The clients as of `topology`.
    pub(crate) clients: Vec<Attended<L>>,
    /// The state of the engine's list that `clients` was copied from.
    pub(crate) topology: u64,
    /// Whose turn is first.
    pub(crate) turn: usize,
    /// When to poll.
    pub(crate) spin: Spin,
    /// How to be awake in time for calls that are expected.
    pub(crate) anticipation: Anticipation,
    /// Whether nobody has received for a while: what has come meanwhile was held up by what the leader ran.
    pub(crate) returned: bool,
    /// Calls that were received in this round, with their methods' indices.
    pub(crate) arrived: Vec<(usize, Call<L>)>,
    /// Answers to frames of this round that don't become calls.
    pub(crate) replies: Vec<Reply<L>>,
    /// The indices of methods that were called: they stay a name's own, whatever becomes of the method.
    pub(crate) indices: HashMap<Box<str>, usize>,
}

/// A client as the leader sees it.
pub(crate) struct Attended<L> {
    pub(crate) client: Arc<Client<L>>,
    /// Its false alarms in a row.
    pub(crate) false_alarms: u32,
    /// When its calls come.
    pub(crate) rhythm: Rhythm,
    /// What may be spent on being awake in time for them.
    pub(crate) budget: Budget,
    /// The core on which it ran when it called last, counted from 1; 0 if it does not say.
    pub(crate) core: u16,
    /// What the last rehearsal took. It counts only if no call follows: one that does would have taken as much longer.
    pub(crate) rehearsed_ns: u64,
    /// The last one, if it is to be rehearsed: its method's index and its arguments.
    pub(crate) last: Option<(usize, Vec<u8>)>,
}

impl<L: Link> Attended<L> {
    pub(crate) fn new(client: Arc<Client<L>>) -> Self {
        Self {
            client,
            false_alarms: 0,
            rhythm: Rhythm::new(),
            budget: Budget::new(),
            core: 0,
            rehearsed_ns: 0,
            last: None,
        }
    }

    /// Keeps a call to rehearse the next one with.
    fn remember(&mut self, index: usize, payload: &[u8]) {
        if payload.len() > MOST_REHEARSED {
            self.last = None;
            return;
        }
        let (last, bytes) = self.last.get_or_insert_with(|| (index, Vec::new()));
        *last = index;
        bytes.clear();
        bytes.extend_from_slice(payload);
    }

    /// It has sent these calls.
    pub(crate) fn called(&mut self, calls: &[(usize, Call<L>)]) {
        for (index, call) in calls {
            self.core = call.core;
            if self.rhythm.arrived(call.sent_ns, call.next_ns) == Some(Waited::Hit) {
                self.client.anticipated.hits.fetch_add(1, Ordering::Relaxed);
                self.rehearsed_ns = 0;
            }
            if self.rhythm.is_known() {
                self.remember(*index, call.payload());
            }
        }
    }
}

/// Clients that are looked at for one that is expected: with more, there is always something to do.
const MOST_EXPECTED: usize = 64;

/// A call whose arguments are longer is not rehearsed.
const MOST_REHEARSED: usize = 4096;

/// An answer that is given without a call.
pub(crate) struct Reply<L> {
    pub(crate) client: Arc<Client<L>>,
    pub(crate) id: u64,
    pub(crate) what: Note,
    /// For its record, if there is to be one.
    pub(crate) refused: Option<Box<Refused>>,
    /// Whether its caller wants no answer.
    pub(crate) silent: bool,
}

/// What a [`Reply`] says.
pub(crate) enum Note {
    /// The answer to a question about the worker.
    Native(Native),
    /// Why there is no call.
    Refusal(Refusal),
    /// Which method there is not.
    Unknown(String),
}

/// A request that does not become a call: what is said instead, and what its record is made of.
pub(crate) type Away = (Note, Option<Box<Refused>>);

impl<L: Link> Receiver<L> {
    pub(crate) fn new(spin: Option<Duration>, anticipation: f64) -> Self {
        Self {
            clients: Vec::new(),
            topology: 0,
            turn: 0,
            spin: Spin::new(spin),
            anticipation: Anticipation::new(anticipation),
            returned: false,
            arrived: Vec::new(),
            replies: Vec::new(),
            indices: HashMap::new(),
        }
    }

    /// The core of a client with a rhythm, counted from 1; 0 if there is none.
    pub(crate) fn core_of_rhythm(&self) -> u16 {
        if self.clients.len() > MOST_EXPECTED {
            return 0;
        }
        // Not by a few pauses alone: whoever calls at random has none, and each sleep would cost two system calls more.
        let mut expected = self.clients.iter().filter(|attended| attended.rhythm.window().is_some());
        expected.next().map_or(0, |attended| attended.core)
    }

    /// The client that is expected first, and when to be awake for it.
    pub(crate) fn expected(&mut self) -> Option<(usize, Plan)> {
        let Self { clients, anticipation, spin, .. } = self;
        if anticipation.is_off() || !spin.has_core_to_spare() || clients.len() > MOST_EXPECTED {
            return None;
        }
        let mut first: Option<(usize, Plan)> = None;
        for (at, Attended { client, rhythm, budget, rehearsed_ns, .. }) in clients.iter_mut().enumerate() {
            let Some(mut window) = rhythm.window() else { continue };
            let now_ns = monotonic_ns();
            while window.until_ns < now_ns {
                if rhythm.lapsed() == Some(Waited::Miss) {
                    client.anticipated.misses.fetch_add(1, Ordering::Relaxed);
                    let in_vain_ns = std::mem::take(rehearsed_ns);
                    anticipation.spent(budget, in_vain_ns);
                    client.anticipated.awake_ns.fetch_add(in_vain_ns, Ordering::Relaxed);
                }
                match rhythm.window() {
                    Some(next) if next.until_ns > window.until_ns => window = next,
                    _ => break,
                }
            }
            if window.until_ns < now_ns {
                continue;
            }
            let plan = anticipation.plan(window, budget, now_ns);
            if let Some(plan) = plan
                && first.is_none_or(|(_, earlier)| plan.wake_ns < earlier.wake_ns)
            {
                first = Some((at, plan));
            }
        }
        first
    }

    /// Whoever leads now has run the rehearsal that was begun last, if there was one.
    pub(crate) fn rehearsed(&mut self) {
        let Self { clients, anticipation, .. } = self;
        let Some((client, begun_ns)) = anticipation.rehearses.take() else { return };
        let took_ns = monotonic_ns().saturating_sub(begun_ns);
        anticipation.rehearsal.took(took_ns);
        if let Some(attended) = clients.iter_mut().find(|attended| attended.client.id == client) {
            attended.rehearsed_ns = took_ns;
        }
    }
}

/// The reserved methods that exist.
pub(crate) const NATIVE: [&str; 6] = [HEALTH, METHODS, STATS, METRICS, INTERPRETER, TRAFFIC];

/// A question about the worker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Native {
    /// `pycrust.health`
    Health,
    /// `pycrust.methods`
    Methods,
    /// `pycrust.stats`
    Stats,
    /// `pycrust.metrics`
    Metrics,
    /// `pycrust.interpreter`
    Interpreter,
    /// `pycrust.traffic`
    Traffic(TrafficQuery),
}

impl Native {
    /// What a request asks; `None` if it asks for a handler.
    pub(crate) fn asked(request: &Request<'_>) -> Option<Result<Self, Malformed>> {
        match request.method {
            HEALTH => Some(Ok(Self::Health)),
            METHODS => Some(Ok(Self::Methods)),
            STATS => Some(Ok(Self::Stats)),
            METRICS => Some(Ok(Self::Metrics)),
            INTERPRETER => Some(Ok(Self::Interpreter)),
            TRAFFIC => Some(TrafficQuery::decode(request.payload).map(Self::Traffic)),
            _ => None,
        }
    }
}
