//! What a call hears after its first frame: that it is cancelled, how many items its caller takes, which
//! arguments follow.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use pycrust_protocol::limits::UPLOAD_WINDOW;
use pycrust_protocol::order::InOrder;
use pycrust_transport::Attachments;

use crate::items::FirstItems;

/// Told of every change, by whichever thread makes it; it must not block.
pub type Listener = Arc<dyn Fn() + Send + Sync>;

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
}

#[derive(Default)]
struct Inner {
    /// The caller cancelled the call or is gone.
    cancelled: bool,
    /// Items of the answer that the caller takes, in all.
    granted: u64,
    /// Items of the answer that were sent.
    sent: u64,
    /// Arguments that have come and were not taken.
    arguments: InOrder<(Box<[u8]>, Attachments)>,
    /// Arguments that were taken.
    taken: u64,
    /// The first of these, if they are wanted.
    kept: Option<FirstItems>,
    /// Arguments that the caller may send, in all.
    allowed: u64,
    /// How many arguments there are, or what the caller did wrong, once that is known.
    end: Option<Result<u32, &'static str>>,
    /// Who is told of changes.
    listener: Option<Listener>,
    /// The call itself, while no thread has it.
    parked: Option<Box<dyn Parked>>,
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
    /// The call was cancelled.
    Cancelled,
    /// Not yet.
    Later,
}

impl Ongoing {
    /// A call whose caller takes `credit` items of its answer; `uploads` says whether arguments follow.
    pub(crate) fn new(credit: u64, uploads: bool) -> Arc<Self> {
        let end = (!uploads).then_some(Ok(0));
        let inner = Inner { granted: credit, allowed: UPLOAD_WINDOW, end, ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new() })
    }

    /// Makes a change and tells everyone who waits for one.
    fn change(&self, make: impl FnOnce(&mut Inner)) {
        let (listener, parked) = {
            let mut inner = self.inner.lock();
            make(&mut inner);
            self.changed.notify_all();
            let go_on = inner.cancelled || inner.sent < inner.granted;
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

    /// The caller cancelled the call or is gone.
    pub(crate) fn cancel(&self) {
        self.change(|inner| inner.cancelled = true);
    }

    /// The caller takes this many items in all; fewer than before is not heard.
    pub(crate) fn grant(&self, granted: u64) {
        self.change(|inner| inner.granted = inner.granted.max(granted));
    }

    /// An argument came, which has this position.
    pub(crate) fn push(&self, position: u32, item: &[u8], attachments: Attachments) {
        self.change(|inner| {
            let room = inner.allowed - inner.taken;
            if !matches!(inner.end, Some(Err(_)))
                && !inner.arguments.put(position, (item.into(), attachments), room)
            {
                inner.end = Some(Err("the caller sent an item twice, or more than it was granted"));
            }
        });
    }

    /// There are this many arguments.
    pub(crate) fn end(&self, count: u32) {
        self.change(|inner| {
            inner.end.get_or_insert(Ok(count));
        });
    }

    /// Whether the caller cancelled the call or is gone.
    pub fn cancelled(&self) -> bool {
        self.inner.lock().cancelled
    }

    /// Whether the caller takes one more item now.
    pub fn may_send(&self) -> bool {
        let inner = self.inner.lock();
        inner.sent < inner.granted
    }

    /// Counts an item as sent; its position.
    pub(crate) fn send(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.sent += 1;
        inner.sent - 1
    }

    /// Items of the answer that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.inner.lock().sent
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
        (inner.taken, inner.kept.take().unwrap_or_default())
    }

    /// The next argument if it is here; and, now and then, what the caller is to be granted for it.
    pub(crate) fn take(&self) -> (Argument, Option<u64>) {
        Self::take_locked(&mut self.inner.lock())
    }

    /// Like [`take`](Self::take), but waits up to `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> (Argument, Option<u64>) {
        let mut inner = self.inner.lock();
        let found = Self::take_locked(&mut inner);
        if found.0 != Argument::Later {
            return found;
        }
        self.changed.wait_for(&mut inner, patience);
        Self::take_locked(&mut inner)
    }

    fn take_locked(inner: &mut Inner) -> (Argument, Option<u64>) {
        if inner.cancelled {
            return (Argument::Cancelled, None);
        }
        if let Some((item, attachments)) = inner.arguments.take() {
            if let Some(kept) = &mut inner.kept {
                kept.add(inner.taken, &item);
            }
            inner.taken += 1;
            // Granted by halves of the window, so that a fast caller never waits for a slow grant.
            let grant = inner.end.is_none() && inner.allowed - inner.taken <= UPLOAD_WINDOW / 2;
            if grant {
                inner.allowed = inner.taken + UPLOAD_WINDOW;
            }
            return (Argument::Item(item, attachments), grant.then_some(inner.allowed));
        }
        let argument = match inner.end {
            Some(Ok(count)) if count == inner.arguments.position() => Argument::End,
            None | Some(Ok(_)) => Argument::Later,
            Some(Err(reason)) => Argument::Broken(reason),
        };
        (argument, None)
    }

    /// Keeps the call until it may go on; gives it back if it may already.
    pub(crate) fn park(&self, call: Box<dyn Parked>) -> Option<Box<dyn Parked>> {
        let mut inner = self.inner.lock();
        if inner.cancelled || inner.sent < inner.granted {
            return Some(call);
        }
        inner.parked = Some(call);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counts(Arc<AtomicUsize>);

    impl Parked for Counts {
        fn resume(self: Box<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn arguments_come_in_order_and_are_granted_as_they_are_taken() {
        let call = Ongoing::new(0, true);
        for number in 0..UPLOAD_WINDOW {
            call.push(number as u32, &[number as u8], Attachments::default());
        }
        let mut grants = Vec::new();
        for number in 0..UPLOAD_WINDOW {
            let (argument, grant) = call.take();
            assert_eq!(argument, Argument::Item(Box::new([number as u8]), Attachments::default()));
            grants.extend(grant);
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
        let call = Ongoing::new(0, true);
        call.end(2);
        call.push(1, &[1], Attachments::default());
        assert_eq!(call.take().0, Argument::Later);
        call.push(0, &[0], Attachments::default());
        let taken = [call.take().0, call.take().0, call.take().0];
        let item = |byte| Argument::Item([byte].into(), Attachments::default());
        assert_eq!(taken, [item(0), item(1), Argument::End]);
    }

    #[test]
    fn more_than_was_granted_ends_the_arguments() {
        let call = Ongoing::new(0, true);
        for number in 0..=UPLOAD_WINDOW {
            call.push(number as u32, &[], Attachments::default());
        }
        for _ in 0..UPLOAD_WINDOW {
            assert!(matches!(call.take().0, Argument::Item(..)));
        }
        assert!(matches!(call.take().0, Argument::Broken(_)));
    }

    #[test]
    fn a_parked_call_goes_on_once_when_it_may() {
        let (call, resumed) = (Ongoing::new(1, false), Arc::new(AtomicUsize::new(0)));
        let parked = || Box::new(Counts(Arc::clone(&resumed)));
        assert!(call.park(parked()).is_some(), "it may send one");
        assert_eq!(call.send(), 0);
        assert!(call.park(parked()).is_none());
        call.grant(1);
        assert_eq!(resumed.load(Ordering::Relaxed), 0, "no more than before");
        call.grant(2);
        call.cancel();
        assert_eq!(resumed.load(Ordering::Relaxed), 1);
        assert!(call.park(parked()).is_some(), "it is cancelled");
    }
}
