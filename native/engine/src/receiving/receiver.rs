//! What the leader receives with.

use std::sync::Arc;
use std::time::Duration;

use pycrust_transport::Link;

use crate::answering::refusals::Refusal;
use crate::receiving::builtin::Native;
use crate::recording::record_calls::Refused;
use crate::running::call::Call;
use crate::running::client::Client;
use crate::running::spin::Spin;

/// What the leader receives with.
pub(crate) struct Receiver<L: Link> {
    /// The clients as of `topology`, each with its false alarms in a row.
    pub(crate) clients: Vec<(Arc<Client<L>>, u32)>,
    /// The state of the engine's list that `clients` was copied from.
    pub(crate) topology: u64,
    /// Whose turn is first.
    pub(super) turn: usize,
    /// When to poll.
    pub(crate) spin: Spin,
    /// Whether nobody has received for a while: what has come meanwhile was held up by what the leader ran.
    pub(crate) returned: bool,
    /// Calls that were received in this round, with their methods' indices.
    pub(super) arrived: Vec<(usize, Call<L>)>,
    /// Answers to frames of this round that don't become calls.
    pub(super) replies: Vec<Reply<L>>,
}

/// An answer that is given without a call.
pub(super) struct Reply<L> {
    pub(super) client: Arc<Client<L>>,
    pub(super) id: u64,
    pub(super) what: Note,
    /// For its record, if there is to be one.
    pub(super) refused: Option<Box<Refused>>,
    /// Whether its caller wants no answer.
    pub(super) silent: bool,
}

/// What a [`Reply`] says.
pub(super) enum Note {
    /// The answer to a question about the worker.
    Native(Native),
    /// Why there is no call.
    Refusal(Refusal),
    /// Which method there is not.
    Unknown(String),
}

/// A request that does not become a call: what is said instead, and what its record is made of.
pub(super) type Away = (Note, Option<Box<Refused>>);

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
        }
    }
}
