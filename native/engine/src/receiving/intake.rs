//! Receiving: from the bytes of a frame to a call in the queue, an answer or a refusal.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pycrust_protocol::control::Request;
use pycrust_protocol::header::{Header, Kind, MAGIC, RequestHeader, ResponseHeader, flags};
use pycrust_protocol::metadata;
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{self, READY};
use pycrust_protocol::{Code, Malformed};
use pycrust_transport::faults::reached;
use pycrust_transport::{Attachments, CallProgress, Frame, Link, monotonic_ns};

use crate::clients::answer::{Body, Patience};
use crate::clients::call::Call;
use crate::clients::client::Client;
use crate::clients::ongoing::{Amount, Ongoing};
use crate::engine::Engine;
use crate::measuring::metrics::MAX_REPORTS;
use crate::queueing::deadline::Unstarted;
use crate::queueing::registry::Lookup;
use crate::queueing::scheduler::{Enqueued, HAND_OVER_NS, Phase};
use crate::receiver::{Attended, Away, Native, Note, Receiver, Reply};
use crate::refusals::{self, Refusal};

/// Frames that are received from one client before it is the next one's turn.
const BATCH: usize = 32;
/// How often a client's flag may announce a frame that is not there before only its doorbell counts.
const MAX_FALSE_ALARMS: u32 = 1000;

/// A request as it was received.
#[derive(Clone, Copy)]
struct Asked<'a> {
    header: &'a RequestHeader,
    request: &'a Request<'a>,
    metadata: &'a [u8],
    now_ns: u64,
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Copies the list of clients if it changed.
    pub(crate) fn refresh(&self, receiver: &mut Receiver<L>) {
        let topology = self.topology.load(Ordering::Acquire);
        if topology != receiver.topology {
            receiver.topology = topology;
            // Those that are gone are dropped without the lock: the last reference to a connection may be here.
            let clients = self.scheduler.lock().clients.clone();
            let mut known = std::mem::take(&mut receiver.clients);
            receiver.clients = clients
                .into_iter()
                .map(|client| match known.iter().position(|attended| attended.client.id == client.id) {
                    Some(at) => known.swap_remove(at),
                    None => Attended::new(client),
                })
                .collect();
        }
    }

    /// Whether some client has something to receive.
    pub(crate) fn anything_ready(&self, receiver: &Receiver<L>) -> bool {
        receiver.clients.iter().any(|Attended { client, false_alarms, .. }| {
            (*false_alarms < MAX_FALSE_ALARMS && client.link.ready() && self.admission.receives_from(client))
                || client.has_cancelled()
        })
    }

    /// Receives a round from every client that has something, queues the calls and answers the rest.
    /// Gives how many frames there were.
    pub(crate) fn receive_round(&self, receiver: &mut Receiver<L>) -> usize {
        let count = receiver.clients.len();
        if count == 0 {
            return 0;
        }
        let Receiver { clients, turn, spin, returned, arrived, replies, indices, .. } = receiver;
        let (mut frames, mut now_ns) = (0, 0);
        *turn = (*turn + 1) % count;
        for at in 0..count {
            let attended = &mut clients[(*turn + at) % count];
            let client = &attended.client;
            if client.has_cancelled() {
                client.pass_on_cancels();
            }
            if !client.link.ready() || !self.admission.receives_from(client) {
                continue;
            }
            now_ns = monotonic_ns();
            let earlier = arrived.len();
            let received = client.receive(BATCH, &mut |frame| {
                self.take(client, now_ns, frame, indices, arrived, replies);
            });
            attended.false_alarms = if received == 0 { attended.false_alarms.saturating_add(1) } else { 0 };
            attended.called(&arrived[earlier..]);
            frames += received;
        }
        if frames > 0 {
            spin.arrived(now_ns, frames);
            self.queue(arrived, returned.then_some(now_ns));
            for reply in replies.drain(..) {
                self.reply(reply);
            }
        }
        frames
    }

    /// Sends what waits in outboxes, as far as there is room.
    pub(crate) fn flush_outboxes(&self, receiver: &Receiver<L>) {
        for Attended { client, .. } in &receiver.clients {
            if !client.outbox.is_empty() {
                self.flush(client, Patience::Hurries);
            }
        }
    }

    /// Reads one frame.
    fn take(
        &self,
        client: &Arc<Client<L>>,
        now_ns: u64,
        frame: &Frame<'_>,
        indices: &mut HashMap<Box<str>, usize>,
        arrived: &mut Vec<(usize, Call<L>)>,
        replies: &mut Vec<Reply<L>>,
    ) {
        let (raw, head) = (frame.header(), frame.head());
        let mut malformed = |error: &Malformed, id: Option<u64>| {
            self.count_malformed();
            if let Some(id) = id {
                let what = Note::Refusal(refusals::malformed(error));
                replies.push(Reply { client: Arc::clone(client), id, what, refused: None, silent: false });
            }
        };
        let header = match Header::decode(raw) {
            Ok(header) => header,
            Err(error) => {
                let request = raw[..MAGIC.len()] == MAGIC && raw[6] == Kind::Request as u8;
                return malformed(&error, request.then(|| Request::decode_id(head)).flatten());
            }
        };
        let parts = match header.common().split(head) {
            Ok(parts) => parts,
            Err(error) => return malformed(&error, answerable(&header, head)),
        };
        match header {
            Header::Credit(credit) => {
                // One for a call that has ended is late, not wrong.
                if let Some(ongoing) = client.ongoing(credit.id) {
                    ongoing.grant(Amount { items: credit.granted, bytes: credit.bytes });
                }
            }
            Header::Report(_) => self.reported(client, parts.reports, now_ns),
            Header::Response(_) => self.count_malformed(),
            Header::Request(request_header) => {
                if !parts.reports.is_empty() {
                    self.reported(client, parts.reports, now_ns);
                }
                let request = match Request::decode(parts.control).and_then(to_run) {
                    Ok(request) => request,
                    Err(error) => return malformed(&error, answerable(&header, parts.control)),
                };
                if let Err(error) = metadata::check(parts.metadata) {
                    return malformed(&error, answerable(&header, parts.control));
                }
                let ranges = match header.common().attachments_in(head, frame.sample_len()) {
                    Ok(ranges) => ranges,
                    Err(error) => return malformed(&error, answerable(&header, parts.control)),
                };
                if request_header.continues() {
                    if let Some(ongoing) = client.ongoing(request.id) {
                        match request_header.common.flags & flags::UPLOAD_END {
                            0 => {
                                let attachments = frame.attachments(ranges);
                                let bytes = request.payload.len() + attachments.copied_len();
                                match self.admission.reserve_item(&client.account, bytes) {
                                    Ok(held) => {
                                        let (position, item) = (request_header.stream_seq, request.payload);
                                        ongoing.push(position, item, attachments, held);
                                    }
                                    Err(full) => ongoing.refuse(refusals::full(full).error.message),
                                }
                            }
                            _ => ongoing.end(request_header.stream_seq),
                        }
                    }
                    return;
                }
                let keep = || frame.attachments(ranges);
                let index = self.index_of(request.method, indices);
                let metadata = parts.metadata;
                let asked = Asked { header: &request_header, request: &request, metadata, now_ns };
                let reply = match self.admit(client, &asked, index, keep) {
                    Ok((index, call)) => return arrived.push((index, call)),
                    Err(reply) => reply,
                };
                let (what, refused) = reply;
                let silent = request_header.common.flags & flags::ONE_WAY != 0;
                if !silent || refused.is_some() {
                    replies.push(Reply { client: Arc::clone(client), id: request.id, what, refused, silent });
                }
            }
        }
    }

    /// Takes what a client measured of its calls.
    fn reported(&self, client: &Client<L>, reports: &[u8], now_ns: u64) {
        self.metrics.reported(reports, now_ns);
        self.recorder.reported(client.id, Report::read_all(reports).take(MAX_REPORTS));
    }

    /// The index of a method that is, or was, registered under this name.
    fn index_of(&self, method: &str, indices: &mut HashMap<Box<str>, usize>) -> Option<usize> {
        indices.get(method).copied().or_else(|| {
            let Lookup::Live(index) = self.scheduler.lock().registry.lookup(method) else { return None };
            indices.insert(method.into(), index);
            Some(index)
        })
    }

    /// Makes a call of a request, if it may become one. Its bytes are copied only then.
    fn admit(
        &self,
        client: &Arc<Client<L>>,
        asked: &Asked<'_>,
        index: Option<usize>,
        keep: impl FnOnce() -> Attachments,
    ) -> Result<(usize, Call<L>), Away> {
        let Asked { header, request, metadata, now_ns } = *asked;
        let keep_refused = |index| self.keep_refused(client, header, request, metadata, index, now_ns);
        if let Some(native) = Native::asked(request) {
            let what = match native {
                Ok(native) => Note::Native(native),
                Err(error) => Note::Refusal(refusals::malformed(&error)),
            };
            return Err((what, None));
        }
        let Some(index) = index else {
            return Err((Note::Unknown(request.method.to_owned()), keep_refused(None)));
        };
        let attachments = keep();
        self.admission
            .reserve(&client.account, request.payload.len() + metadata.len() + attachments.copied_len())
            .map_err(|full| (Note::Refusal(refusals::full(full)), keep_refused(Some(index))))?;
        if let Some(metrics) = self.metrics.method(index) {
            metrics.received();
        }
        let mut call = Call::new(client, header, request, metadata, attachments, now_ns);
        let uploads = call.flags & flags::UPLOAD != 0;
        if call.streams() || uploads {
            let granted = Amount { items: header.stream_credit.into(), bytes: header.stream_bytes };
            call.follow(Ongoing::new(granted, uploads, Arc::clone(client.outbox.congested())));
        }
        call.note(CallProgress::Queued);
        reached("call.admitted");
        Ok((index, call))
    }

    /// Queues what arrived. If nobody received before, that ended at `away_until_ns`.
    fn queue(&self, arrived: &mut Vec<(usize, Call<L>)>, away_until_ns: Option<u64>) {
        if arrived.is_empty() {
            return;
        }
        let (mut refused, mut unstarted) = (Vec::new(), Vec::new());
        {
            let mut scheduler = self.scheduler.lock();
            if let Some(now_ns) = away_until_ns
                && arrived.iter().any(|(_, call)| call.sent_ns + HAND_OVER_NS < now_ns)
            {
                scheduler.held_up(now_ns);
            }
            for (index, call) in arrived.drain(..) {
                // Under the lock: a client that goes after this finds its call in the queue.
                let mut older = Vec::new();
                let queued = if call.client.is_gone() {
                    Enqueued::Removed(call)
                } else {
                    scheduler.enqueue(index, call, &mut older)
                };
                unstarted.extend(older.into_iter().map(|call| (index, call, Unstarted::Superseded)));
                match queued {
                    Enqueued::Waits => {}
                    Enqueued::Refused(call, reason) => unstarted.push((index, call, reason)),
                    Enqueued::Removed(call) => refused.push((index, call, scheduler.phase)),
                }
            }
        }
        reached("call.queued");
        for (index, call, reason) in unstarted {
            self.settle_unstarted(index, &call, reason, monotonic_ns(), Patience::Hurries);
        }
        for (index, call, phase) in refused {
            self.admission.unqueue(&call.client.account, call.weight());
            if call.client.is_gone() {
                self.forget(index, &call);
            } else if phase == Phase::Serving {
                self.refuse_removed(index, &call);
            } else {
                self.refuse(index, &call, &refusals::stopping(&self.config.endpoint), Patience::Hurries);
            }
        }
    }

    /// Answers a call of a method that was removed before the call was queued, as one of a name that never was.
    fn refuse_removed(&self, index: usize, call: &Call<L>) {
        self.dropped(index, call);
        let method = self.scheduler.lock().registry.name(index).cloned().unwrap_or_default();
        let refusal = self.unknown(&method);
        let payload = refusal.error.encode();
        self.record_unstarted(index, call, refusal.code, &payload);
        if !call.one_way() {
            let header = ResponseHeader::default();
            let body = Body::plain(&payload);
            self.deliver(&call.client, header, call.id, refusal.code, body, Patience::Hurries);
        }
    }

    /// Why there is no call of this method, which is counted.
    fn unknown(&self, method: &str) -> Refusal {
        let refusal = self.refusal_of(method);
        if refusal.code == Code::Unimplemented {
            self.metrics.unknown_method_calls.fetch_add(1, Ordering::Relaxed);
        }
        refusal
    }

    fn reply(&self, reply: Reply<L>) {
        let (status, payload) = match reply.what {
            Note::Native(native) => self.answer(native),
            Note::Refusal(refusal) => (refusal.code, refusal.error.encode()),
            Note::Unknown(method) => {
                let refusal = self.unknown(&method);
                (refusal.code, refusal.error.encode())
            }
        };
        if let Some(refused) = reply.refused {
            self.record_refused(*refused, status, &payload);
        }
        if reply.silent {
            return;
        }
        let header = ResponseHeader::default();
        self.deliver(&reply.client, header, reply.id, status, Body::plain(&payload), Patience::Hurries);
    }
}

/// The request that a question whether the worker is ready stands for; any other stands for itself.
fn to_run(request: Request<'_>) -> Result<Request<'_>, Malformed> {
    if request.method != READY {
        return Ok(request);
    }
    let (method, payload) = reserved::ready_arguments(request.payload)?;
    Ok(Request { id: request.id, method, payload })
}

/// The id to answer to, if the frame is a request that wants an answer.
fn answerable(header: &Header, control: &[u8]) -> Option<u64> {
    match header {
        Header::Request(request) if request.common.flags & flags::ONE_WAY == 0 => Request::decode_id(control),
        _ => None,
    }
}
