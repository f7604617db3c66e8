//! How a call ends: counted, recorded, answered, and perhaps followed by the next one on its thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pycrust_protocol::Code;
use pycrust_protocol::header::{Common, ResponseHeader, Stages, flags};
use pycrust_transport::faults::reached;
use pycrust_transport::{Attachment, Attachments, Link, monotonic_ns};

use super::{Job, Place};
use crate::clients::answer::{Body, Patience};
use crate::measuring::wall_clock::unix_ns;
use crate::queueing::scheduler::{Fallout, HAND_OVER_NS, Phase, Scheduler};
use crate::recording::items::FirstItems;
use crate::recording::recorder::{Answered, Ended, Side, sides};
use crate::recording::sampler::Offer;
use crate::threads::DispatchThread;

/// How long a thread runs calls one after the other before it receives again: a call that comes meanwhile waits for no
/// more than one that is handed over.
const STROKE_NS: u64 = HAND_OVER_NS - HAND_OVER_NS / 5;

impl<H: Send + Sync + 'static, L: Link> Job<H, L> {
    /// Answers. The result is encoded, and this may wait for a large frame's first use of a connection:
    /// call it detached from the interpreter, best in one go with the next [`Engine::next`](crate::Engine::next).
    pub fn respond(self, status: Code, payload: &[u8]) {
        self.respond_with(status, payload, Vec::new());
    }

    /// Answers with a result that has arrays in it.
    pub fn respond_with(mut self, status: Code, payload: &[u8], attachments: Vec<Attachment>) {
        self.finish(status, payload, attachments);
    }

    /// Answers as [`respond`](Self::respond) does, and gives the call that its thread runs next, if that is there and
    /// short and the thread has run others for less than a hand-over: it need not let the interpreter go in between.
    /// `None` is that it has to ask [`Engine::next`](crate::Engine::next), detached.
    ///
    /// For answers that [are small](Self::is_small), of a thread's own calls; it never waits.
    pub fn respond_and_go_on(
        mut self,
        thread: &mut DispatchThread,
        status: Code,
        payload: &[u8],
    ) -> Option<Self> {
        let run = self.answer(status, payload, Vec::new(), true);
        let engine = Arc::clone(&self.engine);
        let mut fallout = Fallout::new();
        let now_ns = monotonic_ns();
        let tired = now_ns.saturating_sub(thread.given_ns) > STROKE_NS;
        let mut start = None;
        engine.reschedule(|scheduler| {
            self.end(scheduler, run);
            if !tired {
                start = scheduler.go_on(thread.token, now_ns, &mut fallout);
            }
        });
        reached("call.ended");
        engine.settle(&mut fallout, Patience::Hurries);
        let Some(start) = start else {
            engine.ring();
            return None;
        };
        let mut next = Self::begin(&engine, start);
        next.passed_gate = true;
        Some(next)
    }

    /// Whether an answer of so many bytes, without arrays, can be sent by a thread that must not wait.
    pub fn is_small(payload: &[u8]) -> bool {
        Patience::Hurries.takes(payload.len())
    }

    pub(super) fn finish(&mut self, status: Code, payload: &[u8], attachments: Vec<Attachment>) {
        let run = self.answer(status, payload, attachments, false);
        let engine = &self.engine;
        engine.reschedule(|scheduler| self.end(scheduler, run));
        reached("call.ended");
    }

    /// Counts, records and sends the answer; gives how long the call ran, if it did. Its client is rung `later` if it has
    /// other calls in flight.
    fn answer(
        &mut self,
        status: Code,
        payload: &[u8],
        attachments: Vec<Attachment>,
        later: bool,
    ) -> Option<u64> {
        self.answered = true;
        let now_ns = monotonic_ns();
        let stages = self.stages(now_ns);
        let index = self.index();
        let engine = &self.engine;
        // Counted before it is sent: whoever has the answer finds it in the statistics and its room free.
        if let Some(metrics) = engine.metrics_of(index, &self.call) {
            metrics.ran(self.version.number, status, &stages, &self.call.trace, now_ns);
        }
        engine.admission.release(&self.call.client.account);
        reached("call.counted");
        let metadata = self.answer_metadata.take().map(|kept| std::mem::take(&mut *kept.lock()));
        let metadata = metadata.unwrap_or_default();
        // Recorded before it is sent, too.
        if self.recorded() {
            self.record(status, payload, &metadata, stages, now_ns);
        }
        let engine = &self.engine;
        if !self.call.one_way() {
            let flags = if self.streamed { flags::STREAM } else { 0 };
            // Counted even if an item is still on its way: the receiver waits for it.
            let stream_seq = self.call.ongoing.as_ref().map_or(0, |ongoing| ongoing.sent()) as u32;
            let header = ResponseHeader {
                common: Common { flags, ..Common::default() },
                version: self.version.number,
                method_key: self.version.key,
                schema_hash: self.version.schema_hash,
                stream_seq,
                stages,
            };
            // An event loop has other calls to see to.
            let client = &self.call.client;
            let patience = match self.place {
                _ if later && client.account.in_flight() > 0 => Patience::RingsLater,
                _ if later => Patience::Hurries,
                Place::Thread => Patience::Waits,
                Place::Background { .. } => Patience::Hurries,
            };
            let body = Body { payload, metadata: &metadata, attachments };
            engine.deliver(client, header, self.call.id, status, body, patience);
            if patience == Patience::RingsLater {
                engine.unrung.store(true, Ordering::Release);
            }
        }
        reached("call.answered");
        self.call.unfollow();
        let run_ns = self.attached_ns.filter(|_| !self.call.rehearses);
        run_ns.map(|attached| now_ns.saturating_sub(attached))
    }

    /// Notes its end, after it ran for so long.
    fn end(&self, scheduler: &mut Scheduler<H, L>, run_ns: Option<u64>) {
        let (index, number) = (self.index(), self.version.number);
        match self.place {
            Place::Thread => scheduler.ended(index, number, run_ns, self.ticket, self.life),
            Place::Background { holds } => {
                scheduler.ended_in_background(index, number, holds, run_ns, self.life);
            }
        }
        if scheduler.phase != Phase::Serving {
            self.engine.quiet.notify_all();
        }
    }

    fn record(&mut self, status: Code, payload: &[u8], metadata: &[u8], stages: Stages, now_ns: u64) {
        let recorder = &self.engine.recorder;
        let answer = if self.streamed && status == Code::Ok { &self.items.bytes } else { payload };
        let (uploaded, uploads) = match &self.call.ongoing {
            Some(ongoing) if self.uploads() => ongoing.kept(),
            _ => (0, FirstItems::default()),
        };
        let offer = Offer {
            bytes: self.call.weight() + uploads.bytes.len() + answer.len() + metadata.len(),
            arrays: self.call.attachments().bytes(),
            took_ns: now_ns.saturating_sub(self.call.sent_ns),
            failed: status != Code::Ok,
        };
        let Some(plan) = recorder.sample(offer, now_ns) else { return };
        let ended = Ended {
            method: Arc::clone(&self.version.method),
            recording: Arc::clone(&self.version.recording),
            version: self.version.number,
            status,
            flags: self.call.flags,
            id: self.call.id,
            origin: Arc::clone(&self.call.client.origin),
            sent_ns: self.call.sent_ns,
            ended_ns: now_ns,
            ended_unix_ns: unix_ns(),
            deadline_ns: self.call.deadline_ns(),
            stages,
            started: true,
            items: if self.streamed {
                self.call.ongoing.as_ref().map_or(0, |ongoing| ongoing.sent())
            } else {
                0
            },
            items_kept: self.items.count,
            uploaded,
            uploaded_kept: uploads.count,
            arrays: if plan.arrays { self.call.attachments().copied() } else { Attachments::none() },
            streamed: self.streamed,
            output: self.output.get().cloned(),
        };
        let cut = uploads.count < uploaded;
        let request = if self.uploads() {
            Side::copied(&uploads.array(), self.call.metadata(), &plan)
        } else {
            let (request, len) = self.call.take_bytes();
            Side::whole(request, len)
        };
        let answer = Answered { payload: answer, metadata, failed: status != Code::Ok, cut };
        let (request, response) =
            sides(request, answer, &self.version.recording.naming, ended.output.as_deref(), &plan);
        recorder.push(ended, request, response);
    }
}
