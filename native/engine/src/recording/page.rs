//! The answer to `pycrust.traffic`: recorded calls as they may be shown, as many as one answer has room for.

use pycrust_protocol::limits::MAX_TRAFFIC_CALLS;
use pycrust_protocol::reserved::{TrafficCall, TrafficPage, TrafficQuery, TrafficStages};
use serde_bytes::ByteBuf;

use crate::recording::output::Channel;
use crate::recording::recorder::{Record, Recorder, Recording};
use crate::recording::scrub::Scrubbed;
use crate::recording::secrets::Secrets;

/// Bytes of recorded calls after which an answer ends, about: they are copied, and what is hidden is taken out of them, on
/// the thread that receives, where everybody's calls wait meanwhile.
const MAX_BYTES: usize = 64 << 10;
/// Bytes of a call that is told with its payloads: one of more than an answer's is told alone.
const MAX_CALL: usize = 256 << 10;

impl Recorder {
    /// The calls after a cursor, the oldest first.
    pub(crate) fn page(&self, query: TrafficQuery) -> TrafficPage {
        let settings = self.settings();
        let (first, state) = (self.first(), self.state());
        let most = usize::try_from(query.most).unwrap_or(usize::MAX).min(MAX_TRAFFIC_CALLS);
        let mut room = MAX_BYTES;
        let mut calls = Vec::new();
        for record in self.calls(query.after, most, false) {
            let cost = record.cost();
            if cost > room && !calls.is_empty() {
                break;
            }
            calls.push(told(&record, &settings, cost <= MAX_CALL));
            room = room.saturating_sub(cost);
        }
        TrafficPage {
            recording: settings.on,
            hooked: settings.hooked,
            first,
            last: state.last,
            skipped: state.skipped,
            calls,
        }
    }
}

/// What is told of a call; without its payloads if they are too large for one answer, or if only a hook knows what of
/// them may be shown.
fn told(record: &Record, settings: &Recording, fits: bool) -> TrafficCall {
    let (ended, stages) = (&record.ended, &record.ended.stages);
    let mut call = TrafficCall {
        seq: record.seq,
        id: ended.id,
        method: ended.method.to_string(),
        version: ended.version,
        status: ended.status.into(),
        seen: record.seen().map(Into::into),
        flags: ended.flags,
        client: ended.origin.name.clone(),
        client_pid: ended.origin.pid,
        connection: ended.origin.connection,
        ended_unix_ns: ended.ended_unix_ns,
        duration_ns: ended.ended_ns.saturating_sub(ended.sent_ns),
        deadline_ns: ended.deadline_ns,
        round_trip_ns: record.round_trip_ns(),
        stages: TrafficStages {
            transit: stages.transit_ns,
            queue: stages.queue_ns,
            interpreter: stages.interpreter_ns,
            decode: stages.decode_ns,
            handler: stages.handler_ns,
            encode: stages.encode_ns,
            back: record.back_ns(),
        },
        ran: ended.started,
        streamed: ended.streamed,
        items: ended.items,
        items_kept: ended.items_kept,
        uploaded: ended.uploaded,
        uploaded_kept: ended.uploaded_kept,
        parameters: ended.recording.parameters.clone(),
        request_len: record.request.len as u64,
        response_len: record.response.len as u64,
        request_dropped: record.request.less,
        response_dropped: record.response.less,
        ..TrafficCall::default()
    };
    let (pieces, lost) = ended.output.as_ref().map(|output| output.read()).unwrap_or_default();
    call.output_lost = lost as u64;
    if !fits || settings.hooked {
        call.output_lost += pieces.iter().map(|(_, text)| text.len() as u64).sum::<u64>();
        (call.items_kept, call.uploaded_kept) = (0, 0);
        return call;
    }
    if settings.redact.is_empty() {
        give_all(&mut call, record, pieces);
    } else {
        let (scrubbed, secrets) = record.shown(&settings.redact);
        give_shown(&mut call, scrubbed, &secrets, pieces);
    }
    call
}

type Pieces = Vec<(Channel, String)>;

fn give_all(call: &mut TrafficCall, record: &Record, pieces: Pieces) {
    call.request = ByteBuf::from(record.request.payload());
    call.request_metadata = ByteBuf::from(record.request.metadata());
    call.response = ByteBuf::from(record.response.payload());
    call.response_metadata = ByteBuf::from(record.response.metadata());
    let arrays = &record.ended.arrays;
    let each = (0..arrays.len()).filter_map(|number| arrays.get(number));
    call.request_arrays = each.map(|array| ByteBuf::from(array.to_vec())).collect();
    call.output = pieces.into_iter().map(|(channel, text)| (channel.name().to_owned(), text)).collect();
}

/// Arrays are left out: what is hidden may be in one, too.
fn give_shown(call: &mut TrafficCall, scrubbed: Scrubbed, secrets: &Secrets, pieces: Pieces) {
    call.request_dropped |= scrubbed.less_request;
    call.response_dropped |= scrubbed.less_response;
    // One that nothing is left of reads as cut.
    if !scrubbed.request.is_empty() {
        call.request_len = scrubbed.request.len() as u64;
    }
    if !scrubbed.response.is_empty() {
        call.response_len = scrubbed.response.len() as u64;
    }
    call.request = ByteBuf::from(scrubbed.request);
    call.request_metadata = ByteBuf::from(scrubbed.request_metadata);
    call.response = ByteBuf::from(scrubbed.response);
    call.response_metadata = ByteBuf::from(scrubbed.response_metadata);
    let shown = |text: String| secrets.hidden(&text).unwrap_or(text);
    let pieces = pieces.into_iter().map(|(channel, text)| (channel.name().to_owned(), shown(text)));
    call.output = pieces.collect();
}
