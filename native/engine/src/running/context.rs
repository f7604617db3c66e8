//! What a handler may know of the call that it runs for.

use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::header::TraceContext;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Block, Link, Peer, SendError, monotonic_ns};

use crate::clients::client::Client;
use crate::recording::output::Output;

/// A call as its handler sees it. It may be kept beyond the call's end.
pub struct CallContext<L: Link> {
    pub(crate) client: Arc<Client<L>>,
    pub(crate) sent_ns: u64,
    pub(crate) expires_ns: Option<u64>,
    pub(crate) answer: Arc<Mutex<Vec<u8>>>,
    /// Where its handler's output is kept; `None` if the call is not recorded.
    pub output: Option<Arc<Output>>,
    /// The caller's number for the call; unique on its connection only.
    pub id: u64,
    /// The method's name.
    pub method: Arc<str>,
    /// The version that runs, from 1.
    pub version: u32,
    /// Whether the caller said that running the call twice does no harm.
    pub idempotent: bool,
    /// The caller's trace context; all zero is none.
    pub trace: TraceContext,
    /// The caller's metadata as MessagePack; empty if there is none.
    pub metadata: Box<[u8]>,
}

impl<L: Link> CallContext<L> {
    /// Who called.
    pub fn peer(&self) -> &Peer {
        &self.client.peer
    }

    /// The connection that it came by.
    pub fn connection(&self) -> u64 {
        self.client.id
    }

    /// Whether the caller cancelled the call or is gone.
    pub fn cancelled(&self) -> bool {
        self.client.is_gone() || self.client.link.cancelled(self.id)
    }

    /// Time since it was sent.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_ns().saturating_sub(self.sent_ns))
    }

    /// Time until its deadline, zero once that has passed; `None` if it has none.
    pub fn time_left(&self) -> Option<Duration> {
        self.expires_ns.map(|expires| Duration::from_nanos(expires.saturating_sub(monotonic_ns())))
    }

    /// Memory of the caller's connection, for arrays of the answer that are built in place. Its first use may
    /// wait for the caller.
    ///
    /// # Errors
    /// [`SendError`] if there is none.
    pub fn block(&self, len: usize) -> Result<Block, SendError> {
        self.client.link.block(len)
    }

    /// Sets the metadata that travels with the answer: MessagePack.
    pub fn set_answer_metadata(&self, metadata: Vec<u8>) {
        *self.answer.lock() = metadata;
    }
}
