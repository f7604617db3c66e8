//! The calls in flight of one connection.
//!
//! A call's id is its sequence number, which only ever grows, above the 16 bits of its slot. An answer is
//! matched by the whole id, so a late one never meets the slot's next call.
//!
//! A slot whose caller went away is *abandoned*: it is not used again before the worker has answered the
//! call. Its cancel word would otherwise be overwritten by the next call's before the worker has looked at
//! it, and a cancelled call that still waits in the worker's queue would run.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use pycrust_protocol::Code;
use pycrust_protocol::header::ResponseHeader;
use pycrust_protocol::limits::{SMALL_SAMPLE_LEN, SMALL_WINDOW, STREAM_WINDOW_BYTES, UPLOAD_WINDOW};
use pycrust_protocol::order::InOrder;
use pycrust_protocol::report::Report;
use pycrust_transport::Attachments;

use crate::connection::buffers;

/// Reports kept until they can be sent; then the oldest goes.
const MAX_REPORTS: usize = 1024;

/// Bytes of items that may come beyond those that were granted: small frames overtake large ones.
const OVERTAKING: u64 = (SMALL_WINDOW * SMALL_SAMPLE_LEN) as u64;

/// Every call in flight, and what the next requests tell the worker about earlier ones.
#[derive(Debug)]
pub(crate) struct Calls {
    /// One entry for each slot used so far.
    slots: Vec<Slot>,
    /// Free slots; the last freed is used first, since it is warm on both sides.
    free: Vec<u16>,
    /// Sequence number of the last call.
    sequence: u64,
    /// Slots that may be used.
    limit: usize,
    /// Slots whose caller went away before the answer came.
    abandoned: usize,
    /// Round trips that the worker was not told yet.
    reports: VecDeque<Report>,
    /// `CLOCK_MONOTONIC` of the last report.
    last_report_ns: u64,
    /// Why there are no more calls, once the connection is at its end.
    end: Option<End>,
}

#[derive(Debug)]
struct Slot {
    /// The call's id; 0 if the slot is free.
    id: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    /// No answer yet. The buffer is for its payload.
    Waiting {
        waker: Option<Waker>,
        buffer: Vec<u8>,
    },
    Answered(Answer),
    /// A call that streams, either way.
    Streaming(Box<Streamed>),
    Abandoned,
}

/// What has come of a call that streams.
#[derive(Debug, Default)]
struct Streamed {
    waker: Option<Waker>,
    /// Items that came and were not taken.
    items: InOrder<Body>,
    /// Items that were taken, in all.
    taken: u64,
    /// Bytes of items that have come, in all.
    come: u64,
    /// What the worker may send, in all.
    granted: Amount,
    /// What may be sent of the arguments, in all.
    allowed: Amount,
    /// What ended it.
    answer: Option<Answer>,
    /// What the worker did wrong.
    broken: Option<&'static str>,
}

/// What may be sent of a stream, in all: one more item while fewer bytes were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) items: u64,
    /// Of their payloads and attachments.
    pub(crate) bytes: u64,
}

/// What a call that streams gives next.
#[derive(Debug)]
pub(crate) enum Next {
    /// An item.
    Item(Body),
    /// The answer that ends the call.
    Answer(Answer),
    /// There will be no answer.
    End(End),
    /// The worker broke the protocol, in this way; the call keeps its slot.
    Broken(&'static str),
}

/// MessagePack and the arrays in it.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) payload: Vec<u8>,
    pub(crate) attachments: Attachments,
}

impl Body {
    /// Its bytes, as a stream counts them.
    pub(crate) fn bytes(&self) -> u64 {
        (self.payload.len() + self.attachments.bytes()) as u64
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: ResponseHeader,
    pub(crate) status: Code,
    pub(crate) body: Body,
    /// MessagePack; empty if there is none.
    pub(crate) metadata: Vec<u8>,
}

/// Why a connection is at its end.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) code: Code,
    pub(crate) reason: Arc<str>,
}

/// A call could not begin.
#[derive(Debug)]
pub(crate) enum NoSlot {
    /// Every slot is in use.
    Full { limit: usize, abandoned: usize },
    /// The connection is at its end.
    Ended,
}

/// What became of an answer that arrived.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// It waits for its caller, who is to be woken if there is a waker.
    Kept(Option<Waker>),
    /// Its caller went away; the slot is free again.
    Freed,
    /// No call has this id.
    Unknown,
}

impl Calls {
    /// No calls yet; at most `limit` at a time.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            limit: limit.min(pycrust_protocol::limits::MAX_IN_FLIGHT),
            abandoned: 0,
            reports: VecDeque::new(),
            last_report_ns: 0,
            end: None,
        }
    }

    /// Begins a call: its id. `buffer` will hold the answer's payload.
    pub(crate) fn begin(&mut self, buffer: Vec<u8>) -> Result<u64, NoSlot> {
        if self.end.is_some() {
            return Err(NoSlot::Ended);
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.limit => {
                self.slots.push(Slot { id: 0, state: State::Free });
                (self.slots.len() - 1) as u16
            }
            None => return Err(NoSlot::Full { limit: self.limit, abandoned: self.abandoned }),
        };
        self.sequence += 1;
        let id = self.sequence << 16 | u64::from(slot);
        self.slots[usize::from(slot)] = Slot { id, state: State::Waiting { waker: None, buffer } };
        Ok(id)
    }

    /// Makes a call that has just begun one that streams: no more than `granted` comes before more is granted.
    pub(crate) fn stream(&mut self, id: u64, granted: Amount) {
        if let Some(slot) = self.slot(id) {
            let allowed = Amount { items: UPLOAD_WINDOW, bytes: STREAM_WINDOW_BYTES };
            let streamed = Streamed { granted, allowed, ..Streamed::default() };
            slot.state = State::Streaming(Box::new(streamed));
        }
    }

    fn streamed(&mut self, id: u64) -> Option<&mut Streamed> {
        match &mut self.slot(id)?.state {
            State::Streaming(streamed) => Some(streamed),
            _ => None,
        }
    }

    /// The worker takes so much of a call's arguments in all. Whoever waits for it.
    pub(crate) fn allow(&mut self, id: u64, allowed: Amount) -> Option<Waker> {
        let streamed = self.streamed(id)?;
        let Amount { items, bytes } = &mut streamed.allowed;
        (*items, *bytes) = (allowed.items.max(*items), allowed.bytes.max(*bytes));
        streamed.waker.take()
    }

    /// What may be sent of a call's arguments, in all.
    pub(crate) fn allowed(&mut self, id: u64) -> Amount {
        self.streamed(id).map_or_else(Amount::default, |streamed| streamed.allowed)
    }

    /// The worker may send so much of a call's answer, in all.
    pub(crate) fn grant(&mut self, id: u64, granted: Amount) {
        if let Some(streamed) = self.streamed(id) {
            streamed.granted = granted;
        }
    }

    /// An item arrived.
    pub(crate) fn deliver_item(
        &mut self,
        id: u64,
        position: u32,
        payload: &[u8],
        attachments: Attachments,
    ) -> Delivery {
        let Some(streamed) = self.streamed(id) else { return Delivery::Unknown };
        let mut item = Body { payload: buffers::take(), attachments };
        item.payload.extend_from_slice(payload);
        let in_bounds = streamed.come < streamed.granted.bytes.saturating_add(OVERTAKING);
        streamed.come = streamed.come.saturating_add(item.bytes());
        if !in_bounds || !streamed.items.put(position, item, streamed.granted.items - streamed.taken) {
            streamed.broken =
                Some("the worker sent an item twice, out of place, or more than it was granted");
        }
        Delivery::Kept(streamed.waker.take())
    }

    /// What a call that streams gives next; its answer or end frees the slot. `None` is not yet: then `waker`
    /// is woken when there is something, also room for arguments.
    pub(crate) fn next(&mut self, id: u64, waker: &Waker) -> Option<Next> {
        let end = self.end.clone();
        let streamed = self.streamed(id)?;
        if let Some(item) = streamed.items.take() {
            streamed.taken += 1;
            return Some(Next::Item(item));
        }
        // An end may overtake items.
        let position = streamed.items.position();
        let complete = streamed.answer.take_if(|answer| answer.header.stream_seq == position);
        // How many items are still to come, which is more than may come where it is less than none.
        let to_come = streamed.answer.as_ref().map(|answer| answer.header.stream_seq.wrapping_sub(position));
        if to_come.is_some_and(|items| u64::from(items) > streamed.granted.items - streamed.taken) {
            streamed.broken = Some("the worker's end of the stream does not fit the items that it sent");
        }
        if let (Some(reason), None) = (streamed.broken, &complete) {
            return Some(Next::Broken(reason));
        }
        let next = match (complete, end) {
            (Some(answer), _) => Next::Answer(answer),
            (None, Some(end)) => Next::End(end),
            (None, None) => {
                match &mut streamed.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                return None;
            }
        };
        self.free(id);
        Some(next)
    }

    /// Calls whose worker owes an answer, abandoned ones included.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether a call could begin now, or would learn why not.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit || self.end.is_some()
    }

    /// The call's slot, if the call is still in it.
    fn slot(&mut self, id: u64) -> Option<&mut Slot> {
        self.slots.get_mut((id & 0xffff) as usize).filter(|slot| slot.id == id && id != 0)
    }

    fn free(&mut self, id: u64) {
        self.slots[(id & 0xffff) as usize] = Slot { id: 0, state: State::Free };
        self.free.push((id & 0xffff) as u16);
    }

    /// An answer arrived.
    pub(crate) fn deliver(
        &mut self,
        id: u64,
        header: ResponseHeader,
        status: Code,
        [payload, metadata]: [&[u8]; 2],
        attachments: Attachments,
    ) -> Delivery {
        let Some(slot) = self.slot(id) else { return Delivery::Unknown };
        match &mut slot.state {
            State::Waiting { waker, buffer } => {
                let waker = waker.take();
                let mut buffer = mem::take(buffer);
                buffer.clear();
                buffer.extend_from_slice(payload);
                let body = Body { payload: buffer, attachments };
                slot.state = State::Answered(Answer { header, status, body, metadata: metadata.to_vec() });
                Delivery::Kept(waker)
            }
            State::Streaming(streamed) if streamed.answer.is_none() => {
                let body = Body { payload: payload.to_vec(), attachments };
                streamed.answer = Some(Answer { header, status, body, metadata: metadata.to_vec() });
                Delivery::Kept(streamed.waker.take())
            }
            State::Abandoned => {
                self.abandoned -= 1;
                self.free(id);
                Delivery::Freed
            }
            // A second answer to the same call: the first one counts.
            State::Answered(_) | State::Streaming(_) | State::Free => Delivery::Unknown,
        }
    }

    /// The call's answer, which ends the call; or why there will be none; or nothing yet, and `waker` is
    /// woken when there is.
    pub(crate) fn take(&mut self, id: u64, waker: Option<&Waker>) -> Option<Result<Answer, End>> {
        let end = self.end.clone();
        let slot = self.slot(id)?;
        if let State::Waiting { waker: known, .. } = &mut slot.state {
            let Some(end) = end else {
                if let Some(waker) = waker {
                    match known {
                        Some(known) => known.clone_from(waker),
                        None => *known = Some(waker.clone()),
                    }
                }
                return None;
            };
            self.free(id);
            return Some(Err(end));
        }
        let State::Answered(answer) = mem::replace(&mut slot.state, State::Free) else { return None };
        self.free(id);
        Some(Ok(answer))
    }

    /// The caller goes away. True if the worker must be told.
    ///
    /// `sent` says whether the worker may know of the call; if it can't, the slot is free at once.
    pub(crate) fn abandon(&mut self, id: u64, sent: bool) -> bool {
        let ended = self.end.is_some();
        let Some(slot) = self.slot(id) else { return false };
        let waiting = match &slot.state {
            State::Waiting { .. } => true,
            State::Streaming(streamed) => streamed.answer.is_none(),
            _ => false,
        };
        if waiting && sent && !ended {
            if let State::Waiting { buffer, .. } = mem::replace(&mut slot.state, State::Abandoned) {
                buffers::give(buffer);
            }
            self.abandoned += 1;
            return true;
        }
        if matches!(slot.state, State::Abandoned) {
            self.abandoned -= 1;
        }
        self.free(id);
        false
    }

    /// The request of this call could not be sent after all: if its caller went away meanwhile, no answer
    /// will free the slot.
    pub(crate) fn not_sent(&mut self, id: u64) {
        if self.slot(id).is_some_and(|slot| matches!(slot.state, State::Abandoned)) {
            self.abandoned -= 1;
            self.free(id);
        }
    }

    /// Ends all calls that have no answer; the first end counts. The callers to be woken.
    pub(crate) fn end(&mut self, end: End) -> Vec<Waker> {
        if self.end.is_some() {
            return Vec::new();
        }
        self.end = Some(end);
        self.reports.clear();
        self.slots
            .iter_mut()
            .filter_map(|slot| match &mut slot.state {
                State::Waiting { waker, .. } => waker.take(),
                State::Streaming(streamed) => streamed.waker.take(),
                _ => None,
            })
            .collect()
    }

    /// Keeps a round trip for the worker. `now_ns` is its end.
    pub(crate) fn report(&mut self, report: Report, now_ns: u64) {
        if self.end.is_some() {
            return;
        }
        if self.reports.len() == MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
        self.last_report_ns = now_ns;
    }

    /// Moves at most `max` reports, the oldest first, into `out`; how many.
    pub(crate) fn take_reports(&mut self, max: usize, out: &mut Vec<u8>) -> usize {
        let count = self.reports.len().min(max);
        self.reports.drain(..count).for_each(|report| report.put(out));
        count
    }

    /// Puts back reports that could not be sent; they are the oldest again.
    pub(crate) fn return_reports(&mut self, bytes: &[u8]) {
        let returned: Vec<_> = Report::read_all(bytes).collect();
        for report in returned.into_iter().rev() {
            if self.reports.len() < MAX_REPORTS && self.end.is_none() {
                self.reports.push_front(report);
            }
        }
    }

    /// Whether reports wait, and since when no new one came.
    pub(crate) fn reports_since(&self) -> Option<u64> {
        (!self.reports.is_empty()).then_some(self.last_report_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(calls: &mut Calls, id: u64, payload: &[u8]) -> Delivery {
        calls.deliver(id, ResponseHeader::default(), Code::Ok, [payload, &[]], Attachments::default())
    }

    fn taken(calls: &mut Calls, id: u64) -> Option<Vec<u8>> {
        calls.take(id, None).map(|answer| answer.expect("not ended").body.payload)
    }

    #[test]
    fn a_late_answer_never_meets_the_next_call_in_its_slot() {
        let mut calls = Calls::new(4);
        let first = calls.begin(Vec::new()).expect("a slot");
        assert!(matches!(deliver(&mut calls, first, b"1"), Delivery::Kept(None)));
        assert_eq!(taken(&mut calls, first), Some(b"1".to_vec()));
        let second = calls.begin(Vec::new()).expect("a slot");
        assert_eq!(first & 0xffff, second & 0xffff, "the last slot freed is used first");
        assert!(matches!(deliver(&mut calls, first, b"late"), Delivery::Unknown));
        assert!(taken(&mut calls, second).is_none());
        assert!(matches!(deliver(&mut calls, second, b"2"), Delivery::Kept(None)));
        assert!(matches!(deliver(&mut calls, second, b"twice"), Delivery::Unknown));
        assert_eq!(taken(&mut calls, second), Some(b"2".to_vec()));
    }

    #[test]
    fn an_abandoned_slot_is_used_again_only_after_its_answer() {
        let mut calls = Calls::new(2);
        let first = calls.begin(Vec::new()).expect("a slot");
        assert!(calls.abandon(first, true), "the worker must be told");
        let second = calls.begin(Vec::new()).expect("another slot");
        assert_ne!(first & 0xffff, second & 0xffff);
        assert!(matches!(calls.begin(Vec::new()), Err(NoSlot::Full { limit: 2, abandoned: 1 })));
        assert!(matches!(deliver(&mut calls, first, b""), Delivery::Freed));
        assert!(calls.begin(Vec::new()).is_ok());
    }

    #[test]
    fn a_call_that_was_not_sent_frees_its_slot_at_once() {
        let mut calls = Calls::new(1);
        let id = calls.begin(Vec::new()).expect("a slot");
        assert!(!calls.abandon(id, false));
        let id = calls.begin(Vec::new()).expect("a slot");
        assert!(calls.abandon(id, true));
        calls.not_sent(id);
        assert_eq!(calls.in_flight(), 0);
    }

    #[test]
    fn an_answer_that_came_before_the_end_is_still_taken() {
        let mut calls = Calls::new(2);
        let answered = calls.begin(Vec::new()).expect("a slot");
        let waiting = calls.begin(Vec::new()).expect("a slot");
        deliver(&mut calls, answered, b"1");
        calls.end(End { code: Code::Unavailable, reason: "gone".into() });
        assert_eq!(taken(&mut calls, answered), Some(b"1".to_vec()));
        assert!(matches!(calls.take(waiting, None), Some(Err(End { code: Code::Unavailable, .. }))));
        assert!(matches!(calls.begin(Vec::new()), Err(NoSlot::Ended)));
        assert_eq!(calls.in_flight(), 0);
    }

    #[test]
    fn the_oldest_reports_go_first() {
        let mut calls = Calls::new(1);
        for id in 0..=MAX_REPORTS as u64 {
            calls.report(Report { id, ..Report::default() }, id);
        }
        let mut out = Vec::new();
        assert_eq!(calls.take_reports(4, &mut out), 4);
        let ids: Vec<_> = Report::read_all(&out).map(|report| report.id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert_eq!(calls.reports_since(), Some(MAX_REPORTS as u64));
    }
}
