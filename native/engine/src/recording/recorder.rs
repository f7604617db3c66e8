//! The recorder: the last calls that ended, with what they brought and what they were answered.
//!
//! Nothing is decoded here. A call costs two short locks and a copy of its answer; its arguments are moved.
//! While it is off it costs one load.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::header::Stages;
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::RecorderStats;
use pycrust_transport::Attachments;
use pycrust_transport::sync::{Condvar, Mutex};

use crate::recording::naming::Naming;
use crate::recording::output::Output;
use crate::recording::sampler::{Offer, Plan, Sampler};
use crate::recording::scrub::{Scrub, Scrubbed, Whole};
use crate::recording::secrets::Secrets;
use crate::recording::settings::MethodRecording;

/// Bytes that one record counts for beside what it holds: the record, its place in the ring and in the index.
const RECORD_COST: usize = 512;

/// What the recorder keeps, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Whether calls are recorded at all.
    pub on: bool,
    /// Calls that are kept, the last ones.
    pub max_calls: usize,
    /// Bytes that they may hold together.
    pub max_bytes: usize,
    /// Bytes of one payload that are kept; of a longer one, its beginning.
    pub max_payload: usize,
    /// Bytes of arrays among one call's arguments up to which they are kept; of more, only types and shapes.
    pub max_arrays: usize,
    /// Calls a second that are recorded in full; above it they are sampled.
    pub calls_per_second: u64,
    /// Bytes of payloads a second that are recorded in full; above it calls are sampled.
    pub bytes_per_second: u64,
    /// Calls that took at least this long are notable, as failed ones are: they are sampled apart from the
    /// others, so that a flood of those doesn't hide them.
    pub slow: Duration,
    /// Fields that are taken out of payloads and metadata before they are stored.
    pub drop: Arc<Scrub>,
    /// Fields that are not told to who asks the worker for its calls.
    pub redact: Arc<Scrub>,
    /// Whether somebody else decides what may be shown of payloads, so that the worker tells none.
    pub hooked: bool,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            on: true,
            max_calls: 10_000,
            max_bytes: 64 << 20,
            max_payload: 1 << 20,
            max_arrays: 0,
            calls_per_second: 2_000,
            bytes_per_second: 64 << 20,
            slow: Duration::from_millis(10),
            drop: Arc::default(),
            redact: Arc::default(),
            hooked: false,
        }
    }
}

/// How the recorder is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RecorderState {
    /// Calls that are held.
    pub calls: usize,
    /// Bytes that they hold.
    pub bytes: usize,
    /// Calls recorded since the engine was made.
    pub recorded: u64,
    /// Calls that ended while the recorder was on and were left out by sampling.
    pub skipped: u64,
    /// The share of ordinary calls that is recorded at the moment, 1.0 being all.
    pub share: f64,
    /// The number of the last recorded call; 0 before the first.
    pub last: u64,
}

/// Who made a recorded call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// What the client calls itself.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// The connection's number.
    pub connection: u64,
}

/// One direction of a recorded call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// The payload, or its beginning; then the metadata.
    bytes: Box<[u8]>,
    /// Bytes of the payload that are kept.
    kept: usize,
    /// Bytes that the payload had.
    pub len: usize,
    /// Whether fields were taken out of it.
    pub less: bool,
}

impl Side {
    /// Keeps what it is given, which holds the payload's first `payload_len` bytes and metadata behind.
    pub(crate) fn whole(bytes: Box<[u8]>, payload_len: usize) -> Self {
        Self { bytes, kept: payload_len, len: payload_len, less: false }
    }

    /// Copies a payload and its metadata, as far as [`sides`] needs them.
    pub(crate) fn copied(payload: &[u8], metadata: &[u8], plan: &Plan) -> Self {
        let max = if plan.drop.is_empty() { plan.max_payload } else { usize::MAX };
        Self::cut(payload, metadata, payload.len(), max)
    }

    /// What is left of a payload of `len` bytes. One that nothing is left of reads as cut.
    fn scrubbed(payload: &[u8], metadata: &[u8], len: usize, less: bool, plan: &Plan) -> Self {
        let len = if payload.is_empty() { len } else { payload.len() };
        Self { less, ..Self::cut(payload, metadata, len, plan.max_payload) }
    }

    fn cut(payload: &[u8], metadata: &[u8], len: usize, max: usize) -> Self {
        let kept = payload.len().min(max);
        let bytes = [&payload[..kept], metadata].concat().into_boxed_slice();
        Self { bytes, kept, len, less: false }
    }

    /// The payload as MessagePack, as far as it was kept.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.kept]
    }

    /// The metadata as MessagePack; empty if there is none.
    pub fn metadata(&self) -> &[u8] {
        &self.bytes[self.kept..]
    }

    /// Whether the payload was longer than what is kept of it.
    pub fn truncated(&self) -> bool {
        self.kept < self.len
    }
}

/// How the fields of an answer's payload are named, and whether its request is all that the handler got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) metadata: &'a [u8],
    pub(crate) failed: bool,
    pub(crate) cut: bool,
}

/// Both directions of a call, as far as they are to be kept, of a request that is there in full where fields are taken
/// out; and the output of its handler is scrubbed.
pub(crate) fn sides(
    request: Side,
    answer: Answered<'_>,
    naming: &Naming,
    output: Option<&Output>,
    plan: &Plan,
) -> (Side, Side) {
    let max = plan.max_payload;
    if plan.drop.is_empty() {
        let cut = request.kept > max;
        let request =
            if cut { Side::cut(request.payload(), request.metadata(), request.len, max) } else { request };
        return (request, Side::cut(answer.payload, answer.metadata, answer.payload.len(), max));
    }
    let whole = Whole {
        request: request.payload(),
        request_metadata: request.metadata(),
        response: answer.payload,
        response_metadata: answer.metadata,
        cut: answer.cut,
        failed: answer.failed,
    };
    let (left, secrets) = plan.drop.call(whole, naming);
    if let Some(output) = output {
        output.scrub(&secrets);
    }
    let request = Side::scrubbed(&left.request, &left.request_metadata, request.len, left.less_request, plan);
    let (payload, metadata) = (&left.response, &left.response_metadata);
    (request, Side::scrubbed(payload, metadata, answer.payload.len(), left.less_response, plan))
}

/// One call that ended.
#[derive(Debug)]
pub struct Record {
    /// Its number among the recorded calls, from 1, in the order of their ends.
    pub seq: u64,
    /// What it was.
    pub ended: Ended,
    /// What it brought.
    pub request: Side,
    /// What it was answered; of a stream, its items one after the other.
    pub response: Side,
    /// What its client measured: 0 until it has told, which it does beside a later call.
    round_trip_ns: AtomicU64,
    back_ns: AtomicU64,
    /// What the client saw, once it has told; 255 before.
    seen: AtomicU8,
    /// Bytes that it counts for.
    cost: usize,
}

/// What is known of a call's end, beside the payloads.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The method's name, or what the caller asked for in its place.
    pub method: Arc<str>,
    /// How the method's calls are recorded.
    pub recording: Arc<MethodRecording>,
    /// The version that answered; 0 where none did.
    pub version: u32,
    /// The status of the answer.
    pub status: Code,
    /// The request's flags, bits of [`flags`](pycrust_protocol::header::flags).
    pub flags: u8,
    /// The caller's number for the call.
    pub id: u64,
    /// Who called.
    pub origin: Arc<Origin>,
    /// `CLOCK_MONOTONIC` when the call was published.
    pub sent_ns: u64,
    /// `CLOCK_MONOTONIC` when it ended.
    pub ended_ns: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended_unix_ns: u64,
    /// How long after `sent_ns` it expired; 0 is never.
    pub deadline_ns: u64,
    /// Where the time went; all zero of a call that was not started.
    pub stages: Stages,
    /// Whether a handler was started for it.
    pub started: bool,
    /// Whether the answer is a stream.
    pub streamed: bool,
    /// Items of the answer, of a stream.
    pub items: u64,
    /// Of these, the first ones that are kept.
    pub items_kept: u64,
    /// Arguments that the handler took, of a call whose caller streams them: the request's payload is the array
    /// of those that are kept.
    pub uploaded: u64,
    /// Of these, the first ones that are kept.
    pub uploaded_kept: u64,
    /// The arrays among the arguments, if they are kept.
    pub arrays: Attachments,
    /// What the handler printed, if anything; it may go on.
    pub output: Option<Arc<Output>>,
}

impl Record {
    /// The call without the fields that are not shown, and what they were.
    pub fn shown(&self, scrub: &Scrub) -> (Scrubbed, Secrets) {
        let whole = Whole {
            request: self.request.payload(),
            request_metadata: self.request.metadata(),
            response: self.response.payload(),
            response_metadata: self.response.metadata(),
            cut: self.request.truncated() || self.ended.uploaded_kept < self.ended.uploaded,
            failed: self.ended.status != Code::Ok,
        };
        scrub.call(whole, &self.ended.recording.naming)
    }

    /// Bytes that it counts for.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// From the caller's begin to the answer, as it measured; `None` until it has told.
    pub fn round_trip_ns(&self) -> Option<u64> {
        match self.round_trip_ns.load(Ordering::Relaxed) {
            0 => None,
            round_trip => Some(round_trip),
        }
    }

    /// The way back of the answer, as the caller measured; `None` until it has told.
    pub fn back_ns(&self) -> Option<u64> {
        self.round_trip_ns().map(|_| self.back_ns.load(Ordering::Relaxed))
    }

    /// The status that the caller saw, once it has told: not the answer's if that came too late.
    pub fn seen(&self) -> Option<Code> {
        Code::from_u8(self.seen.load(Ordering::Relaxed))
    }
}

/// The calls that are kept.
#[derive(Default)]
struct Ring {
    /// The oldest first; their numbers follow each other.
    calls: VecDeque<Arc<Record>>,
    /// What they cost.
    bytes: usize,
    /// The number of the last one.
    last: u64,
    /// The number of the call that a connection and an id name.
    index: HashMap<(u64, u64), u64>,
    max_calls: usize,
    max_bytes: usize,
}

/// The last calls of an engine.
pub struct Recorder {
    /// Read by every call.
    on: AtomicBool,
    /// Decides what is kept. A lock of its own: payloads are copied between the two.
    sampler: Mutex<Sampler>,
    /// Held for a push, and for as long as readers copy pointers.
    ring: Mutex<Ring>,
    /// Told of every push.
    pushed: Condvar,
    recorded: AtomicU64,
    skipped: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        let recorder = Self {
            on: AtomicBool::new(false),
            sampler: Mutex::new(Sampler::new(Recording::default())),
            ring: Mutex::default(),
            pushed: Condvar::new(),
            recorded: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        };
        recorder.set(Recording::default());
        recorder
    }
}

impl Recorder {
    /// Whether calls are recorded.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// What is recorded.
    pub fn settings(&self) -> Recording {
        self.sampler.lock().settings().clone()
    }

    /// Changes what is recorded from now on; what is held is cut to the new bounds.
    pub fn set(&self, settings: Recording) {
        self.on.store(settings.on, Ordering::Relaxed);
        let dropped = {
            let mut ring = self.ring.lock();
            (ring.max_calls, ring.max_bytes) = (settings.max_calls, settings.max_bytes);
            ring.cut()
        };
        drop(dropped);
        self.sampler.lock().set(settings);
    }

    /// How it is doing.
    pub fn state(&self) -> RecorderState {
        let share = self.sampler.lock().share();
        let ring = self.ring.lock();
        RecorderState {
            calls: ring.calls.len(),
            bytes: ring.bytes,
            recorded: self.recorded.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            share,
            last: ring.last,
        }
    }

    /// Whether a call is recorded, and then how.
    pub(crate) fn sample(&self, offer: Offer, now_ns: u64) -> Option<Plan> {
        let taken = self.sampler.lock().take(offer, now_ns);
        let count = if taken.is_some() { &self.recorded } else { &self.skipped };
        count.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// Its part of the answer to `pycrust.stats`.
    pub(crate) fn stats(&self) -> RecorderStats {
        let RecorderState { calls, bytes, recorded, skipped, share, last } = self.state();
        RecorderStats {
            on: self.is_on(),
            calls: calls as u64,
            bytes: bytes as u64,
            recorded,
            skipped,
            share,
            last,
        }
    }

    /// Records a call that is in the sample.
    pub(crate) fn push(&self, ended: Ended, request: Side, response: Side) {
        let printed = ended.output.as_ref().map_or(0, |output| output.bytes());
        let cost =
            RECORD_COST + request.bytes.len() + response.bytes.len() + ended.arrays.copied_len() + printed;
        let mut record = Record {
            seq: 0,
            ended,
            request,
            response,
            round_trip_ns: AtomicU64::new(0),
            back_ns: AtomicU64::new(0),
            seen: AtomicU8::new(u8::MAX),
            cost,
        };
        let dropped = {
            let mut ring = self.ring.lock();
            ring.last += 1;
            record.seq = ring.last;
            ring.push(Arc::new(record))
        };
        self.pushed.notify_all();
        // Freed without the lock.
        drop(dropped);
    }

    /// Takes what a client measured of its calls.
    pub(crate) fn reported(&self, connection: u64, reports: impl Iterator<Item = Report>) {
        let ring = self.ring.lock();
        if ring.index.is_empty() {
            return;
        }
        for report in reports {
            let Some(seq) = ring.index.get(&(connection, report.id)) else { continue };
            if u64::from(report.return_ns) > report.round_trip_ns {
                continue; // no client measures that
            }
            if let Some(record) = ring.get(*seq) {
                record.back_ns.store(report.return_ns.into(), Ordering::Relaxed);
                record.seen.store(report.status, Ordering::Relaxed);
                record.round_trip_ns.store(report.round_trip_ns.max(1), Ordering::Relaxed);
            }
        }
    }

    /// The calls with numbers above `after` that are still held, the oldest first: of more than `most`, the
    /// newest if `newest`, else the oldest.
    pub fn calls(&self, after: u64, most: usize, newest: bool) -> Vec<Arc<Record>> {
        let ring = self.ring.lock();
        let first = ring.first();
        let begin = after.saturating_add(1).saturating_sub(first).min(ring.calls.len() as u64) as usize;
        let count = (ring.calls.len() - begin).min(most);
        let begin = if newest { ring.calls.len() - count } else { begin };
        ring.calls.range(begin..begin + count).cloned().collect()
    }

    /// The number of the oldest call that is held; of the next one, if none is.
    pub(crate) fn first(&self) -> u64 {
        self.ring.lock().first()
    }

    /// Waits until a call with a number above `after` was recorded, at most `patience`; whether one was.
    pub fn wait(&self, after: u64, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut ring = self.ring.lock();
        while ring.last <= after {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            ring = self.pushed.wait_for(ring, left);
        }
        true
    }

    /// Connections are numbered anew: what their clients measure belongs to none of the calls that are held.
    pub(crate) fn begin_life(&self) {
        self.ring.lock().index.clear();
    }

    /// Forgets the calls that are held. Numbers go on.
    pub fn clear(&self) {
        let dropped = {
            let mut ring = self.ring.lock();
            ring.index.clear();
            ring.bytes = 0;
            std::mem::take(&mut ring.calls)
        };
        drop(dropped);
    }
}

impl Ring {
    /// The number of the oldest call that is held; of the next one, if none is.
    fn first(&self) -> u64 {
        self.last + 1 - self.calls.len() as u64
    }

    fn get(&self, seq: u64) -> Option<&Arc<Record>> {
        self.calls.get(usize::try_from(seq.checked_sub(self.first())?).ok()?)
    }

    /// Takes a record; gives those that have no room any more.
    fn push(&mut self, record: Arc<Record>) -> Vec<Arc<Record>> {
        self.bytes += record.cost;
        self.index.insert((record.ended.origin.connection, record.ended.id), record.seq);
        self.calls.push_back(record);
        self.cut()
    }

    fn cut(&mut self) -> Vec<Arc<Record>> {
        let mut dropped = Vec::new();
        while self.calls.len() > self.max_calls || self.bytes > self.max_bytes {
            let Some(oldest) = self.calls.pop_front() else { break };
            self.bytes -= oldest.cost;
            let key = (oldest.ended.origin.connection, oldest.ended.id);
            // The id may be another call's by now, should a client use it twice.
            if self.index.get(&key) == Some(&oldest.seq) {
                self.index.remove(&key);
            }
            dropped.push(oldest);
        }
        dropped
    }
}
