//! One call that came: its arguments, and its answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pycrust_protocol::control::put_response_head;
use pycrust_protocol::header::{Common, Credit, RequestHeader, ResponseHeader, Stages, flags};
use pycrust_protocol::limits::{STREAM_WINDOW_BYTES, UPLOAD_WINDOW};
use pycrust_protocol::{Code, ErrorPayload, ValidationIssue};
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachments, monotonic_ns};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::call::outgoing::Encoded;
use crate::codec::{self, Token, token};
use crate::connection::in_flight::Amount;
use crate::connection::pipe::Pipe;
use crate::error::Error;
use crate::options::Encoding;
use crate::raw::Raw;
use crate::tensor::arrays::Arrays;
use crate::tensor::carried;

/// What a handler did.
pub(super) enum Done {
    /// It returned.
    Value(Encoded),
    /// It gave its items.
    Items,
}

/// A call that is not answered yet.
pub(super) struct Call {
    pub(super) link: Arc<Pipe>,
    pub(super) id: u64,
    pub(super) method: String,
    payload: Vec<u8>,
    attachments: Attachments,
    pub(super) flags: u8,
    pub(super) schema_pin: u64,
    pub(super) deadline: Option<Instant>,
    /// The handler's, once it is found.
    pub(super) version: u32,
    pub(super) schema_hash: u64,
    pub(super) flow: Flow,
    begun_ns: u64,
}

/// A value that came: MessagePack, and the arrays in it.
type Came = (Vec<u8>, Attachments);

/// What streams, either way.
pub(super) struct Flow {
    cancelled: AtomicBool,
    /// What may be sent of the answer.
    granted: Mutex<Amount>,
    sent: Mutex<Amount>,
    /// Arguments that came and were not taken; nothing is their end.
    came: Mutex<VecDeque<Option<Came>>>,
    taken: Mutex<Amount>,
    /// Told of everything.
    moved: Notify,
}

impl Flow {
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn grant(&self, items: u64, bytes: u64) {
        *self.granted.lock() = Amount { items, bytes };
        self.moved.notify_waiters();
    }

    pub(super) fn put(&self, argument: Option<Came>) {
        self.came.lock().push_back(argument);
        self.moved.notify_waiters();
    }

    /// Waits until `look` finds something.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            if let Some(found) = look() {
                return found;
            }
            moved.await;
        }
    }
}

impl Call {
    pub(super) fn new(
        link: &Arc<Pipe>,
        id: u64,
        method: &str,
        payload: Vec<u8>,
        attachments: Attachments,
        header: RequestHeader,
    ) -> Self {
        let left = Duration::from_nanos(header.deadline_ns);
        let granted = Amount { items: header.stream_credit.into(), bytes: header.stream_bytes };
        Self {
            link: Arc::clone(link),
            id,
            method: method.into(),
            payload,
            attachments,
            flags: header.common.flags,
            schema_pin: header.schema_pin,
            deadline: (header.deadline_ns > 0).then(|| Instant::now() + left),
            version: 0,
            schema_hash: 0,
            flow: Flow {
                cancelled: AtomicBool::new(false),
                granted: Mutex::new(granted),
                sent: Mutex::default(),
                came: Mutex::default(),
                taken: Mutex::default(),
                moved: Notify::new(),
            },
            begun_ns: monotonic_ns(),
        }
    }

    pub(super) fn key(&self) -> (u64, u64) {
        (self.link.id(), self.id)
    }

    /// The arguments, whatever they are.
    pub(super) fn arguments_as_they_are(&self) -> Raw {
        read(&self.payload, &self.attachments).unwrap_or_default()
    }

    /// The arguments. What comes as a list of one may be meant for a handler of one parameter.
    pub(super) fn arguments<A: DeserializeOwned>(&self) -> Result<A, Error> {
        argument(&self.payload, &self.attachments)
    }

    /// Whether its caller takes items, or gives them; the error if not.
    pub(super) fn demands(&self, flag: u8) -> Result<(), Error> {
        let reason = match flag {
            _ if self.flags & flag != 0 => return Ok(()),
            flags::STREAM => "this handler streams its answer: call it with stream()",
            _ => "this handler takes a stream of arguments: call it with upload() or exchange()",
        };
        Err(Error::new(Code::InvalidArgument, reason))
    }

    /// Sends an item of the answer, as soon as its caller takes more.
    pub(super) async fn give<T: Serialize>(&self, item: &T) -> Result<(), Error> {
        let item = encode(item)?;
        let flow = &self.flow;
        let position = flow
            .until(|| {
                let (granted, mut sent) = (*flow.granted.lock(), flow.sent.lock());
                let room = sent.items < granted.items && sent.bytes < granted.bytes;
                room.then(|| {
                    let position = sent.items;
                    (sent.items, sent.bytes) = (position + 1, sent.bytes + item.len() as u64);
                    position
                })
            })
            .await;
        self.send(Code::Ok, item, flags::STREAM_ITEM, position as u32);
        Ok(())
    }

    /// The next of the arguments that stream.
    pub(super) async fn next<T: DeserializeOwned>(&self) -> Option<Result<T, Error>> {
        let flow = &self.flow;
        let (payload, attachments) = flow
            .until(|| {
                let mut came = flow.came.lock();
                match came.front()? {
                    // It stays: whoever asks again is told again.
                    None => Some(None),
                    Some(_) => came.pop_front(),
                }
            })
            .await?;
        let granted = {
            let mut taken = flow.taken.lock();
            taken.items += 1;
            taken.bytes += (payload.len() + attachments.bytes()) as u64;
            Amount { items: taken.items + UPLOAD_WINDOW, bytes: taken.bytes + STREAM_WINDOW_BYTES }
        };
        let credit =
            Credit { id: self.id, granted: granted.items, bytes: granted.bytes, ..Credit::default() };
        let _ = self.link.answer(credit.encode(), &[], &mut Vec::new());
        Some(argument(&payload, &attachments))
    }

    /// Answers.
    pub(super) fn respond(&self, outcome: Result<Done, Error>) {
        self.link.note(self.id, None);
        if self.flags & flags::ONE_WAY != 0 {
            return;
        }
        let sent = self.flow.sent.lock().items as u32;
        match outcome {
            Ok(Done::Value(value)) => self.send(Code::Ok, value, 0, sent),
            Ok(Done::Items) => self.send(Code::Ok, Encoded::default(), flags::STREAM, sent),
            Err(error) => {
                let payload = Encoded { payload: error.payload().encode(), arrays: Arrays::default() };
                self.send(error.code(), payload, flags::STREAM & self.flags, sent);
            }
        }
    }

    fn send(&self, status: Code, body: Encoded, flags: u8, stream_seq: u32) {
        let Encoded { payload, mut arrays } = body;
        let mut head = Vec::new();
        put_response_head(&mut head, self.id, status, payload.len());
        let common = Common {
            flags,
            body_len: (head.len() + payload.len()) as u32,
            attachments: arrays.len() as u32,
            sent_ns: monotonic_ns(),
            ..Common::default()
        };
        let header = ResponseHeader {
            common,
            version: self.version,
            method_key: 0,
            stream_seq,
            schema_hash: self.schema_hash,
            stages: Stages { handler_ns: monotonic_ns() - self.begun_ns, ..Stages::default() },
        };
        let sent = arrays.send(true, |arrays| self.link.answer(header.encode(), &[&head, &payload], arrays));
        if let Err(error) = sent {
            let reason = format!("the answer can't be sent: {error}");
            let error = Error::new(Code::ResourceExhausted, reason).maybe_run();
            self.respond(Err(error));
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8], attachments: &Attachments) -> Result<T, codec::Error> {
    carried::giving(attachments, || codec::read(payload))
}

/// One value that came.
fn argument<A: DeserializeOwned>(payload: &[u8], attachments: &Attachments) -> Result<A, Error> {
    let mut at = 0;
    let one = matches!(token(payload, &mut at), Ok(Token::Array(1)));
    read(payload, attachments)
        .or_else(|error| if one { read(&payload[at..], attachments).map_err(|_| error) } else { Err(error) })
        .map_err(|error| {
            let name = std::any::type_name::<A>();
            let issue = ValidationIssue::new(error.location(), "value_error", error.reason());
            let payload = ErrorPayload {
                exception: "pydantic_core._pydantic_core.ValidationError".into(),
                details: rmp_serde::to_vec_named(&[issue]).unwrap_or_default(),
                ..ErrorPayload::message(format!("the arguments are no {name}: {error}"))
            };
            Error::from_parts(Code::InvalidArgument, "", payload)
        })
}

/// A result as it is sent.
pub(super) fn encode<R: Serialize + ?Sized>(value: &R) -> Result<Encoded, Error> {
    let mut payload = Vec::new();
    let (written, arrays) = carried::collecting(|| codec::write(&mut payload, value, Encoding::Map));
    written.map_err(|error| {
        let name = std::any::type_name::<R>();
        Error::new(Code::Internal, format!("the result, of type {name}, can't be encoded: {error}"))
            .maybe_run()
    })?;
    Ok(Encoded { payload, arrays })
}
