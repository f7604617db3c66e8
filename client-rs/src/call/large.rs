//! Large frames: first the worker opens the shared memory for them, then they are copied, aside.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::{Block, SendError, monotonic_ns};

use crate::call::attempt::{self, Attempt, Failure, Outgoing};
use crate::connection::session::Session;
use crate::connection::timer;
use crate::connection::waiting::{NotDone, Waiting};
use crate::error::Error;

/// How long the worker may take to open the shared memory for large frames.
const PATIENCE: Duration = Duration::from_secs(5);

/// A frame that is sent by another thread than the one that waits for it.
struct Sending {
    session: Arc<Session>,
    id: u64,
    sent: bool,
}

impl Sending {
    fn ends(mut self, sent: bool) {
        self.sent = sent;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.sent {
            // No answer will free the slot.
            self.session.calls.lock().not_sent(self.id);
            self.session.slot_is_free();
        }
    }
}

/// Sends a large frame.
pub(crate) async fn send<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &mut Outgoing<'_>,
    id: u64,
    head: &[u8],
    len: usize,
) -> Result<(), Attempt> {
    prepare(waiting, session, call, len).await?;
    let header = call.header(head.len() + call.payload.len()).map_err(Attempt::Failure)?;
    let keep = call.keeps_arrays(session);
    let (link, head) = (Arc::clone(&session.link), head.to_vec());
    let (payload, metadata) = (std::mem::take(&mut call.payload), call.metadata.clone());
    let mut arrays = std::mem::take(&mut call.arrays);
    let sending = Sending { session: Arc::clone(session), id, sent: false };
    let (sent, payload, arrays) = aside(waiting, call, move || {
        let parts = [&head[..], &payload, &metadata];
        let sent = arrays.send(keep, |arrays| link.send_with(&header.encode(), &parts, arrays));
        sending.ends(sent.is_ok());
        (sent, payload, arrays)
    })
    .await?;
    (call.payload, call.arrays) = (payload, arrays);
    sent.map_err(Attempt::Sending)?;
    session.sent_large.fetch_max(len, Ordering::Release);
    Ok(())
}

/// Memory for arrays that are built in place.
pub(crate) async fn block<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &Outgoing<'_>,
    len: usize,
) -> Result<Result<Block, SendError>, Attempt> {
    prepare(waiting, session, call, len).await?;
    let link = Arc::clone(&session.link);
    let block = aside(waiting, call, move || link.block(len)).await?;
    if block.is_ok() {
        session.sent_large.fetch_max(len, Ordering::Release);
    }
    Ok(block)
}

/// Sees to it that the worker has opened the shared memory for large frames.
async fn prepare<W: Waiting>(
    waiting: &W,
    session: &Arc<Session>,
    call: &Outgoing<'_>,
    len: usize,
) -> Result<(), Attempt> {
    let patience_ns = timer::after(PATIENCE);
    let until_ns = call.expires_ns.map_or(patience_ns, |at| at.min(patience_ns));
    // Once one was sent, it has.
    while session.sent_large.load(Ordering::Acquire) == 0 {
        let mut read = pin!(session.control_read.notified());
        read.as_mut().enable();
        let link = Arc::clone(&session.link);
        if aside(waiting, call, move || link.prepare_bulk(len)).await?.map_err(Attempt::Sending)? {
            // Others wait for the same, and what they wait for was read here.
            session.control_read.notify_waiters();
            break;
        }
        attempt::attend(waiting, session, call).map_err(Attempt::Failure)?;
        if waiting.until(Some(until_ns), read).await.is_none() {
            return Err(failed(not_opened(session, call)));
        }
    }
    Ok(())
}

/// The error of a call whose worker did not open the memory for it.
fn not_opened(session: &Session, call: &Outgoing<'_>) -> Error {
    let known = attempt::condition(session, call.started_ns);
    let why = format!("the worker has not opened the shared memory for large arguments; {known}");
    match call.expires_ns {
        Some(at) if at <= monotonic_ns() => call.too_late(&why),
        _ => Error::of_call(Code::Unavailable, call.method, format!("{why} (it had {PATIENCE:?})")),
    }
}

fn failed(error: Error) -> Attempt {
    Attempt::Failure(Failure::Failed(error))
}

/// Does work aside, within the call's time.
async fn aside<W: Waiting, T: Send + 'static>(
    waiting: &W,
    call: &Outgoing<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Attempt> {
    let under_way = |error: Error| Attempt::UnderWay(Failure::Failed(error.maybe_run()));
    waiting.aside(call.expires_ns, work).await.map_err(|reason| match reason {
        NotDone::NoThread(error) => failed(Error::no_thread(call.method, &error)),
        NotDone::NotBegun => failed(call.too_late(
            "the threads on which this client sends large arguments were busy with those of other calls",
        )),
        NotDone::UnderWay => {
            under_way(call.too_late("copying its arguments into shared memory took longer than that"))
        }
        NotDone::Panicked => under_way(Error::of_call(Code::Internal, call.method, "sending panicked")),
    })
}
