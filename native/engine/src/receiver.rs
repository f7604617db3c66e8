//! What the leader receives with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::reserved::{HEALTH, METHODS, STATS};
use pycrust_transport::Link;

use crate::clients::call::Call;
use crate::clients::client::Client;
use crate::measuring::spin::Spin;
use crate::recording::refused::Refused;
use crate::refusals::Refusal;

/// What the leader receives with.
pub(crate) struct Receiver<L: Link> {
    /// The clients as of `topology`, each with its false alarms in a row.
    pub(crate) clients: Vec<(Arc<Client<L>>, u32)>,
    /// The state of the engine's list that `clients` was copied from.
    pub(crate) topology: u64,
    /// Whose turn is first.
    pub(crate) turn: usize,
    /// When to poll.
    pub(crate) spin: Spin,
    /// Whether nobody has received for a while: what has come meanwhile was held up by what the leader ran.
    pub(crate) returned: bool,
    /// Calls that were received in this round, with their methods' indices.
    pub(crate) arrived: Vec<(usize, Call<L>)>,
    /// Answers to frames of this round that don't become calls.
    pub(crate) replies: Vec<Reply<L>>,
    /// The indices of methods that were called: they stay a name's own, whatever becomes of the method.
    pub(crate) indices: HashMap<Box<str>, usize>,
}

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
    pub(crate) fn new(spin: Option<Duration>) -> Self {
        Self {
            clients: Vec::new(),
            topology: 0,
            turn: 0,
            spin: Spin::new(spin),
            returned: false,
            arrived: Vec::new(),
            replies: Vec::new(),
            indices: HashMap::new(),
        }
    }
}

/// The reserved methods that exist.
pub(crate) const NATIVE: [&str; 3] = [HEALTH, METHODS, STATS];

/// A question about the worker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Native {
    /// `pycrust.health`
    Health,
    /// `pycrust.methods`
    Methods,
    /// `pycrust.stats`
    Stats,
}

impl Native {
    /// The reserved method of this name.
    pub(crate) fn named(method: &str) -> Option<Self> {
        match method {
            HEALTH => Some(Self::Health),
            METHODS => Some(Self::Methods),
            STATS => Some(Self::Stats),
            _ => None,
        }
    }
}
