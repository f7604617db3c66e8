//! Sending answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pycrust_protocol::Code;
use pycrust_protocol::control::put_response_head;
use pycrust_protocol::header::{Credit, ResponseHeader, flags};
use pycrust_protocol::limits::MAX_BODY_LEN;
use pycrust_transport::{Attachment, Link, SendError};

use crate::clients::answer::{Body, HEAD_LEN, Patience};
use crate::clients::call::Call;
use crate::clients::client::{Client, named};
use crate::clients::outbox::{Answer, Outgoing, Tried};
use crate::engine::Engine;
use crate::measuring::metrics::MethodMetrics;
use crate::refusals::{self, Refusal};

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Sends an answer, or leaves it in the outbox.
    pub(crate) fn deliver(
        &self,
        client: &Arc<Client<L>>,
        header: ResponseHeader,
        id: u64,
        status: Code,
        mut body: Body<'_>,
        patience: Patience,
    ) {
        // Behind what waits already, so that nobody waits for ever.
        let len = body.len();
        // Written into its sample here, or else copied to the heap here and into its sample later.
        let at_once = |client: &Client<L>| client.link.sends_at_once(len + HEAD_LEN);
        if client.outbox.is_empty() && (patience.takes(len) || at_once(client)) {
            let parts = [body.payload, body.metadata];
            match send(client, &header, id, status, parts, &mut body.attachments, patience) {
                Err(SendError::Full) => {}
                _ => return,
            }
        }
        if let Err(full) = self.admission.may_wait(&client.outbox, len) {
            let refusal = refusals::full(full);
            log::warn!("an answer to {}: {}", named(&client.peer), refusal.error.message);
            let answer = Answer {
                header: ending(header),
                id,
                status: refusal.code,
                payload: refusal.error.encode(),
                metadata: Vec::new(),
                attachments: Vec::new(),
            };
            return self.keep(client, Outgoing::Answer(answer), patience);
        }
        let Body { payload, metadata, attachments } = body;
        // What others could still change, or hold on to, must not wait.
        let attachments = attachments.into_iter().map(Attachment::settled).collect();
        let (payload, metadata) = (payload.to_vec(), metadata.to_vec());
        let answer = Answer { header, id, status, payload, metadata, attachments };
        self.keep(client, Outgoing::Answer(answer), patience);
    }

    /// Lets a client send more of the arguments that it streams.
    pub(crate) fn grant(&self, client: &Arc<Client<L>>, credit: Credit) {
        if !client.outbox.is_empty() || client.send(&credit.encode(), &[]) == Err(SendError::Full) {
            self.keep(client, Outgoing::Credit(credit), Patience::Hurries);
        }
    }

    /// Leaves a frame in the outbox.
    fn keep(&self, client: &Arc<Client<L>>, frame: Outgoing, patience: Patience) {
        // It keeps counting as in flight until it is sent.
        self.admission.hold(&client.account);
        if !client.outbox.push(frame) {
            self.admission.release(&client.account);
            return;
        }
        // Once more: had the client made room before this frame lay there, its ring found nothing.
        self.flush(client, patience);
    }

    /// Sends what waits in a client's outbox, as far as there is room.
    pub(crate) fn flush(&self, client: &Arc<Client<L>>, patience: Patience) {
        let attempt = |frame: &mut Outgoing| {
            let sent = match frame {
                Outgoing::Answer(Answer { header, id, status, payload, metadata, attachments }) => {
                    send(client, header, *id, *status, [payload, metadata], attachments, patience)
                }
                Outgoing::Credit(credit) => client.send(&credit.encode(), &[]),
            };
            if sent == Err(SendError::Full) { Tried::Full } else { Tried::Done }
        };
        client.outbox.empty(|len| patience.takes(len), attempt, || self.admission.release(&client.account));
        if client.outbox.starts_with(|len| !patience.takes(len)) {
            self.sender.call(client);
        }
        if client.outbox.eased() {
            client.ease();
        }
    }

    /// Wakes the clients to which answers were published without ringing.
    pub(crate) fn ring(&self) {
        if !(self.unrung.load(Ordering::Acquire) && self.unrung.swap(false, Ordering::AcqRel)) {
            return;
        }
        let unrung: Vec<_> = {
            let scheduler = self.scheduler.lock();
            scheduler.clients.iter().filter(|client| client.is_unrung()).map(Arc::clone).collect()
        };
        for client in unrung {
            client.ring();
        }
    }

    /// What a call is counted in: a rehearsal, in nothing.
    pub(crate) fn metrics_of(&self, index: usize, call: &Call<L>) -> Option<Arc<MethodMetrics>> {
        if call.rehearses { None } else { self.metrics.method(index) }
    }

    /// Answers a received call that is not started.
    pub(crate) fn refuse(&self, index: usize, call: &Call<L>, refusal: &Refusal, patience: Patience) {
        self.admission.release(&call.client.account);
        if let Some(metrics) = self.metrics_of(index, call) {
            metrics.refused(refusal.code);
        }
        let payload = refusal.error.encode();
        self.record_unstarted(index, call, refusal.code, &payload);
        if !call.one_way() {
            let header = ResponseHeader { method_key: index as u32 + 1, ..ResponseHeader::default() };
            self.deliver(&call.client, header, call.id, refusal.code, Body::plain(&payload), patience);
        }
    }

    /// Forgets a received call whose client is gone, but for its record.
    pub(crate) fn forget(&self, index: usize, call: &Call<L>) {
        self.dropped(index, call);
        let refusal = refusals::gone();
        self.record_unstarted(index, call, refusal.code, &refusal.error.encode());
    }

    /// Counts a received call as neither answered nor in flight any more.
    pub(crate) fn dropped(&self, index: usize, call: &Call<L>) {
        self.admission.release(&call.client.account);
        if let Some(metrics) = self.metrics_of(index, call) {
            metrics.dropped();
        }
    }

    /// A frame broke the specification.
    pub(crate) fn count_malformed(&self) {
        self.metrics.malformed_frames.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends one answer, or the error that takes its place. Only `Full` is left to the caller.
fn send<L: Link>(
    client: &Client<L>,
    header: &ResponseHeader,
    id: u64,
    status: Code,
    body: [&[u8]; 2],
    attachments: &mut Vec<Attachment>,
    patience: Patience,
) -> Result<(), SendError> {
    let instead = match send_frame(client, *header, id, status, body, attachments, patience) {
        Err(SendError::TooLarge { len, max }) => refusals::too_large(len, max),
        Err(SendError::NoMemory { len, reason }) => refusals::no_memory(len, &reason),
        Err(SendError::Failed(reason)) => refusals::send_failed(&reason),
        sent => return sent,
    };
    log::warn!("an answer to {}: {}", named(&client.peer), instead.error.message);
    attachments.clear();
    let body: [&[u8]; 2] = [&instead.error.encode(), &[]];
    let sent = send_frame(client, ending(*header), id, instead.code, body, attachments, patience);
    if let Err(error) = &sent
        && *error != SendError::Full
    {
        log::error!("call {id:#x} of {} stays unanswered: {error}", client.peer.name);
    }
    sent
}

/// The header of an error that takes an answer's place; it ends the stream in an item's.
fn ending(mut header: ResponseHeader) -> ResponseHeader {
    if header.common.flags & flags::STREAM_ITEM != 0 {
        header.common.flags = flags::STREAM;
    }
    header
}

fn send_frame<L: Link>(
    client: &Client<L>,
    mut header: ResponseHeader,
    id: u64,
    status: Code,
    [payload, metadata]: [&[u8]; 2],
    attachments: &mut Vec<Attachment>,
    patience: Patience,
) -> Result<(), SendError> {
    let max = MAX_BODY_LEN - HEAD_LEN - metadata.len();
    if payload.len() > max {
        return Err(SendError::TooLarge { len: payload.len(), max });
    }
    let mut head = Vec::with_capacity(HEAD_LEN);
    put_response_head(&mut head, id, status, payload.len());
    header.common.body_len = (head.len() + payload.len()) as u32;
    header.common.metadata_len = metadata.len() as u32;
    header.common.attachments = attachments.len() as u32;
    let (header, parts) = (header.encode(), [&head, payload, metadata]);
    match patience {
        Patience::RingsLater => client.publish(&header, &parts, attachments),
        Patience::Waits | Patience::Hurries => client.send_with(&header, &parts, attachments),
    }
}
