//! What a call hears after its first frame: that it is cancelled, how many items its caller takes, which
//! arguments follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pycrust_protocol::limits::{SMALL_SAMPLE_LEN, STREAM_WINDOW_BYTES, UPLOAD_WINDOW};
use pycrust_protocol::order::InOrder;
use pycrust_transport::Attachments;
use pycrust_transport::sync::{Condvar, Mutex};

use crate::clients::account::Held;
use crate::recording::items::FirstItems;

/// Told of every change, by whichever thread makes it; it must not block.
pub type Listener = Arc<dyn Fn() + Send + Sync>;

/// Bytes that may come beyond those that were granted: small frames overtake large ones.
const OVERTAKING: u64 = UPLOAD_WINDOW * SMALL_SAMPLE_LEN as u64;

/// What is said of an end with fewer items than came, or more than may come.
const MISFIT: &str = "the caller's end of the arguments does not fit those that it sent";

/// What one side of a stream takes, or was sent, in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Items.
    pub items: u64,
    /// Bytes of their payloads and attachments.
    pub bytes: u64,
}

impl Amount {
    /// Whether one more item may follow so much when `granted` is taken: the last one may pass its bytes, so that
    /// an item of any size gets through.
    fn has_room(self, granted: Self) -> bool {
        self.items < granted.items && self.bytes < granted.bytes
    }

    /// Counts an item.
    fn add(&mut self, bytes: u64) {
        self.items += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The larger of each.
    fn max(self, other: Self) -> Self {
        Self { items: self.items.max(other.items), bytes: self.bytes.max(other.bytes) }
    }
}

/// A parked call: it goes on when something has changed for it.
pub(crate) trait Parked: Send {
    /// Lets it go on.
    fn resume(self: Box<Self>);
}

/// One call's side of what its caller says later.
#[derive(Default)]
pub struct Ongoing {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Whether so much waits for its caller already that no item may follow.
    congested: Arc<AtomicBool>,
}

#[derive(Default)]
struct Inner {
    /// The caller cancelled the call or is gone.
    cancelled: bool,
    /// What the caller takes of the answer.
    granted: Amount,
    /// What was sent of the answer.
    sent: Amount,
    /// Arguments that have come and were not taken.
    arguments: InOrder<(Box<[u8]>, Attachments, Held)>,
    /// Bytes of arguments that have come.
    come: u64,
    /// Arguments that were taken.
    taken: Amount,
    /// The first of these, if they are wanted.
    kept: Option<FirstItems>,
    /// Arguments that the caller may send.
    allowed: Amount,
    /// How many arguments there are, or why there are no more, once that is known.
    end: Option<Result<u32, Wrong>>,
    /// Who is told of changes.
    listener: Option<Listener>,
    /// The call itself, while no thread has it.
    parked: Option<Box<dyn Parked>>,
}

/// Why there will be no more arguments, although the caller has not ended them.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// The caller broke the protocol, in this way.
    Broken(&'static str),
    /// There was no room for one.
    Full(String),
}

/// The next argument of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Argument {
    /// It is here: MessagePack and its arrays.
    Item(Box<[u8]>, Attachments),
    /// There will be no more.
    End,
    /// The caller broke the protocol, in this way.
    Broken(&'static str),
    /// There was no room for it, for this reason.
    Full(String),
    /// The call was cancelled.
    Cancelled,
    /// Not yet.
    Later,
}

impl Ongoing {
    /// A call whose caller takes so much of its answer, while it is not `congested`; `uploads` says whether arguments
    /// follow.
    pub(crate) fn new(granted: Amount, uploads: bool, congested: Arc<AtomicBool>) -> Arc<Self> {
        let end = (!uploads).then_some(Ok(0));
        let allowed = Amount { items: UPLOAD_WINDOW, bytes: STREAM_WINDOW_BYTES };
        let inner = Inner { granted, allowed, end, ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new(), congested })
    }

    /// Makes a change and tells everyone who waits for one.
    fn change(&self, make: impl FnOnce(&mut Inner)) {
        let (listener, parked) = {
            let mut inner = self.inner.lock();
            make(&mut inner);
            self.changed.notify_all();
            let go_on = inner.cancelled || self.takes_more(&inner);
            let parked = if go_on { inner.parked.take() } else { None };
            (inner.listener.clone(), parked)
        };
        if let Some(listener) = listener {
            listener();
        }
        if let Some(parked) = parked {
            parked.resume();
        }
    }

    /// Whether one more item may be sent. What a caller grants says nothing of what it takes: a window of any size is
    /// no leave to fill this process's memory.
    fn takes_more(&self, inner: &Inner) -> bool {
        inner.sent.has_room(inner.granted) && !self.congested.load(Ordering::Acquire)
    }

    /// There is room for its caller's answers again.
    pub(crate) fn eased(&self) {
        self.change(|_| ());
    }

    /// The caller cancelled the call or is gone.
    pub(crate) fn cancel(&self) {
        self.change(|inner| inner.cancelled = true);
    }

    /// The caller takes so much in all; less than before is not heard.
    pub(crate) fn grant(&self, granted: Amount) {
        self.change(|inner| inner.granted = inner.granted.max(granted));
    }

    /// An argument came, which has this position.
    pub(crate) fn push(&self, position: u32, item: &[u8], attachments: Attachments, held: Held) {
        self.change(|inner| {
            if matches!(inner.end, Some(Err(_))) {
                return;
            }
            let room = inner.allowed.items - inner.taken.items;
            let in_bounds = inner.come < inner.allowed.bytes.saturating_add(OVERTAKING);
            inner.come = inner.come.saturating_add((item.len() + attachments.bytes()) as u64);
            if !in_bounds || !inner.arguments.put(position, (item.into(), attachments, held), room) {
                inner.end =
                    Some(Err(Wrong::Broken("the caller sent an item twice, or more than it was granted")));
            }
        });
    }

    /// There is no room for an argument that came: there will be no more.
    pub(crate) fn refuse(&self, why: String) {
        self.change(|inner| {
            if !matches!(inner.end, Some(Err(_))) {
                inner.end = Some(Err(Wrong::Full(why)));
            }
        });
    }

    /// There are this many arguments.
    pub(crate) fn end(&self, count: u32) {
        self.change(|inner| {
            // Fewer than came, or more than may come.
            let to_come = u64::from(count.wrapping_sub(inner.arguments.position()));
            let fits = to_come <= inner.allowed.items - inner.taken.items;
            inner.end.get_or_insert(if fits { Ok(count) } else { Err(Wrong::Broken(MISFIT)) });
        });
    }

    /// Whether the caller cancelled the call or is gone.
    pub fn cancelled(&self) -> bool {
        self.inner.lock().cancelled
    }

    /// Whether the caller takes one more item now.
    pub fn may_send(&self) -> bool {
        self.takes_more(&self.inner.lock())
    }

    /// Counts an item of so many bytes as sent; its position.
    pub(crate) fn send(&self, bytes: u64) -> u64 {
        let mut inner = self.inner.lock();
        inner.sent.add(bytes);
        inner.sent.items - 1
    }

    /// Items of the answer that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.inner.lock().sent.items
    }

    /// Tells `listener` of every change from now on; the caller then looks once, for what came before.
    pub fn listen(&self, listener: Listener) {
        self.inner.lock().listener = Some(listener);
    }

    /// Forgets who listens.
    pub fn unlisten(&self) {
        self.inner.lock().listener = None;
    }

    /// Keeps arguments as they are taken, from now on.
    pub(crate) fn keep(&self) {
        self.inner.lock().kept.get_or_insert_default();
    }

    /// How many arguments were taken, and the first of them, if they were kept.
    pub(crate) fn kept(&self) -> (u64, FirstItems) {
        let mut inner = self.inner.lock();
        (inner.taken.items, inner.kept.take().unwrap_or_default())
    }

    /// The next argument if it is here; and, now and then, what the caller is to be granted for it.
    pub(crate) fn take(&self) -> (Argument, Option<Amount>) {
        Self::take_locked(&mut self.inner.lock())
    }

    /// Like [`take`](Self::take), but waits up to `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> (Argument, Option<Amount>) {
        let mut inner = self.inner.lock();
        let found = Self::take_locked(&mut inner);
        if found.0 != Argument::Later {
            return found;
        }
        Self::take_locked(&mut self.changed.wait_for(inner, patience))
    }

    fn take_locked(inner: &mut Inner) -> (Argument, Option<Amount>) {
        if inner.cancelled {
            return (Argument::Cancelled, None);
        }
        let at_end = inner.end == Some(Ok(inner.arguments.position()));
        if at_end && !inner.arguments.is_empty() {
            inner.end = Some(Err(Wrong::Broken(MISFIT)));
        }
        let next = if at_end { None } else { inner.arguments.take() };
        if let Some((item, attachments, _held)) = next {
            if let Some(kept) = &mut inner.kept {
                kept.add(inner.taken.items, &item);
            }
            inner.taken.add((item.len() + attachments.bytes()) as u64);
            // Granted by halves of the window, so that a fast caller never waits for a slow grant.
            let (allowed, taken) = (inner.allowed, inner.taken);
            let due = allowed.items - taken.items <= UPLOAD_WINDOW / 2
                || allowed.bytes.saturating_sub(taken.bytes) <= STREAM_WINDOW_BYTES / 2;
            let grant = inner.end.is_none() && due;
            if grant {
                inner.allowed = Amount {
                    items: taken.items + UPLOAD_WINDOW,
                    bytes: taken.bytes.saturating_add(STREAM_WINDOW_BYTES),
                };
            }
            return (Argument::Item(item, attachments), grant.then_some(inner.allowed));
        }
        let argument = match &inner.end {
            Some(Ok(count)) if *count == inner.arguments.position() => Argument::End,
            None | Some(Ok(_)) => Argument::Later,
            Some(Err(Wrong::Broken(reason))) => Argument::Broken(reason),
            Some(Err(Wrong::Full(reason))) => Argument::Full(reason.clone()),
        };
        (argument, None)
    }

    /// Keeps the call until it may go on; gives it back if it may already.
    pub(crate) fn park(&self, call: Box<dyn Parked>) -> Option<Box<dyn Parked>> {
        let mut inner = self.inner.lock();
        if inner.cancelled || self.takes_more(&inner) {
            return Some(call);
        }
        inner.parked = Some(call);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Counts(Arc<AtomicUsize>);

    impl Parked for Counts {
        fn resume(self: Box<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn room(items: u64) -> Amount {
        Amount { items, bytes: 1000 }
    }

    #[test]
    fn arguments_come_in_order_and_are_granted_as_they_are_taken() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        for number in 0..UPLOAD_WINDOW {
            call.push(number as u32, &[number as u8], Attachments::default(), Held::default());
        }
        let mut grants = Vec::new();
        for number in 0..UPLOAD_WINDOW {
            let (argument, grant) = call.take();
            assert_eq!(argument, Argument::Item(Box::new([number as u8]), Attachments::default()));
            grants.extend(grant.map(|grant| grant.items));
        }
        assert_eq!(grants, [UPLOAD_WINDOW / 2 + UPLOAD_WINDOW, 2 * UPLOAD_WINDOW]);
        assert_eq!(call.take().0, Argument::Later);
        call.end(UPLOAD_WINDOW as u32);
        assert_eq!(call.take().0, Argument::End);
        call.end(0);
        assert_eq!(call.take().0, Argument::End, "there is one end");
    }

    #[test]
    fn the_end_waits_for_items_that_it_has_overtaken() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        call.end(2);
        call.push(1, &[1], Attachments::default(), Held::default());
        assert_eq!(call.take().0, Argument::Later);
        call.push(0, &[0], Attachments::default(), Held::default());
        let taken = [call.take().0, call.take().0, call.take().0];
        let item = |byte| Argument::Item([byte].into(), Attachments::default());
        assert_eq!(taken, [item(0), item(1), Argument::End]);
    }

    #[test]
    fn more_than_was_granted_ends_the_arguments() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        for number in 0..=UPLOAD_WINDOW {
            call.push(number as u32, &[], Attachments::default(), Held::default());
        }
        for _ in 0..UPLOAD_WINDOW {
            assert!(matches!(call.take().0, Argument::Item(..)));
        }
        assert!(matches!(call.take().0, Argument::Broken(_)));
    }

    #[test]
    fn a_parked_call_goes_on_once_when_it_may() {
        let (call, resumed) = (Ongoing::new(room(1), false, Arc::default()), Arc::new(AtomicUsize::new(0)));
        let parked = || Box::new(Counts(Arc::clone(&resumed)));
        assert!(call.park(parked()).is_some(), "it may send one");
        assert_eq!(call.send(5), 0);
        assert!(call.park(parked()).is_none());
        call.grant(room(1));
        assert_eq!(resumed.load(Ordering::Relaxed), 0, "no more than before");
        call.grant(room(2));
        call.cancel();
        assert_eq!(resumed.load(Ordering::Relaxed), 1);
        assert!(call.park(parked()).is_some(), "it is cancelled");
    }

    #[test]
    fn an_item_goes_while_fewer_bytes_were_sent_than_granted() {
        let call = Ongoing::new(Amount { items: 10, bytes: 100 }, false, Arc::default());
        for bytes in [99, 5_000_000_000] {
            assert!(call.may_send(), "also one that passes the bytes");
            call.send(bytes);
        }
        assert!(!call.may_send());
        call.grant(Amount { items: 0, bytes: 5_000_000_099 });
        assert!(!call.may_send(), "as many as were sent");
        call.grant(Amount { items: 0, bytes: 5_000_000_100 });
        assert!(call.may_send());
    }

    #[test]
    fn a_caller_that_leaves_its_answers_lying_gets_no_more_whatever_it_grants() {
        let congested = Arc::new(AtomicBool::new(false));
        let call = Ongoing::new(Amount { items: u64::MAX, bytes: u64::MAX }, false, Arc::clone(&congested));
        let resumed = Arc::new(AtomicUsize::new(0));
        assert!(call.may_send());
        congested.store(true, Ordering::Release);
        assert!(!call.may_send());
        assert!(call.park(Box::new(Counts(Arc::clone(&resumed)))).is_none());
        call.grant(Amount { items: u64::MAX, bytes: u64::MAX });
        assert_eq!(resumed.load(Ordering::Relaxed), 0, "nothing was taken by that");
        congested.store(false, Ordering::Release);
        call.eased();
        assert_eq!(resumed.load(Ordering::Relaxed), 1);
        assert!(call.may_send());
    }

    #[test]
    fn an_end_that_does_not_fit_is_said_at_once() {
        for (count, fits) in
            [(0, false), (1, false), (2, true), (3, true), (2 + UPLOAD_WINDOW as u32 + 1, false)]
        {
            let call = Ongoing::new(Amount::default(), true, Arc::default());
            for position in 0..2 {
                call.push(position, &[], Attachments::default(), Held::default());
                assert!(matches!(call.take().0, Argument::Item(..)));
            }
            call.end(count);
            assert_eq!(!matches!(call.take().0, Argument::Broken(_)), fits, "{count}");
        }
    }

    #[test]
    fn what_comes_beyond_the_end_is_no_argument() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        for position in 0..3 {
            call.push(position, &[], Attachments::default(), Held::default());
        }
        call.end(1);
        assert!(matches!(call.take().0, Argument::Item(..)));
        assert!(matches!(call.take().0, Argument::Broken(_)));
    }

    #[test]
    fn what_has_come_is_taken_before_it_is_said_that_there_is_no_room() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        call.push(0, &[7], Attachments::default(), Held::default());
        call.refuse("full".into());
        call.push(1, &[8], Attachments::default(), Held::default());
        assert_eq!(call.take().0, Argument::Item([7].into(), Attachments::default()));
        assert_eq!(call.take().0, Argument::Full("full".into()));
    }

    #[test]
    fn large_arguments_are_granted_by_their_bytes() {
        let call = Ongoing::new(Amount::default(), true, Arc::default());
        let half = vec![0; STREAM_WINDOW_BYTES as usize / 2];
        call.push(0, &half, Attachments::default(), Held::default());
        call.push(1, &half, Attachments::default(), Held::default());
        let taken = |call: &Ongoing| call.take().1.map(|amount| amount.bytes);
        assert_eq!(taken(&call), Some(STREAM_WINDOW_BYTES * 3 / 2));
        assert_eq!(taken(&call), Some(STREAM_WINDOW_BYTES * 2));
        call.push(2, &vec![0; 10 * STREAM_WINDOW_BYTES as usize], Attachments::default(), Held::default());
        call.push(3, &[0], Attachments::default(), Held::default());
        assert!(matches!(call.take().0, Argument::Item(..)), "one may pass the bytes");
        assert!(matches!(call.take().0, Argument::Broken(_)), "and none may follow it");
    }
}
