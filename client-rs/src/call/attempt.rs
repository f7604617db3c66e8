//! One call on one connection: begin, send, wait, and what happens when its future is dropped.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::control::put_request_head;
use pycrust_protocol::header::{Common, RequestHeader, TraceContext, flags};
use pycrust_protocol::limits::{SMALL_SAMPLE_LEN, STREAM_WINDOW_BYTES};
use pycrust_protocol::name::RESERVED_PREFIX;
use pycrust_protocol::report::{REPORT_LEN, Report};
use pycrust_transport::faults::reached;
use pycrust_transport::{CallProgress, SendError, current_core, monotonic_ns};

use crate::call::answer::Finished;
use crate::call::large;
use crate::call::retries::never_sent;
use crate::call::slot::InFlight;
#[cfg(feature = "tower")]
use crate::call::slot::Reserved;
use crate::connection::buffers;
use crate::connection::in_flight::{Answer, End, NoSlot};
use crate::connection::session::Session;
use crate::connection::waiting::Waiting;
use crate::error::{Error, SCHEMA_MISMATCH};
use crate::options::WhenFull;
use crate::spin::Making;
use crate::telemetry::Observed;
use crate::tensor::arrays::Arrays;

/// Round trips told to the worker beside one request.
const REPORTS_BESIDE: usize = 4;

/// A frame with more than this to copy is copied on a thread that may block. The hand-over there and back costs 15 µs
/// or more, with a worker that polls in vain meanwhile; a mebibyte is copied into warm memory in 25 to 100 µs, about
/// as long as a task may keep its thread.
const INLINE_LEN: usize = (1 << 20) + (64 << 10);

/// A call as it is sent, once or, on a new connection, again.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a str,
    /// The arguments as MessagePack.
    pub(crate) payload: Vec<u8>,
    /// The arrays among them; those that were built in place go with the frame that is sent.
    pub(crate) arrays: Arrays,
    /// `CLOCK_MONOTONIC` before the arguments were encoded.
    pub(crate) started_ns: u64,
    /// The time that the caller gives it.
    pub(crate) timeout: Duration,
    /// When that is over; `None` is never.
    pub(crate) expires_ns: Option<u64>,
    /// When it was sent last, if its time is limited; otherwise when it started.
    pub(crate) sent_ns: u64,
    /// Bits of [`flags`].
    pub(crate) flags: u8,
    /// The hash of the schema that it is sent with; 0 is any.
    pub(crate) schema_pin: u64,
    /// The one that its caller was built against.
    pub(crate) built: u64,
    /// The text of that, if the caller has it: with it, the call can be sent with another hash.
    pub(crate) described: &'static str,
    /// How often it was, after a refusal.
    pub(crate) agreed: u32,
    pub(crate) trace: TraceContext,
    /// MessagePack; empty if there is none.
    pub(crate) metadata: Vec<u8>,
    /// Items that the caller takes before it grants more.
    pub(crate) window: u32,
    pub(crate) when_full: WhenFull,
    /// When its caller means to call again, on `CLOCK_MONOTONIC`; 0 if it has no pace.
    pub(crate) next_ns: u64,
    /// Whether it waits for a worker that can take it.
    pub(crate) wait_for_ready: bool,
    /// How long a call that streams may be silent.
    pub(crate) idle_timeout: Option<Duration>,
    /// Tells of it, until it is answered or another has the call.
    pub(crate) observed: Observed,
    /// The slot that was kept free for it.
    #[cfg(feature = "tower")]
    pub(crate) reserved: Option<Reserved>,
}

/// A call that got no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection ended before the call was sent: it can be sent on another.
    NotSent,
    /// The connection ended while the call was in flight.
    Lost(Error),
    /// The handler has another schema than the call is pinned to, so it did not run; the caller can compare the two.
    OtherSchema(Error),
    /// Anything else.
    Failed(Error),
}

impl Failure {
    /// The error, where the call is not made again.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NotSent => never_sent(""),
            Self::Lost(error) | Self::OtherSchema(error) | Self::Failed(error) => error,
        }
    }
}

impl Outgoing<'_> {
    /// The method's name, and the rest without it, for a call that outlives it.
    pub(crate) fn into_owned(self) -> (String, Outgoing<'static>) {
        let method = self.method.to_owned();
        (method, Outgoing { method: "", ..self })
    }

    /// The call with its method's name again.
    pub(crate) fn borrowed<'a>(&mut self, method: &'a str) -> Outgoing<'a> {
        Outgoing {
            method,
            payload: std::mem::take(&mut self.payload),
            arrays: std::mem::take(&mut self.arrays),
            metadata: std::mem::take(&mut self.metadata),
            observed: std::mem::take(&mut self.observed),
            #[cfg(feature = "tower")]
            reserved: self.reserved.take(),
            ..*self
        }
    }

    /// Whether its arrays stay, to be copied each time that it is sent.
    pub(crate) fn keeps_arrays(&self, session: &Session) -> bool {
        self.flags & flags::IDEMPOTENT != 0
            || self.may_be_refused() && self.arrays.built() && !session.has_answered(self.method)
    }

    /// Whether a worker may answer that it can't take the call, and the call then goes on.
    pub(crate) fn may_be_refused(&self) -> bool {
        self.wait_for_ready || !self.described.is_empty()
    }

    /// The answer, unless the call can go on although this worker, or this handler, could not take it.
    pub(crate) fn taken(&self, session: &Session, finished: Finished) -> Result<Finished, Failure> {
        if !self.may_be_refused() {
            return Ok(finished);
        }
        match finished.status {
            Code::Unavailable if self.wait_for_ready => {
                let error = finished.failure(self.method);
                if !error.may_have_run() {
                    return Err(Failure::Failed(error));
                }
            }
            Code::FailedPrecondition if self.schema_pin != 0 && !self.described.is_empty() => {
                let error = finished.failure(self.method);
                if error.exception() == Some(SCHEMA_MISMATCH) && !error.may_have_run() {
                    return Err(Failure::OtherSchema(error));
                }
            }
            _ => {}
        }
        if self.arrays.built() {
            session.answers(self.method);
        }
        Ok(finished)
    }

    /// The error of a call that did not even get sent in time, for this reason.
    pub(crate) fn too_late(&self, why: &str) -> Error {
        Error::of_call(
            Code::DeadlineExceeded,
            self.method,
            format!("not sent within {:?}: {why}", self.timeout),
        )
    }

    /// The header for sending now.
    pub(crate) fn header(&mut self, body_len: usize) -> Result<RequestHeader, Failure> {
        let deadline_ns = match self.expires_ns {
            None => 0,
            Some(at) => {
                self.sent_ns = monotonic_ns();
                match at.saturating_sub(self.sent_ns) {
                    0 => return Err(Failure::Failed(self.too_late("there was no time left"))),
                    left => left,
                }
            }
        };
        Ok(RequestHeader {
            common: Common {
                flags: self.flags,
                body_len: body_len as u32,
                metadata_len: self.metadata.len() as u32,
                attachments: self.arrays.len() as u32,
                ..Common::default()
            },
            deadline_ns,
            schema_pin: self.schema_pin,
            trace: self.trace,
            stream_credit: if self.flags & flags::STREAM != 0 { self.window } else { 0 },
            stream_seq: 0,
            core: current_core(),
            next_ns: self.next_ns.saturating_sub(self.sent_ns),
            stream_bytes: if self.flags & flags::STREAM != 0 { STREAM_WINDOW_BYTES } else { 0 },
        })
    }
}

/// Makes a call and waits for its answer.
pub(crate) async fn run<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &mut Outgoing<'_>,
) -> Result<Finished, Failure> {
    // The guard exists before the request is sent. In the other order, a future that is dropped in between
    // would leave a request that nobody cancels and a slot that nobody frees.
    #[cfg(feature = "tower")]
    let kept = call.reserved.take().and_then(|reserved| reserved.redeem(session));
    #[cfg(not(feature = "tower"))]
    let kept: Option<InFlight<'_>> = None;
    let mut guard = match kept {
        Some(guard) => guard,
        None => begin(waiting, session, call).await?,
    };
    let making = Making::begin(call.started_ns);
    let polls = waiting.may_poll(guard.alone, &making);
    let polls = if polls { session.spin.budget(call.started_ns) } else { None };
    send(waiting, session, call, &mut guard).await?;
    let answer = match session.answer_inline(guard.id, polls) {
        Some(answer) => {
            // Nothing was waited for: without this, a loop of quick calls would never let go of its thread.
            tokio::task::coop::consume_budget().await;
            answer
        }
        None => wait(waiting, session, call, guard.id).await?,
    };
    guard.done = true;
    reached("request.answered");
    match answer {
        Ok(answer) => Ok(finish(session, call.method, call.started_ns, guard.id, answer)),
        Err(End { code, reason }) => {
            Err(Failure::Lost(Error::of_call(code, call.method, &*reason).maybe_run()))
        }
    }
}

/// Sends a call that gets no answer.
pub(crate) async fn notify<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &mut Outgoing<'_>,
) -> Result<(), Failure> {
    let mut guard = begin(waiting, session, call).await?;
    send(waiting, session, call, &mut guard).await?;
    // No answer will free the slot.
    guard.sent = false;
    Ok(())
}

/// Finds a slot.
pub(crate) async fn begin<'a, W: Waiting>(
    waiting: &W,
    session: &'a Arc<Session>,
    call: &Outgoing<'_>,
) -> Result<InFlight<'a>, Failure> {
    let mut waited = false;
    loop {
        let freed = session.slot_freed.notified();
        let begun = {
            let mut calls = session.calls.lock();
            calls.begin(buffers::take()).map(|id| (id, calls.in_flight() == 1))
        };
        match begun {
            Ok((id, alone)) => {
                if waited && session.calls.lock().has_room() {
                    // Two slots freed at once wake one caller if neither of two slept yet.
                    session.slot_is_free();
                }
                reached("request.begun");
                return Ok(InFlight { session, id, sent: false, alone, done: false });
            }
            Err(NoSlot::Ended) => return Err(Failure::NotSent),
            Err(NoSlot::Full { limit, abandoned }) => {
                let full = no_slot(limit, abandoned);
                if call.when_full == WhenFull::Fail {
                    return Err(Failure::Failed(Error::of_call(Code::ResourceExhausted, call.method, full)));
                }
                waited = true;
                let _waiting = SlotWaiter::new(session);
                // Freed between the look and the announcement?
                if session.calls.lock().has_room() {
                    continue;
                }
                attend(waiting, session, call)?;
                let freed = Box::pin(waiting.until(call.expires_ns, freed)).await;
                freed.ok_or_else(|| Failure::Failed(call.too_late(&full)))?;
            }
        }
    }
}

/// Counts a caller that waits for a slot.
struct SlotWaiter<'a>(&'a Session);

impl<'a> SlotWaiter<'a> {
    fn new(session: &'a Session) -> Self {
        session.slot_waiters.fetch_add(1, Ordering::AcqRel);
        Self(session)
    }
}

impl Drop for SlotWaiter<'_> {
    fn drop(&mut self) {
        self.0.slot_waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sends the request, as soon as there is room for it.
pub(crate) async fn send<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &mut Outgoing<'_>,
    guard: &mut InFlight<'_>,
) -> Result<(), Failure> {
    let mut head = buffers::take();
    put_request_head(&mut head, guard.id, call.method, call.payload.len());
    let mut waited = false;
    loop {
        // Made before the attempt: an end that comes after it is not missed.
        let room = session.room.notified();
        let body_len = head.len() + call.payload.len() + call.metadata.len();
        let (attached, copied) = call.arrays.bytes();
        // From here on the worker may know of the call, also if sending panics.
        guard.sent = true;
        let len = body_len + attached;
        let sent = if len > SMALL_SAMPLE_LEN
            && (body_len + copied > INLINE_LEN || len > session.sent_large.load(Ordering::Acquire))
        {
            Box::pin(large::send(waiting, session, call, guard.id, &head, len)).await
        } else {
            send_small(session, call, &head)
        };
        let error = match sent {
            Ok(()) => {
                reached("request.sent");
                buffers::give(head);
                if waited {
                    // There may be room for the next sender too.
                    session.room.notify_one();
                }
                return Ok(());
            }
            Err(Attempt::Sending(error)) => error,
            Err(Attempt::Failure(failure)) => {
                guard.sent = false;
                return Err(failure);
            }
            Err(Attempt::UnderWay(failure)) => return Err(failure),
        };
        guard.sent = false;
        match error {
            SendError::Full => {
                waited = true;
                attend(waiting, session, call)?;
                let room = Box::pin(waiting.until(call.expires_ns, room)).await;
                room.ok_or_else(|| Failure::Failed(call.too_late(NO_ROOM)))?;
            }
            other => return Err(not_sent(session, call, &other)),
        }
    }
}

/// What is known of a call that found no room in time.
const NO_ROOM: &str = "the worker made no room for it; its threads are busy or wait for the interpreter";

/// What is known of a call that found no slot.
fn no_slot(limit: usize, abandoned: usize) -> String {
    format!(
        "all {limit} calls that this connection may have in flight are in flight, {abandoned} of them given up by \
         their callers and not yet answered"
    )
}

/// A frame could not be sent, and waiting would not help.
fn not_sent(session: &Session, call: &Outgoing<'_>, error: &SendError) -> Failure {
    let code = match error {
        SendError::Gone => {
            let pid = session.link.welcome().pid;
            session.end_after_draining(Code::Unavailable, &format!("the worker (pid {pid}) is gone"));
            return Failure::NotSent;
        }
        SendError::TooLarge { .. } => Code::InvalidArgument,
        SendError::NoMemory { .. } => Code::ResourceExhausted,
        _ => Code::Unavailable,
    };
    Failure::Failed(Error::of_call(code, call.method, error.to_string()))
}

/// An attempt at sending that did not succeed.
pub(crate) enum Attempt {
    Sending(SendError),
    Failure(Failure),
    /// It was given up while it went on: the frame may be sent.
    UnderWay(Failure),
}

/// Sends a frame right here.
fn send_small(session: &Session, call: &mut Outgoing<'_>, head: &[u8]) -> Result<(), Attempt> {
    let body_len = head.len() + call.payload.len();
    let mut header = call.header(body_len).map_err(Attempt::Failure)?;
    let mut tail = buffers::take();
    // Reports must not push a frame out of the small pool.
    let used = body_len + call.metadata.len() + call.arrays.bytes().0;
    let room = SMALL_SAMPLE_LEN.saturating_sub(used) / REPORT_LEN;
    let reports = session.calls.lock().take_reports(REPORTS_BESIDE.min(room), &mut tail);
    header.common.reports = reports as u32;
    let keep = call.keeps_arrays(session);
    let parts = [head, &call.payload, &call.metadata, &tail];
    let send = |attachments: &mut _| session.link.send_with(&header.encode(), &parts, attachments);
    let sent = call.arrays.send(keep, send);
    if sent.is_err() && reports > 0 {
        session.calls.lock().return_reports(&tail);
    }
    buffers::give(tail);
    sent.map_err(Attempt::Sending)
}

/// Waits asleep for the answer.
async fn wait<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &Outgoing<'_>,
    id: u64,
) -> Result<Result<Answer, End>, Failure> {
    attend(waiting, session, call)?;
    session.drivers.keep_ticking();
    let answer = poll_fn(|cx| match session.take_answer(id, Some(cx.waker())) {
        Some(answer) => Poll::Ready(answer),
        None => Poll::Pending,
    });
    if let Some(answer) = waiting.until(call.expires_ns, answer).await {
        return Ok(answer);
    }
    // It may have come while the driver had no thread to run on.
    session.drain();
    match session.take_answer(id, None) {
        Some(answer) => Ok(answer),
        None => Err(Failure::Failed(expired(session, call, id))),
    }
}

/// Sees to it that what comes on the connection is received while the call waits.
pub(crate) fn attend<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &Outgoing<'_>,
) -> Result<(), Failure> {
    let attended = waiting.attend(session);
    attended.map_err(|error| Failure::Failed(Error::not_waited_for(call.method, &error).maybe_run()))
}

/// What is known of a call whose time is over.
pub(crate) fn expired(session: &Session, call: &Outgoing<'_>, id: u64) -> Error {
    let (timeout, known) = (call.timeout, progress(session, id, call.sent_ns));
    Error::of_call(Code::DeadlineExceeded, call.method, format!("no answer within {timeout:?}; {known}"))
        .maybe_run()
}

/// What is known of a call that was sent then and has no answer.
pub(crate) fn progress(session: &Session, id: u64, sent_ns: u64) -> String {
    let pid = session.link.welcome().pid;
    let has_it = match session.link.progress(id) {
        _ if session.link.peer_exited() || session.link.peer_stopped() => return condition(session, sent_ns),
        CallProgress::Sent => return condition(session, sent_ns),
        CallProgress::Queued => {
            "it waits in the queue behind others, which are slow or wait for the interpreter"
        }
        CallProgress::WaitsForInterpreter => {
            "it waits for the Python interpreter, which something else holds there: a busy cell, an extension; or, for \
             an async handler, for its event loop"
        }
        CallProgress::Runs => {
            "its handler has begun and not ended: it is slow, or waits for something itself"
        }
    };
    format!("the worker (pid {pid}) has taken it up: {has_it}")
}

/// What is known of the worker, for somebody who has waited since then for it to take something up.
pub(crate) fn condition(session: &Session, since_ns: u64) -> String {
    let pid = session.link.welcome().pid;
    if session.link.peer_exited() {
        return format!("the worker (pid {pid}) has ended");
    }
    if session.link.peer_stopped() {
        return format!("the worker (pid {pid}) is stopped, by a signal (SIGSTOP, Ctrl-Z) or a debugger");
    }
    let heard_ns = session.heard_ns();
    if heard_ns > since_ns {
        return format!("the worker (pid {pid}) answers other calls, but has not taken this one up");
    }
    let silent = Duration::from_nanos(monotonic_ns().saturating_sub(heard_ns));
    format!(
        "the worker (pid {pid}) is silent: it lives, but has taken nothing up and said nothing for {silent:.1?}; it \
         hangs, or gets no processor"
    )
}

/// Takes the time and keeps it for the worker.
pub(crate) fn finish(session: &Session, method: &str, started_ns: u64, id: u64, answer: Answer) -> Finished {
    let Answer { header, status, body, metadata } = answer;
    let received_ns = monotonic_ns();
    if !method.starts_with(RESERVED_PREFIX) {
        let return_ns = received_ns.saturating_sub(header.common.sent_ns);
        let report = Report {
            id,
            round_trip_ns: received_ns.saturating_sub(started_ns),
            return_ns: u32::try_from(return_ns).unwrap_or(u32::MAX),
            method_key: header.method_key,
            version: header.version,
            status: status.into(),
        };
        session.calls.lock().report(report, received_ns);
        session.drivers.keep_ticking();
    }
    Finished { header, status, body, metadata, started_ns, received_ns, observed: Observed::default() }
}
