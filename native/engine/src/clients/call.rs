//! A call that was received: everything of its frame that is kept.

use std::sync::Arc;

use pycrust_protocol::control::Request;
use pycrust_protocol::header::{RequestHeader, TraceContext, flags};
use pycrust_transport::{Attachments, CallProgress, Link};

use crate::clients::client::Client;
use crate::clients::ongoing::Ongoing;

/// When a call that never expires is due after it was received: the client's usual deadline.
const USUAL_NS: u64 = 30_000_000_000;
/// When a call is due at the latest: it would otherwise wait for ever while its client makes others that expire sooner.
const LONGEST_NS: u64 = 300_000_000_000;

/// One received call. Its bytes are copied out of shared memory: the caller can't change them after
/// they were checked, and the slot is free for the next call. Large arrays stay where they are.
pub(crate) struct Call<L: Link> {
    /// Who called.
    pub(crate) client: Arc<Client<L>>,
    /// The caller's number for it.
    pub(crate) id: u64,
    /// Bits of [`flags`].
    pub(crate) flags: u8,
    /// `CLOCK_MONOTONIC` when it was published, at most `received_ns`.
    pub(crate) sent_ns: u64,
    /// `CLOCK_MONOTONIC` when it was received.
    pub(crate) received_ns: u64,
    /// When it expires; `None` is never.
    pub(crate) expires_ns: Option<u64>,
    /// How long after `sent_ns` its caller means to call again; 0 does not say.
    pub(crate) next_ns: u64,
    /// The core on which its caller runs, counted from 1; 0 does not say.
    pub(crate) core: u16,
    /// Whether it is only rehearsed: everything is done but the handler's part.
    pub(crate) rehearses: bool,
    /// The schema hash that the caller was built against; 0 is any.
    pub(crate) schema_pin: u64,
    /// The caller's trace context.
    pub(crate) trace: TraceContext,
    /// What the caller says later, for a call that streams or outlasts its thread's turn.
    pub(crate) ongoing: Option<Arc<Ongoing>>,
    /// The arguments, and behind them the metadata.
    bytes: Box<[u8]>,
    /// Bytes of the arguments.
    payload_len: u32,
    /// The arrays among the arguments.
    attachments: Attachments,
}

impl<L: Link> Call<L> {
    pub(crate) fn new(
        client: &Arc<Client<L>>,
        header: &RequestHeader,
        request: &Request<'_>,
        metadata: &[u8],
        attachments: Attachments,
        received_ns: u64,
    ) -> Self {
        // A frame from the future would never expire.
        let sent_ns = header.common.sent_ns.min(received_ns);
        Self {
            client: Arc::clone(client),
            id: request.id,
            flags: header.common.flags,
            sent_ns,
            received_ns,
            expires_ns: (header.deadline_ns != 0).then(|| sent_ns.saturating_add(header.deadline_ns)),
            next_ns: header.next_ns,
            core: header.core,
            rehearses: false,
            schema_pin: header.schema_pin,
            trace: header.trace,
            ongoing: None,
            bytes: [request.payload, metadata].concat().into_boxed_slice(),
            payload_len: request.payload.len() as u32,
            attachments,
        }
    }

    /// A rehearsal of a call with these arguments, for the worker's own sake: nobody gets an answer.
    pub(crate) fn rehearsal(client: &Arc<Client<L>>, payload: &[u8], now_ns: u64) -> Self {
        Self {
            client: Arc::clone(client),
            id: 0,
            flags: flags::ONE_WAY,
            sent_ns: now_ns,
            received_ns: now_ns,
            expires_ns: None,
            next_ns: 0,
            core: 0,
            rehearses: true,
            schema_pin: 0,
            trace: TraceContext::default(),
            ongoing: None,
            bytes: payload.into(),
            payload_len: payload.len() as u32,
            attachments: Attachments::none(),
        }
    }

    /// The arguments as MessagePack.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[..self.payload_len as usize]
    }

    /// The metadata as MessagePack.
    pub(crate) fn metadata(&self) -> &[u8] {
        &self.bytes[self.payload_len as usize..]
    }

    /// The arrays among the arguments.
    pub(crate) fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// The arguments and the metadata behind them, for whoever keeps them; the call then has none.
    pub(crate) fn take_bytes(&mut self) -> (Box<[u8]>, usize) {
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.payload_len) as usize)
    }

    /// How long after its publishing it expires, in nanoseconds; 0 is never.
    pub(crate) fn deadline_ns(&self) -> u64 {
        self.expires_ns.map_or(0, |expires| expires.saturating_sub(self.sent_ns))
    }

    /// By when it should be answered, which is what queues order it by.
    pub(crate) fn due_ns(&self) -> u64 {
        let usual = || self.received_ns.saturating_add(USUAL_NS);
        self.expires_ns.unwrap_or_else(usual).min(self.received_ns.saturating_add(LONGEST_NS))
    }

    /// Bytes of the heap that it holds while it waits.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.attachments.copied_len()
    }

    /// Notes for the caller how far it is.
    pub(crate) fn note(&self, progress: CallProgress) {
        // What the worker rehearses for itself has no caller, and no number.
        if !(self.rehearses && self.one_way()) {
            self.client.link.note(self.id, progress);
        }
    }

    /// Whether the caller wants no answer.
    pub(crate) fn one_way(&self) -> bool {
        self.flags & flags::ONE_WAY != 0
    }

    /// Whether the caller takes a stream as answer.
    pub(crate) fn streams(&self) -> bool {
        self.flags & flags::STREAM != 0
    }

    /// Follows what the caller says of this call from now on.
    pub(crate) fn follow(&mut self, ongoing: Arc<Ongoing>) {
        let older = self.client.ongoing.lock().insert(self.id, Arc::clone(&ongoing));
        // A client that uses an id twice can't be heard of its older call any more, and when it leaves, nobody would tell
        // that one: a handler that waits for its arguments would wait for ever.
        if let Some(older) = older {
            older.cancel();
        }
        // What was said before is not said again.
        if self.client.is_gone() || self.client.link.cancelled(self.id) {
            ongoing.cancel();
        }
        self.ongoing = Some(ongoing);
    }

    /// What the caller says of it from now on concerns nobody.
    pub(crate) fn unfollow(&mut self) {
        if let Some(ongoing) = self.ongoing.take() {
            let mut calls = self.client.ongoing.lock();
            // The id may be another call's by now, should a client use it twice.
            if calls.get(&self.id).is_some_and(|known| Arc::ptr_eq(known, &ongoing)) {
                calls.remove(&self.id);
            }
        }
    }
}

impl<L: Link> Drop for Call<L> {
    fn drop(&mut self) {
        self.unfollow();
    }
}
