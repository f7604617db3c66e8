//! A client of a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pycrust_protocol::control::{Response, put_request_head};
use pycrust_protocol::header::{Common, Credit, Header, RequestHeader, ResponseHeader, flags};
use pycrust_protocol::{Code, ErrorPayload};
use pycrust_transport::monotonic_ns;

use super::link::{Frame, MemoryLink};

/// One client: sends requests, waits for answers.
pub struct Caller {
    pub link: Arc<MemoryLink>,
    calls: AtomicU64,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub header: ResponseHeader,
    pub id: u64,
    pub status: Code,
    pub payload: Vec<u8>,
}

impl Answer {
    fn read((header, sample): &Frame) -> Self {
        let Header::Response(header) = Header::decode(header).unwrap() else { panic!("no response") };
        let parts = header.common.split(sample).unwrap();
        let response = Response::decode(parts.control).unwrap();
        Self { header, id: response.id, status: response.status, payload: response.payload.to_vec() }
    }

    pub fn error(&self) -> ErrorPayload {
        assert_ne!(self.status, Code::Ok);
        ErrorPayload::decode(&self.payload)
    }

    pub fn number(&self) -> u64 {
        assert_eq!(self.status, Code::Ok, "{}", ErrorPayload::decode(&self.payload).message);
        u64::from_le_bytes(self.payload[..].try_into().unwrap())
    }
}

impl Caller {
    pub fn new(link: Arc<MemoryLink>) -> Self {
        Self { link, calls: AtomicU64::new(0) }
    }

    /// Sends a request and gives its id.
    pub fn send(&self, method: &str, payload: &[u8]) -> u64 {
        self.send_as(method, payload, RequestHeader::default())
    }

    /// Sends a request with this header, whose lengths and time are filled in.
    pub fn send_as(&self, method: &str, payload: &[u8], mut header: RequestHeader) -> u64 {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let id = (call << 16) | (call & 0xffff);
        let mut body = Vec::new();
        put_request_head(&mut body, id, method, payload.len());
        body.extend_from_slice(payload);
        header.common.body_len = body.len() as u32;
        if header.common.sent_ns == 0 {
            header.common.sent_ns = monotonic_ns();
        }
        self.link.put((header.encode(), body));
        id
    }

    /// Sends an argument of a call whose arguments are a stream; `None` ends them.
    pub fn send_argument(&self, id: u64, method: &str, position: u32, item: Option<&[u8]>) {
        let payload = item.unwrap_or_default();
        let mut body = Vec::new();
        put_request_head(&mut body, id, method, payload.len());
        body.extend_from_slice(payload);
        let flags = if item.is_some() { flags::STREAM_ITEM } else { flags::UPLOAD_END };
        let common = Common { flags, body_len: body.len() as u32, ..Common::default() };
        let header = RequestHeader { common, stream_seq: position, ..RequestHeader::default() };
        self.link.put((header.encode(), body));
    }

    /// Takes this many items of a stream in all.
    pub fn grant(&self, id: u64, granted: u64) {
        self.link.put((Credit { id, granted, bytes: u64::MAX, ..Credit::default() }.encode(), Vec::new()));
    }

    pub fn send_reports(&self, reports: &[u8]) {
        let common = Common { reports: (reports.len() / 32) as u32, ..Common::default() };
        self.link.put((common.encode_report(), reports.to_vec()));
    }

    /// The next answer.
    pub fn answer(&self) -> Answer {
        Answer::read(&self.link.take())
    }

    pub fn answer_within(&self, time: Duration) -> Option<Answer> {
        self.link.take_within(time).as_ref().map(Answer::read)
    }

    /// Calls and waits for this call's answer; none other may be under way.
    pub fn call(&self, method: &str, payload: &[u8]) -> Answer {
        let id = self.send(method, payload);
        let answer = self.answer();
        assert_eq!(answer.id, id, "an answer to another call");
        answer
    }
}

impl Caller {
    /// Calls and expects RESOURCE_EXHAUSTED; gives the message.
    pub fn call_refused(&self, method: &str) -> String {
        let answer = self.call(method, b"");
        assert_eq!(answer.status, Code::ResourceExhausted);
        assert!(!answer.error().may_have_run);
        answer.error().message
    }
}

/// A header with a deadline.
pub fn deadline(after: Duration) -> RequestHeader {
    RequestHeader { deadline_ns: after.as_nanos() as u64, ..RequestHeader::default() }
}

/// A header with flags.
pub fn flagged(flags: u8) -> RequestHeader {
    RequestHeader { common: Common { flags, ..Common::default() }, ..RequestHeader::default() }
}
