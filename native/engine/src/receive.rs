//! Receiving: from frames to queued calls, and to answers that need no handler.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_protocol::Malformed;
use pycrust_protocol::control::Request;
use pycrust_protocol::header::{HEADER_LEN, Header, ResponseHeader, flags};
use pycrust_transport::{Link, monotonic_ns};

use crate::call::Call;
use crate::connections::Client;
use crate::deliver::Patience;
use crate::engine::Engine;
use crate::native::Native;
use crate::registry::Lookup;
use crate::spin::Spin;
use crate::text::{self, Refusal};

/// Frames that are received from one client before the next one's turn.
const BATCH: usize = 64;

/// What the leader receives with.
pub(crate) struct Receiver<L: Link> {
    /// The clients, as of `topology`.
    pub(crate) clients: Vec<Arc<Client<L>>>,
    /// Which state of the engine's set of clients that was.
    topology: Option<u64>,
    /// The client whose turn is first.
    turn: usize,
    /// Whether to poll before sleeping.
    pub(crate) spin: Spin,
}

impl<L: Link> Receiver<L> {
    pub(crate) fn new(spin: Option<Duration>) -> Self {
        Self { clients: Vec::new(), topology: None, turn: 0, spin: Spin::new(spin) }
    }
}

/// What a frame turned out to be.
enum Incoming<L: Link> {
    /// A call of the method with this index.
    Call(usize, Call<L>),
    /// A question that the worker answers itself.
    Native(u64, Native, bool),
    /// A call that is refused, and whether anyone wants to know.
    Refused(u64, Refusal, bool),
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Whether the set of clients differs from the one that the leader knows.
    pub(crate) fn clients_changed(&self, receiver: &Receiver<L>) -> bool {
        receiver.topology != Some(self.topology.load(Ordering::Acquire))
    }

    /// Receives what is there from every client, in turns; how many frames that were.
    pub(crate) fn receive(&self, receiver: &mut Receiver<L>) -> usize {
        if self.clients_changed(receiver) {
            receiver.topology = Some(self.topology.load(Ordering::Acquire));
            receiver.clients.clone_from(&self.scheduler.lock().clients);
        }
        let mut received = 0;
        let count = receiver.clients.len();
        for offset in 0..count {
            let client = &receiver.clients[(receiver.turn + offset) % count];
            if client.receivable(&self.admission) && client.link.ready() {
                received += self.receive_from(client);
            }
        }
        if count > 0 {
            receiver.turn = (receiver.turn + 1) % count;
        }
        received
    }

    fn receive_from(&self, client: &Arc<Client<L>>) -> usize {
        let now_ns = monotonic_ns();
        let mut incoming = Vec::new();
        let count = client.receive(BATCH, &mut |header, sample| {
            match self.read(client, header, sample, now_ns) {
                Ok(read) => incoming.extend(read),
                Err(error) => {
                    log::warn!("{} (pid {}) sent a {error}", client.peer.name, client.peer.pid);
                    self.count_malformed();
                }
            }
        });
        // Only now, with the samples free again: answering may wait for room.
        for incoming in incoming {
            match incoming {
                Incoming::Call(index, call) => self.admit(index, call),
                Incoming::Native(id, native, one_way) => {
                    let (status, payload) = self.answer(native);
                    if !one_way {
                        self.deliver(client, ResponseHeader::default(), id, status, &payload, Patience::Hurries);
                    }
                }
                Incoming::Refused(id, refusal, one_way) => {
                    if !one_way {
                        let payload = refusal.error.encode();
                        let header = ResponseHeader::default();
                        self.deliver(client, header, id, refusal.code, &payload, Patience::Hurries);
                    }
                }
            }
        }
        count
    }

    /// Reads one frame and copies what is kept of it.
    fn read(
        &self,
        client: &Arc<Client<L>>,
        header: &[u8; HEADER_LEN],
        sample: &[u8],
        now_ns: u64,
    ) -> Result<Option<Incoming<L>>, Malformed> {
        let header = Header::decode(header)?;
        let parts = header.common().split(sample)?;
        self.metrics.reported(parts.reports, now_ns);
        let header = match header {
            Header::Request(header) => header,
            Header::Report(_) => return Ok(None),
            Header::Response(_) => return Err(Malformed::new(6, "a worker receives requests only")),
        };
        let one_way = header.common.flags & flags::ONE_WAY != 0;
        let request = match Request::decode(parts.control) {
            Ok(request) => request,
            Err(error) => {
                self.count_malformed();
                // Whose call it was can still be known: its caller gets the error.
                let id = Request::decode_id(parts.control).ok_or_else(|| error.clone())?;
                return Ok(Some(Incoming::Refused(id, text::malformed(&error), one_way)));
            }
        };
        let refused = |refusal| Ok(Some(Incoming::Refused(request.id, refusal, one_way)));
        if header.common.flags & (flags::STREAM | flags::STREAM_ITEM) != 0 {
            return refused(text::streams());
        }
        if let Some(native) = Native::named(request.method) {
            return Ok(Some(Incoming::Native(request.id, native, one_way)));
        }
        let index = match self.scheduler.lock().registry.lookup(request.method) {
            Lookup::Live(index) => index,
            Lookup::Expected | Lookup::Unknown => {
                self.metrics.unknown_method_calls.fetch_add(1, Ordering::Relaxed);
                return refused(self.refusal_of(request.method));
            }
        };
        let weight = request.payload.len() + parts.metadata.len();
        if let Err(full) = self.admission.reserve(&client.account, weight) {
            return refused(text::full(full));
        }
        if let Some(metrics) = self.metrics.method(index) {
            metrics.received();
        }
        Ok(Some(Incoming::Call(index, Call::new(client, &header, &request, parts.metadata, now_ns))))
    }

    /// Queues a call, or refuses it if its method went or the worker stops.
    fn admit(&self, index: usize, call: Call<L>) {
        let refused = self.scheduler.lock().enqueue(index, call);
        if let Err(call) = refused {
            self.admission.unqueue(call.weight());
            let refusal = {
                let scheduler = self.scheduler.lock();
                let name = scheduler.registry.name(index).cloned();
                drop(scheduler);
                match name {
                    Some(name) if self.serving() => self.refusal_of(&name),
                    _ => text::stopping(&self.config.endpoint),
                }
            };
            self.refuse(index, &call, &refusal, Patience::Hurries);
        }
    }
}
