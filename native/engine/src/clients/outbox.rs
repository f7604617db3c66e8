//! Answers that found no room wait here, on the heap, until the client makes some.
//!
//! Each counts as a call in flight of its client, and nothing is received from a client whose outbox
//! is at its bound: so what waits is bounded, and nothing is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pycrust_protocol::Code;
use pycrust_protocol::header::{Credit, ResponseHeader};
use pycrust_transport::Attachment;
use pycrust_transport::sync::Mutex;

use crate::clients::answer::attached_len;

/// What waits.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// An answer, or an item of one.
    Answer(Answer),
    /// Room for arguments that the client streams.
    Credit(Credit),
}

impl Outgoing {
    /// Bytes beyond the header.
    fn len(&self) -> usize {
        match self {
            Self::Answer(answer) => {
                answer.payload.len() + answer.metadata.len() + attached_len(&answer.attachments)
            }
            Self::Credit(_) => 0,
        }
    }
}

/// One answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The header without its lengths, which the sender fills in.
    pub(crate) header: ResponseHeader,
    /// The id of the request that it answers.
    pub(crate) id: u64,
    /// How the call ended.
    pub(crate) status: Code,
    /// The result or the error.
    pub(crate) payload: Vec<u8>,
    /// The answer's metadata.
    pub(crate) metadata: Vec<u8>,
    /// The arrays in the result.
    pub(crate) attachments: Vec<Attachment>,
}

/// What became of an answer that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// Sent, or of no more use to anybody.
    Done,
    /// There is no room; the client rings when it has made some.
    Full,
}

/// Answers, and bytes of them, that wait when a client's streams pause. Each stream may add the item that it has.
const PAUSE: (usize, usize) = (64, 1 << 20);
/// When they go on.
const GO_ON: (usize, usize) = (PAUSE.0 / 2, PAUSE.1 / 2);

/// One client's waiting answers, the oldest first.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Whether so much waits that streams pause.
    congested: Arc<AtomicBool>,
    /// How many wait, the one that is being tried included. Read without the lock.
    len: AtomicUsize,
    /// Their payloads' bytes.
    bytes: AtomicUsize,
    /// The same of all clients together.
    all: Arc<AtomicUsize>,
    /// Held by the thread that empties it; nobody ever waits for this one.
    emptying: Mutex<()>,
    /// Somebody asked for it to be emptied, and that was not done yet.
    asked: AtomicBool,
    /// The answers. Not held while one is sent.
    inner: Mutex<Inner>,
}

/// What the inner lock of [`Outbox`] protects.
#[derive(Default)]
struct Inner {
    answers: VecDeque<Outgoing>,
    /// The client is gone: nothing is taken any more.
    closed: bool,
}

impl Outbox {
    /// An empty one. `all` counts the bytes that wait for anybody.
    pub(crate) fn new(all: Arc<AtomicUsize>) -> Self {
        Self { all, ..Self::default() }
    }

    /// How many answers wait.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the payloads that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds an answer at the end; `false` if the client is gone.
    pub(crate) fn push(&self, answer: Outgoing) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        self.bytes.fetch_add(answer.len(), Ordering::Relaxed);
        self.all.fetch_add(answer.len(), Ordering::Relaxed);
        inner.answers.push_back(answer);
        self.len.fetch_add(1, Ordering::AcqRel);
        if self.len() >= PAUSE.0 || self.bytes() >= PAUSE.1 {
            self.congested.store(true, Ordering::Release);
        }
        true
    }

    /// Whether so much waits that streams pause.
    pub(crate) fn congested(&self) -> &Arc<AtomicBool> {
        &self.congested
    }

    /// Whether streams that paused may go on; said once.
    pub(crate) fn eased(&self) -> bool {
        let has_room = self.len() <= GO_ON.0 && self.bytes() <= GO_ON.1;
        has_room && self.congested.load(Ordering::Acquire) && self.congested.swap(false, Ordering::AcqRel)
    }

    /// Tries the answers in order while `wanted` likes their sizes and there is room; `settled` is told
    /// of each that is done with.
    ///
    /// One thread does this at a time and the others leave it to that one. It must not miss them: a
    /// client rings once when it has made room, and whoever hears that asks here, perhaps at the moment
    /// when the other thread has just found none.
    pub(crate) fn empty(
        &self,
        wanted: impl Fn(usize) -> bool,
        mut attempt: impl FnMut(&mut Outgoing) -> Tried,
        mut settled: impl FnMut(),
    ) {
        self.asked.store(true, Ordering::SeqCst);
        while self.asked.load(Ordering::SeqCst) {
            let Some(emptying) = self.emptying.try_lock() else { return };
            while self.asked.swap(false, Ordering::SeqCst) {
                while let Some(mut answer) = self.take(&wanted) {
                    let len = answer.len();
                    if attempt(&mut answer) == Tried::Full && self.put_back(answer) {
                        break;
                    }
                    self.discount(1, len);
                    settled();
                }
            }
            drop(emptying);
        }
    }

    /// Whether an answer waits whose size `wanted` likes, and it is the next one.
    pub(crate) fn starts_with(&self, wanted: impl Fn(usize) -> bool) -> bool {
        !self.is_empty() && self.inner.lock().answers.front().is_some_and(|answer| wanted(answer.len()))
    }

    /// Takes the oldest answer; it keeps counting until it is settled or put back.
    fn take(&self, wanted: &impl Fn(usize) -> bool) -> Option<Outgoing> {
        let mut inner = self.inner.lock();
        if !wanted(inner.answers.front()?.len()) {
            return None;
        }
        inner.answers.pop_front()
    }

    /// Puts back an answer that found no room; `false` if the client is gone.
    fn put_back(&self, answer: Outgoing) -> bool {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.answers.push_front(answer);
        }
        !inner.closed
    }

    /// The client is gone: drops what waits and tells how many that were.
    pub(crate) fn close(&self) -> usize {
        let dropped = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            std::mem::take(&mut inner.answers)
        };
        self.discount(dropped.len(), dropped.iter().map(Outgoing::len).sum());
        dropped.len()
    }

    fn discount(&self, answers: usize, bytes: usize) {
        self.len.fetch_sub(answers, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u64) -> Outgoing {
        Outgoing::Answer(Answer {
            header: ResponseHeader::default(),
            id,
            status: Code::Ok,
            payload: vec![0; id as usize],
            metadata: Vec::new(),
            attachments: Vec::new(),
        })
    }

    #[test]
    fn keeps_order_and_counts_until_settled() {
        let outbox = Outbox::default();
        for id in 1..=3 {
            assert!(outbox.push(answer(id)));
        }
        let (mut sent, mut settled) = (Vec::new(), 0);
        let attempt = |answer: &mut Outgoing| {
            assert_eq!(outbox.len(), 3 - sent.len(), "the one in hand counts");
            if sent.len() == 2 {
                return Tried::Full;
            }
            let Outgoing::Answer(answer) = answer else { unreachable!("only answers") };
            sent.push(answer.id);
            Tried::Done
        };
        outbox.empty(|_| true, attempt, || settled += 1);
        assert_eq!((sent, settled), (vec![1, 2], 2));
        assert_eq!((outbox.len(), outbox.bytes()), (1, 3));
        outbox.empty(|len| len < 3, |_| unreachable!("it is too large"), || ());
        assert_eq!(outbox.close(), 1);
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
        assert!(!outbox.push(answer(4)));
    }

    #[test]
    fn a_ring_while_another_thread_finds_no_room_is_not_missed() {
        let outbox = Outbox::default();
        outbox.push(answer(1));
        let mut tries = 0;
        let attempt = |_: &mut Outgoing| {
            tries += 1;
            if tries == 1 {
                // The client makes room now, and the thread that hears its ring asks.
                outbox.empty(|_| true, |_| unreachable!("one thread at a time"), || ());
                return Tried::Full;
            }
            Tried::Done
        };
        outbox.empty(|_| true, attempt, || ());
        assert!(outbox.is_empty());
        assert_eq!(tries, 2);
    }

    #[test]
    fn an_answer_in_hand_when_the_client_goes_is_settled_once() {
        let outbox = Outbox::default();
        outbox.push(answer(1));
        outbox.push(answer(2));
        let mut settled = 0;
        let attempt = |_: &mut Outgoing| {
            assert_eq!(outbox.close(), 1);
            Tried::Full
        };
        outbox.empty(|_| true, attempt, || settled += 1);
        assert_eq!((settled, outbox.len(), outbox.bytes()), (1, 0, 0));
    }
}
