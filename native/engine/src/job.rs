//! A call that is running.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::{ResponseHeader, Stages, TraceContext, flags};
use pycrust_transport::{Link, Peer, monotonic_ns};

use crate::call::Call;
use crate::deliver::Patience;
use crate::engine::Engine;
use crate::registry::Version;
use crate::scheduler::{Phase, Start};
use crate::text;

/// A started call, bound to one version of its method. The thread that has it marks the stages in
/// order ([`attached`](Self::attached), [`decoded`](Self::decoded), [`ran`](Self::ran)) and answers
/// with [`respond`](Self::respond). Dropped without an answer, it answers INTERNAL.
pub struct Job<H: Send + Sync + 'static, L: Link> {
    engine: Arc<Engine<H, L>>,
    call: Call<L>,
    version: Arc<Version<H>>,
    /// The attach gate's key.
    ticket: u64,
    /// The start of the engine that it belongs to.
    life: u64,
    /// `CLOCK_MONOTONIC` when each stage ended, as far as they have; the first is when it was started.
    started_ns: u64,
    attached_ns: Option<u64>,
    decoded_ns: Option<u64>,
    ran_ns: Option<u64>,
    answered: bool,
}

impl<H: Send + Sync + 'static, L: Link> Job<H, L> {
    pub(crate) fn new(engine: Arc<Engine<H, L>>, start: Start<H, L>) -> Self {
        engine.admission.unqueue(start.call.weight());
        Self {
            engine,
            call: start.call,
            version: start.version,
            ticket: start.ticket,
            life: start.life,
            started_ns: monotonic_ns(),
            attached_ns: None,
            decoded_ns: None,
            ran_ns: None,
            answered: false,
        }
    }

    /// The arguments as MessagePack.
    pub fn payload(&self) -> &[u8] {
        self.call.payload()
    }

    /// The caller's metadata as MessagePack; empty if there is none.
    pub fn metadata(&self) -> &[u8] {
        self.call.metadata()
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.version.method
    }

    /// The version that runs, from 1.
    pub fn version(&self) -> u32 {
        self.version.number
    }

    /// What the binding runs.
    pub fn handler(&self) -> &H {
        &self.version.handler
    }

    /// The caller's number for the call; unique on its connection only.
    pub fn id(&self) -> u64 {
        self.call.id
    }

    /// The connection that it came by.
    pub fn connection(&self) -> u64 {
        self.call.client.id
    }

    /// Who called.
    pub fn peer(&self) -> &Peer {
        &self.call.client.peer
    }

    /// The caller's trace context; all zero is none.
    pub fn trace(&self) -> &TraceContext {
        &self.call.trace
    }

    /// Whether the caller said that running the call twice does no harm.
    pub fn idempotent(&self) -> bool {
        self.call.flags & flags::IDEMPOTENT != 0
    }

    /// Whether the caller wants no answer.
    pub fn one_way(&self) -> bool {
        self.call.one_way()
    }

    /// Whether the caller cancelled the call or is gone.
    pub fn cancelled(&self) -> bool {
        self.call.client.is_gone() || self.call.client.link.cancelled(self.call.id)
    }

    /// Time until its deadline, zero once that has passed; `None` if it has none.
    pub fn deadline_left(&self) -> Option<Duration> {
        self.call.expires_ns.map(|expires| Duration::from_nanos(expires.saturating_sub(monotonic_ns())))
    }

    /// The interpreter is this thread's: another thread may wait for it now.
    pub fn attached(&mut self) {
        if self.attached_ns.is_some() {
            return;
        }
        let now_ns = monotonic_ns();
        self.attached_ns = Some(now_ns);
        let engine = &self.engine;
        // Read and written by whichever thread attaches; a lost update of an average is no harm.
        let (wait, average) =
            (now_ns.saturating_sub(self.started_ns), engine.interpreter_ns.load(Ordering::Relaxed));
        let average = average - average / 8 + wait.min(1_000_000) / 8;
        engine.interpreter_ns.store(average, Ordering::Relaxed);
        let asleep = {
            let mut scheduler = engine.scheduler.lock();
            scheduler.open_gate(self.ticket);
            if scheduler.can_pop() {
                engine.attention.store(true, Ordering::Release);
                std::mem::take(&mut scheduler.asleep)
            } else {
                false
            }
        };
        if asleep {
            engine.waiter.wake();
        }
    }

    /// The arguments are decoded and validated.
    pub fn decoded(&mut self) {
        self.decoded_ns.get_or_insert_with(monotonic_ns);
    }

    /// The handler has returned or raised.
    pub fn ran(&mut self) {
        self.ran_ns.get_or_insert_with(monotonic_ns);
    }

    /// Answers. The result is encoded, and this may wait for a large frame's first use of a connection:
    /// call it detached from the interpreter, best in one go with the next [`Engine::next`].
    pub fn respond(mut self, status: Code, payload: &[u8]) {
        self.finish(status, payload);
    }

    fn finish(&mut self, status: Code, payload: &[u8]) {
        self.answered = true;
        let now_ns = monotonic_ns();
        let stages = self.stages(now_ns);
        let index = self.version.key as usize - 1;
        let engine = &self.engine;
        // Counted before it is sent: whoever has the answer finds it in the statistics and its room free.
        if let Some(metrics) = engine.metrics.method(index) {
            metrics.ran(self.version.number, status, &stages, now_ns);
        }
        engine.admission.release(&self.call.client.account);
        if !self.call.one_way() {
            let header = ResponseHeader {
                version: self.version.number,
                method_key: self.version.key,
                schema_hash: self.version.schema_hash,
                stages,
                ..ResponseHeader::default()
            };
            engine.deliver(&self.call.client, header, self.call.id, status, payload, Patience::Waits);
        }
        let run_ns = self.attached_ns.map(|attached| now_ns.saturating_sub(attached));
        let asleep = {
            let mut scheduler = engine.scheduler.lock();
            scheduler.ended(index, self.version.number, run_ns, self.ticket, self.life);
            if scheduler.phase != Phase::Serving {
                engine.quiet.notify_all();
            }
            if scheduler.can_pop() {
                engine.attention.store(true, Ordering::Release);
                std::mem::take(&mut scheduler.asleep)
            } else {
                false
            }
        };
        if asleep {
            engine.waiter.wake();
        }
    }

    /// Where the time went. A stage that was not marked ended with the answer.
    fn stages(&self, now_ns: u64) -> Stages {
        let attached = self.attached_ns.unwrap_or(now_ns);
        let decoded = self.decoded_ns.unwrap_or(now_ns);
        let ran = self.ran_ns.unwrap_or(now_ns);
        let call = &self.call;
        Stages {
            transit_ns: call.received_ns.saturating_sub(call.sent_ns),
            queue_ns: self.started_ns.saturating_sub(call.received_ns),
            interpreter_ns: attached.saturating_sub(self.started_ns),
            decode_ns: decoded.saturating_sub(attached),
            handler_ns: ran.saturating_sub(decoded),
            encode_ns: now_ns.saturating_sub(ran),
        }
    }
}

impl<H: Send + Sync + 'static, L: Link> Drop for Job<H, L> {
    fn drop(&mut self) {
        if !self.answered {
            let refusal = text::unanswered(&self.version.method);
            self.finish(refusal.code, &refusal.error.encode());
        }
    }
}
