//! Calls that stream: items in, arguments out, or both.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use pycrust_protocol::Code;
use pycrust_protocol::control::put_request_head;
use pycrust_protocol::header::{Common, Credit, RequestHeader, flags};
use pycrust_protocol::limits::STREAM_WINDOW_BYTES;
use pycrust_transport::{Link, SendError};
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Sleep, sleep_until};

use crate::buffers;
use crate::call::{self, Failure, Finished, Outgoing};
use crate::calls::{Amount, Body, End, Next};
use crate::client::Encoded;
use crate::error::Error;
use crate::session::Session;

/// Bytes of method and metadata with which a call still fits into a small frame.
const MAX_OPENING_LEN: usize = 3 * 1024;

/// Arguments as they are sent: MessagePack, or why they can't be.
pub(crate) type Arguments = Pin<Box<dyn Stream<Item = Result<Encoded, Error>> + Send>>;

/// A call that is being opened.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Open, Error>> + Send>>;

/// A call that streams and was sent.
pub(crate) struct Open {
    session: Arc<Session>,
    id: u64,
    method: String,
    started_ns: u64,
    /// When its time is over, and how much that was.
    deadline: Option<(Pin<Box<Sleep>>, Error)>,
    /// What comes before more is granted.
    window: Amount,
    taken: Amount,
    granted: Amount,
    /// What is still to be sent.
    upload: Option<Upload>,
    /// The worker can send, or be sent, more once this has come.
    room: Option<Pin<Box<OwnedNotified>>>,
    /// Whether the slot is another's.
    done: bool,
}

struct Upload {
    arguments: Arguments,
    sent: Amount,
    /// What found no room, with its flags.
    pending: Option<(u8, Encoded)>,
}

/// What a call gives.
pub(crate) enum Event {
    Item(Body),
    Answer(Finished),
}

impl Open {
    /// Opens a call on a connection.
    pub(crate) async fn new(
        session: &Arc<Session>,
        call: &mut Outgoing<'_>,
        arguments: &mut Option<Arguments>,
    ) -> Result<Self, Failure> {
        let mut guard = call::begin(session, call).await?;
        let window = Amount { items: call.window.into(), bytes: STREAM_WINDOW_BYTES };
        if arguments.is_some() && call.method.len() + call.metadata.len() > MAX_OPENING_LEN {
            // A large frame could be overtaken by the arguments that follow it.
            let reason = format!(
                "a call with a stream of arguments takes at most {MAX_OPENING_LEN} bytes of metadata"
            );
            return Err(Failure::Failed(Error::of_call(Code::InvalidArgument, call.method, reason)));
        }
        session.calls.lock().stream(guard.id, window);
        call::send(session, call, &mut guard).await?;
        call::ensure_driver(session, call)?;
        session.drivers.keep_ticking();
        guard.done = true;
        let upload =
            arguments.take().map(|arguments| Upload { arguments, sent: Amount::default(), pending: None });
        Ok(Self {
            session: Arc::clone(session),
            id: guard.id,
            method: call.method.to_owned(),
            started_ns: call.started_ns,
            deadline: call.deadline().map(|at| {
                let reason = format!("not ended within {:?}", call.timeout);
                let error = Error::of_call(Code::DeadlineExceeded, call.method, reason).maybe_run();
                (Box::pin(sleep_until(at)), error)
            }),
            window,
            taken: Amount::default(),
            granted: window,
            upload,
            room: None,
            done: false,
        })
    }

    /// The next event. After an error or the answer there is none.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        let coop = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        if let Some((sleep, error)) = &mut self.deadline
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(error.clone()));
        }
        self.feed(cx)?;
        let mut next = self.session.calls.lock().next(self.id, cx.waker());
        if next.is_none() && self.session.link.ready() {
            self.session.drain();
            next = self.session.calls.lock().next(self.id, cx.waker());
        }
        let event = match next {
            Some(Next::Item(item)) => {
                self.taken.items += 1;
                self.taken.bytes += item.bytes();
                self.grant(cx);
                Ok(Event::Item(item))
            }
            Some(Next::Answer(answer)) => {
                self.finished();
                Ok(Event::Answer(call::finish(&self.session, &self.method, self.started_ns, self.id, answer)))
            }
            Some(Next::End(End { code, reason })) => {
                self.finished();
                Err(Error::of_call(code, &self.method, &*reason).maybe_run())
            }
            None => {
                self.grant(cx);
                return Poll::Pending;
            }
        };
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
            let Encoded { payload, mut attachments } = argument;
            let mut head = buffers::take();
            put_request_head(&mut head, self.id, &self.method, payload.len());
            let body_len = (head.len() + payload.len()) as u32;
            let count = attachments.len() as u32;
            let common = Common { flags: flag, body_len, attachments: count, ..Common::default() };
            let stream_seq = upload.sent.items as u32;
            let header = RequestHeader { common, stream_seq, ..RequestHeader::default() }.encode();
            let session = Arc::clone(&self.session);
            let parts = [&head[..], &payload];
            let sent = self.try_send(cx, || session.link.send_with(&header, &parts, &mut attachments))?;
            let Some(upload) = &mut self.upload else { return Ok(()) };
            if !sent {
                upload.pending = Some((flag, Encoded { payload, attachments }));
                return Ok(());
            }
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
    pub(crate) async fn answer(mut self) -> Result<Finished, Error> {
        loop {
            // An item would be one that nobody asked for.
            if let Event::Answer(finished) = poll_fn(|cx| self.poll(cx)).await? {
                return Ok(finished);
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.done {
            self.session.give_up(self.id, true);
        }
    }
}

/// A streamed answer: each item as it comes, then the end or one error.
///
/// It is a [`Stream`]; [`next`](Self::next) does without that trait. The call is made when it is first polled.
/// A worker sends no more items than the call's window before they are taken, and none beyond 16 MiB and one item, so
/// a slow reader slows its handler down. Dropping the stream cancels the call.
pub struct Streaming<R> {
    state: State,
    method: String,
    version: u32,
    decode: Decode<R>,
}

/// How an item is read.
pub(crate) type Decode<R> = fn(&str, &Body) -> Result<R, Error>;

enum State {
    Opening(Opening),
    Open(Open),
    /// One item, then the end.
    Single(Finished),
    Ended,
}

impl<R> Streaming<R> {
    pub(crate) fn new(method: &str, opening: Opening, decode: Decode<R>) -> Self {
        Self { state: State::Opening(opening), method: method.to_owned(), version: 0, decode }
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`](crate::RpcClient::call), once; then the stream has ended.
    pub async fn next(&mut self) -> Option<Result<R, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The handler version that ended the stream; 0 before its end.
    pub fn version(&self) -> u32 {
        self.version
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R, Error>>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match std::task::ready!(opening.as_mut().poll(cx)) {
                    Ok(open) => self.state = State::Open(open),
                    Err(error) => {
                        self.state = State::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                State::Open(open) => {
                    let event = std::task::ready!(open.poll(cx));
                    match event {
                        Ok(Event::Item(item)) => {
                            let value = (self.decode)(&self.method, &item);
                            buffers::give(item.payload);
                            if value.is_err() {
                                self.state = State::Ended;
                            }
                            return Poll::Ready(Some(value));
                        }
                        Ok(Event::Answer(finished)) => {
                            self.version = finished.header.version;
                            self.state = State::Ended;
                            if finished.status != Code::Ok {
                                let payload = &finished.body.payload;
                                return Poll::Ready(Some(Err(Error::answered(
                                    finished.status,
                                    &self.method,
                                    payload,
                                ))));
                            }
                            // A handler that does not stream answers with one item and the end in one.
                            if finished.header.common.flags & flags::STREAM == 0 {
                                self.state = State::Single(finished);
                            }
                        }
                        Err(error) => {
                            self.state = State::Ended;
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                State::Single(finished) => {
                    let value = (self.decode)(&self.method, &finished.body);
                    self.state = State::Ended;
                    return Poll::Ready(Some(value));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<R> Stream for Streaming<R> {
    type Item = Result<R, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<R> fmt::Debug for Streaming<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("method", &self.method).finish_non_exhaustive()
    }
}
