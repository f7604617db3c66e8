//! From a request or call that is not run to its record; of calls that ran, `running::job` has it.

use std::sync::Arc;

use pycrust_protocol::Code;
use pycrust_protocol::control::Request;
use pycrust_protocol::header::{RequestHeader, Stages};
use pycrust_transport::{Attachments, Link, monotonic_ns};

use crate::clients::call::Call;
use crate::clients::client::Client;
use crate::engine::Engine;
use crate::measuring::wall_clock::unix_ns;
use crate::recording::recorder::{Answered, Ended, Side, sides};
use crate::recording::refused::Refused;
use crate::recording::sampler::Offer;
use crate::recording::settings::MethodRecording;

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// How the calls of a method are recorded now; `None` if they are not.
    fn recorded(&self, index: Option<usize>) -> Option<Arc<MethodRecording>> {
        if !self.recorder.is_on() {
            return None;
        }
        let Some(index) = index else { return Some(Arc::default()) };
        let scheduler = self.scheduler.lock();
        let recording = scheduler.registry.to_start(index).map(|version| Arc::clone(&version.recording));
        recording.map_or_else(|| Some(Arc::default()), |recording| (!recording.off).then_some(recording))
    }

    /// Keeps what a request brought that does not become a call; `index` is its method's, if there is one.
    pub(crate) fn keep_refused(
        &self,
        client: &Client<L>,
        header: &RequestHeader,
        request: &Request<'_>,
        metadata: &[u8],
        index: Option<usize>,
        now_ns: u64,
    ) -> Option<Box<Refused>> {
        let recording = self.recorded(index)?;
        let sent_ns = header.common.sent_ns.min(now_ns);
        let bytes = request.payload.len() + metadata.len();
        let offer = Offer { bytes, arrays: 0, took_ns: now_ns - sent_ns, failed: true };
        let plan = self.recorder.sample(offer, now_ns)?;
        Some(Box::new(Refused {
            method: request.method.into(),
            flags: header.common.flags,
            id: request.id,
            origin: Arc::clone(&client.origin),
            sent_ns,
            deadline_ns: header.deadline_ns,
            request: Side::copied(request.payload, metadata, &plan),
            recording,
            plan,
        }))
    }

    /// Records a request that did not become a call.
    pub(crate) fn record_refused(&self, refused: Refused, status: Code, payload: &[u8]) {
        self.record_not_run(refused, status, payload, Stages::default(), monotonic_ns());
    }

    /// Records a received call that is not started.
    pub(crate) fn record_unstarted(&self, index: usize, call: &Call<L>, status: Code, payload: &[u8]) {
        if call.rehearses {
            return;
        }
        let Some(recording) = self.recorded(Some(index)) else { return };
        let now_ns = monotonic_ns();
        let offer = Offer {
            bytes: call.weight(),
            arrays: 0,
            took_ns: now_ns.saturating_sub(call.sent_ns),
            failed: true,
        };
        let Some(plan) = self.recorder.sample(offer, now_ns) else { return };
        let stages = Stages {
            transit_ns: call.received_ns.saturating_sub(call.sent_ns),
            queue_ns: now_ns.saturating_sub(call.received_ns),
            ..Stages::default()
        };
        let refused = Refused {
            method: self.scheduler.lock().registry.name(index).cloned().unwrap_or_default(),
            recording,
            flags: call.flags,
            id: call.id,
            origin: Arc::clone(&call.client.origin),
            sent_ns: call.sent_ns,
            deadline_ns: call.deadline_ns(),
            request: Side::copied(call.payload(), call.metadata(), &plan),
            plan,
        };
        self.record_not_run(refused, status, payload, stages, now_ns);
    }

    fn record_not_run(&self, refused: Refused, status: Code, payload: &[u8], stages: Stages, now_ns: u64) {
        let answer = Answered { payload, metadata: &[], failed: status != Code::Ok, cut: false };
        let (request, response) =
            sides(refused.request, answer, &refused.recording.naming, None, &refused.plan);
        let ended = Ended {
            method: refused.method,
            recording: refused.recording,
            version: 0,
            status,
            flags: refused.flags,
            id: refused.id,
            origin: refused.origin,
            sent_ns: refused.sent_ns,
            ended_ns: now_ns,
            ended_unix_ns: unix_ns(),
            deadline_ns: refused.deadline_ns,
            stages,
            started: false,
            streamed: false,
            items: 0,
            items_kept: 0,
            uploaded: 0,
            uploaded_kept: 0,
            arrays: Attachments::none(),
            output: None,
        };
        self.recorder.push(ended, request, response);
    }
}
