//! Calls that stream: items in, arguments out, or both.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use pycrust_protocol::Code;
use pycrust_protocol::control::put_request_head;
use pycrust_protocol::header::{Common, Credit, RequestHeader, flags};
use pycrust_protocol::limits::{STREAM_WINDOW_BYTES, UPLOAD_WINDOW};
use pycrust_transport::faults::reached;
use pycrust_transport::{SendError, monotonic_ns};
use tokio::sync::futures::OwnedNotified;

use crate::call::answer::Finished;
use crate::call::attempt::{self, Failure, Outgoing};
use crate::call::outgoing::Encoded;
use crate::connection::buffers;
use crate::connection::connector::inherited;
use crate::connection::in_flight::{Amount, Body, End, Next};
use crate::connection::session::Session;
use crate::connection::timer;
use crate::connection::waiting::Waiting;
use crate::error::Error;
use crate::telemetry::Observed;

/// Bytes of method and metadata with which a call still fits into a small frame.
const MAX_OPENING_LEN: usize = 3 * 1024;

/// Arguments as they are sent: MessagePack, or why they can't be.
pub(crate) type Arguments<'u> = Pin<Box<dyn Stream<Item = Result<Encoded, Error>> + Send + 'u>>;

/// A call that was opened, and the first that it gave if that was waited for.
pub(crate) struct Opened<'u> {
    pub(crate) open: Open<'u>,
    pub(crate) first: Option<Event>,
}

/// A call that streams and was sent.
pub(crate) struct Open<'u> {
    session: Arc<Session>,
    id: u64,
    method: String,
    started_ns: u64,
    /// When it was sent, if all of it has a limit; otherwise when it started.
    sent_ns: u64,
    limits: Limits,
    /// What comes before more is granted.
    window: Amount,
    taken: Amount,
    granted: Amount,
    /// What is still to be sent.
    upload: Option<Upload<'u>>,
    /// Arguments that were sent and may have to be sent again, to a worker that can take the call.
    kept: Option<VecDeque<Encoded>>,
    /// The worker can send, or be sent, more once this has come.
    room: Option<Pin<Box<OwnedNotified>>>,
    /// Whether the slot is another's.
    done: bool,
    /// Tells of the call, until it is answered.
    pub(crate) observed: Observed,
}

/// The times that a call that streams has.
struct Limits {
    /// All of it, and when that is over.
    timeout: Duration,
    expires_ns: Option<u64>,
    /// Without an item or an argument on its way.
    idle: Option<Duration>,
    /// Since when that is so; nothing while the caller does not wait.
    waits_since_ns: Option<u64>,
}

impl Limits {
    /// When to look at [`over`](Self::over) again, if nothing moves.
    fn next_ns(&self) -> Option<u64> {
        let idle = self.waits_since_ns.zip(self.idle);
        let idle_ns = idle.map(|(since, idle)| timer::later(since, idle));
        idle_ns.into_iter().chain(self.expires_ns).min()
    }

    /// Which of them is over, in words.
    fn over(&self) -> Option<String> {
        // The clock is not looked at for nothing.
        let now_ns = self.next_ns().map(|at| (at, monotonic_ns())).filter(|(at, now)| at <= now)?.1;
        if self.expires_ns.is_some_and(|at| at <= now_ns) {
            return Some(format!("not ended within {:?}", self.timeout));
        }
        self.idle.map(|idle| format!("nothing came or went for {idle:?} (idle_timeout)"))
    }
}

struct Upload<'u> {
    arguments: Arguments<'u>,
    sent: Amount,
    /// What found no room, with its flags.
    pending: Option<(u8, Encoded)>,
}

/// What a call gives.
pub(crate) enum Event {
    Item(Body),
    Answer(Finished),
}

impl<'u> Open<'u> {
    /// Opens a call on a connection.
    pub(crate) async fn new<W: Waiting>(
        waiting: &W,
        session: &Arc<Session>,
        call: &mut Outgoing<'_>,
        arguments: &mut Option<Arguments<'u>>,
    ) -> Result<Self, Failure> {
        let mut guard = attempt::begin(waiting, session, call).await?;
        let window = Amount { items: call.window.into(), bytes: STREAM_WINDOW_BYTES };
        if arguments.is_some() && call.method.len() + call.metadata.len() > MAX_OPENING_LEN {
            // A large frame could be overtaken by the arguments that follow it.
            let reason = format!(
                "a call with a stream of arguments takes at most {MAX_OPENING_LEN} bytes of metadata"
            );
            return Err(Failure::Failed(Error::of_call(Code::InvalidArgument, call.method, reason)));
        }
        session.calls.lock().stream(guard.id, window);
        attempt::send(waiting, session, call, &mut guard).await?;
        attempt::attend(waiting, session, call)?;
        session.drivers.keep_ticking();
        guard.done = true;
        let upload =
            arguments.take().map(|arguments| Upload { arguments, sent: Amount::default(), pending: None });
        let kept = (call.may_be_refused() && upload.is_some()).then(VecDeque::new);
        let (timeout, expires_ns, idle) = (call.timeout, call.expires_ns, call.idle_timeout);
        Ok(Self {
            session: Arc::clone(session),
            id: guard.id,
            method: call.method.to_owned(),
            started_ns: call.started_ns,
            sent_ns: call.sent_ns,
            limits: Limits { timeout, expires_ns, idle, waits_since_ns: None },
            window,
            taken: Amount::default(),
            granted: window,
            upload,
            kept,
            room: None,
            done: false,
            observed: mem::take(&mut call.observed),
        })
    }

    /// The arguments, from the first one on, of a call that was not taken.
    pub(crate) fn arguments_again(mut self) -> Option<Arguments<'u>> {
        let mut first = self.kept.take()?;
        let Some(Upload { arguments, pending, .. }) = self.upload.take() else {
            return Some(Box::pin(Again { first, rest: None }));
        };
        let ended = pending.as_ref().is_some_and(|(flag, _)| *flag == flags::UPLOAD_END);
        first.extend(pending.filter(|_| !ended).map(|(_, argument)| argument));
        Some(Box::pin(Again { first, rest: Some(arguments).filter(|_| !ended) }))
    }

    /// When to poll again, if nothing comes.
    pub(crate) fn limit_ns(&self) -> Option<u64> {
        self.limits.next_ns()
    }

    /// The next event, waited for.
    pub(crate) async fn event<W: Waiting>(&mut self, waiting: &W) -> Result<Event, Error> {
        loop {
            let limit_ns = self.limit_ns();
            // Once polled, there may be a limit, or another one.
            let event = poll_fn(|cx| match self.poll(cx) {
                Poll::Pending if self.limit_ns() != limit_ns => Poll::Ready(None),
                polled => polled.map(Some),
            });
            if let Some(Some(event)) = waiting.until(limit_ns, event).await {
                return event;
            }
        }
    }

    /// The next event. After an error or the answer there is none.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        self.poll_event(cx).map(|event| match event {
            Ok(Event::Answer(finished)) => {
                Ok(Event::Answer(finished.observed(mem::take(&mut self.observed))))
            }
            Err(error) => {
                self.observed.failed(&error);
                Err(error)
            }
            item => item,
        })
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        if !self.session.is_here() {
            return Poll::Ready(Err(inherited(&self.method)));
        }
        let coop = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        if let Some(late) = self.limits.over() {
            let known = attempt::progress(&self.session, self.id, self.sent_ns);
            let reason = format!("{late}; {known}");
            let error = Error::of_call(Code::DeadlineExceeded, &self.method, reason).maybe_run();
            return Poll::Ready(Err(error));
        }
        self.feed(cx)?;
        let mut next = self.session.calls.lock().next(self.id, cx.waker());
        if next.is_none() && self.session.link.ready() {
            self.session.drain();
            next = self.session.calls.lock().next(self.id, cx.waker());
        }
        let event = match next {
            Some(Next::Item(item)) => {
                self.kept = None;
                self.taken.items += 1;
                self.taken.bytes += item.bytes();
                self.grant(cx);
                Ok(Event::Item(item))
            }
            Some(Next::Answer(answer)) => {
                self.finished();
                Ok(Event::Answer(attempt::finish(
                    &self.session,
                    &self.method,
                    self.started_ns,
                    self.id,
                    answer,
                )))
            }
            Some(Next::End(End { code, reason })) => {
                self.finished();
                Err(Error::of_call(code, &self.method, &*reason).maybe_run())
            }
            // Dropped, it cancels the call.
            Some(Next::Broken(reason)) => {
                Err(Error::of_call(Code::Internal, &self.method, reason).maybe_run())
            }
            None => {
                self.grant(cx);
                if self.limits.idle.is_some() {
                    self.limits.waits_since_ns.get_or_insert_with(monotonic_ns);
                }
                return Poll::Pending;
            }
        };
        self.limits.waits_since_ns = None;
        coop.made_progress();
        Poll::Ready(event)
    }

    fn finished(&mut self) {
        self.done = true;
        self.session.slot_is_free();
    }

    /// Lets the worker send more once half of what it may send was taken.
    fn grant(&mut self, cx: &mut Context<'_>) {
        let Self { taken, granted, window, .. } = *self;
        if granted.items - taken.items > window.items / 2
            && granted.bytes.saturating_sub(taken.bytes) > window.bytes / 2
        {
            return;
        }
        let granted =
            Amount { items: taken.items + window.items, bytes: taken.bytes.saturating_add(window.bytes) };
        let credit =
            Credit { id: self.id, granted: granted.items, bytes: granted.bytes, ..Credit::default() };
        // Before the frame: an item may come at once.
        self.session.calls.lock().grant(self.id, granted);
        let session = Arc::clone(&self.session);
        if matches!(self.try_send(cx, || session.link.send(&credit.encode(), &[])), Ok(true)) {
            self.granted = granted;
            reached("stream.granted");
        }
    }

    /// Sends if there is room; otherwise the task is woken when there is. An end is found elsewhere.
    fn try_send(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut() -> Result<(), SendError>,
    ) -> Result<bool, Error> {
        loop {
            if let Some(room) = &mut self.room {
                if room.as_mut().poll(cx).is_pending() {
                    return Ok(false);
                }
                self.room = None;
            }
            // Made before the attempt: room that comes after it is not missed.
            let mut room = Box::pin(Arc::clone(&self.session.room).notified_owned());
            room.as_mut().enable();
            match send() {
                Ok(()) => return Ok(true),
                Err(SendError::Full) => self.room = Some(room),
                Err(SendError::Gone) => {
                    let reason = format!("the worker (pid {}) is gone", self.session.link.welcome().pid);
                    self.session.end_after_draining(Code::Unavailable, &reason);
                    return Ok(false);
                }
                Err(error) => {
                    return Err(
                        Error::of_call(Code::InvalidArgument, &self.method, error.to_string()).maybe_run()
                    );
                }
            }
        }
    }

    /// Sends arguments as far as the worker takes them.
    fn feed(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Some(upload) = &mut self.upload {
            let (flag, argument) = match upload.pending.take() {
                Some(pending) => pending,
                None => {
                    let allowed = self.session.calls.lock().allowed(self.id);
                    if allowed.items > UPLOAD_WINDOW {
                        // It takes them, so it took the call.
                        self.kept = None;
                    }
                    if upload.sent.items >= allowed.items || upload.sent.bytes >= allowed.bytes {
                        return Ok(());
                    }
                    match upload.arguments.as_mut().poll_next(cx) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(Some(argument)) => (flags::STREAM_ITEM, argument?),
                        Poll::Ready(None) => (flags::UPLOAD_END, Encoded::default()),
                    }
                }
            };
            let bytes = argument.len() as u64;
            if let (Some(kept), flags::STREAM_ITEM) = (&mut self.kept, flag) {
                kept.push_back(argument.clone());
            }
            let Encoded { payload, mut arrays } = argument;
            let mut head = buffers::take();
            put_request_head(&mut head, self.id, &self.method, payload.len());
            let body_len = (head.len() + payload.len()) as u32;
            let count = arrays.len() as u32;
            let common = Common { flags: flag, body_len, attachments: count, ..Common::default() };
            let stream_seq = upload.sent.items as u32;
            let header = RequestHeader { common, stream_seq, ..RequestHeader::default() }.encode();
            let session = Arc::clone(&self.session);
            let parts = [&head[..], &payload];
            let send = || arrays.send(false, |arrays| session.link.send_with(&header, &parts, arrays));
            let sent = self.try_send(cx, send)?;
            let Some(upload) = &mut self.upload else { return Ok(()) };
            if !sent {
                if flag == flags::STREAM_ITEM {
                    self.kept.as_mut().map(VecDeque::pop_back);
                }
                upload.pending = Some((flag, Encoded { payload, arrays }));
                return Ok(());
            }
            self.limits.waits_since_ns = None;
            buffers::give(head);
            buffers::give(payload);
            upload.sent.items += 1;
            upload.sent.bytes += bytes;
            if flag == flags::UPLOAD_END {
                self.upload = None;
            }
        }
        Ok(())
    }

    /// The answer of a call that streams its arguments only.
    pub(crate) async fn answer<W: Waiting>(mut self, waiting: &W) -> Result<Finished, Error> {
        loop {
            // An item would be one that nobody asked for.
            if let Event::Answer(finished) = self.event(waiting).await? {
                return Ok(finished);
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.session.give_up(self.id, true);
        }
    }
}

/// Arguments that are sent again, and those that follow.
struct Again<'u> {
    first: VecDeque<Encoded>,
    rest: Option<Arguments<'u>>,
}

impl Stream for Again<'_> {
    type Item = Result<Encoded, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.pop_front() {
            return Poll::Ready(Some(Ok(first)));
        }
        match &mut self.rest {
            Some(rest) => rest.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}
