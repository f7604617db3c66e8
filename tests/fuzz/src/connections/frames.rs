//! Frames of a peer that speaks the protocol and does one thing wrong.

use std::ops::Range;

use pycrust_protocol::attachments::{ALIGNMENT, ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use pycrust_protocol::error::Location;
use pycrust_protocol::header::{
    Common, Credit, HEADER_LEN, Header, RequestHeader, ResponseHeader, Stages, TraceContext, flags,
};
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{HEALTH, METHODS, READY, STATS, TRAFFIC};
use pycrust_protocol::tensor::{DType, TENSOR_EXTENSION, Tensor};
use pycrust_protocol::{Code, ErrorPayload, ValidationIssue, metadata, payload};

use super::link::Frame;
use crate::cursor::Cursor;

/// A sound frame before it is spoilt: the parts of its sample, and the arrays behind them.
#[derive(Default)]
struct Draft {
    control: Vec<u8>,
    metadata: Vec<u8>,
    reports: Vec<u8>,
    arrays: Vec<Vec<u8>>,
}

impl Draft {
    /// What travels beside the control message, if anything does.
    fn beside(&mut self, input: &mut Cursor<'_>) {
        let what = input.byte();
        if what & 0xc1 == 0xc1 {
            self.metadata = b"\x82\xa4user\xa3ada\xa3key\xc4\x02\xff\x00".to_vec();
        }
        if what & 0xc2 == 0xc2 {
            self.reports = reports(input);
        }
    }

    fn common(&self, flags: u8) -> Common {
        Common {
            flags,
            body_len: self.control.len() as u32,
            metadata_len: self.metadata.len() as u32,
            attachments: self.arrays.len() as u32,
            reports: (self.reports.len() / 32) as u32,
            sent_ns: 0,
        }
    }

    /// The sample, and where its table lies in it.
    fn sample(self) -> (Vec<u8>, Range<usize>) {
        let mut sample = [self.control, self.metadata, self.reports].concat();
        let table = sample.len()..sample.len() + self.arrays.len() * ENTRY_LEN;
        let laid_out = lay_out(table.end, self.arrays.iter().map(Vec::len));
        let (ranges, len) = laid_out.expect("a few bytes fit");
        put_table(&mut sample, &ranges);
        sample.resize(len, 0);
        for (range, array) in ranges.into_iter().zip(self.arrays) {
            sample[range].copy_from_slice(&array);
        }
        (sample, table)
    }
}

/// A value, with an array in it now and then.
fn value(input: &mut Cursor<'_>, arrays: &mut Vec<Vec<u8>>) -> Vec<u8> {
    match input.below(8) {
        0 => vec![0xc0],
        1 => {
            let elements = input.below(100);
            let tensor = Tensor {
                dtype: DType::U8,
                layout: None,
                big_endian: false,
                column_major: input.seldom(),
                attachment: if input.seldom() { input.number() as u32 } else { arrays.len() as u32 },
                shape: vec![elements as u64],
            };
            arrays.push(vec![7; elements]);
            let mut data = Vec::new();
            tensor.put(&mut data);
            let mut out = vec![0xc7, data.len() as u8, TENSOR_EXTENSION.cast_unsigned()];
            out.extend_from_slice(&data);
            out
        }
        2 => {
            let len = input.below(16);
            input.bytes(len).to_vec()
        }
        3 => {
            let len = usize::from(input.byte()) * 32;
            let mut out = vec![0xc5];
            out.extend_from_slice(&(len as u16).to_be_bytes());
            out.resize(3 + len, 0xaa);
            out
        }
        4 => b"\x81\xa1a\x05".to_vec(),
        5 => b"\x92\x01\xa1x".to_vec(),
        _ => vec![input.byte() & 0x7f],
    }
}

fn reports(input: &mut Cursor<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..=input.below(4) {
        let report = Report {
            id: input.number(),
            round_trip_ns: input.number(),
            return_ns: input.number() as u32,
            method_key: input.below(6) as u32,
            version: input.below(3) as u32,
            status: input.byte() & 31,
        };
        report.put(&mut out);
    }
    out
}

/// One thing wrong with a frame, more often nothing.
fn spoil(input: &mut Cursor<'_>, (mut raw, mut sample): Frame, table: Range<usize>) -> Frame {
    let put = |raw: &mut [u8; HEADER_LEN], at: usize, bytes: &[u8]| {
        raw[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let at = |input: &mut Cursor<'_>, len: usize| {
        usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % len.max(1)
    };
    match input.below(16) {
        9 => raw[input.below(HEADER_LEN)] = input.byte(),
        1 => {
            let field = input.pick(&[8, 12, 16, 20, 36, 40, 76, 80]);
            put(&mut raw, field, &(input.number() as u32).to_le_bytes());
        }
        2 => {
            let field = input.pick(&[32, 40, 48, 56, 64, 88]);
            put(&mut raw, field, &input.number().to_le_bytes());
        }
        3 => raw[7] ^= 1 << input.below(8),
        4 if !sample.is_empty() => {
            let at = at(input, sample.len());
            sample[at] = input.byte();
        }
        5 => {
            let len = at(input, sample.len() + 1);
            sample.truncate(len);
        }
        6 => {
            let len = input.below(200);
            sample.extend_from_slice(input.bytes(len));
        }
        7 if !table.is_empty() && table.end <= sample.len() => {
            let start = table.start + 8 * input.below(table.len() / 8);
            let number = if input.seldom() { input.number() } else { (input.below(8) * ALIGNMENT) as u64 };
            sample[start..start + 8].copy_from_slice(&number.to_le_bytes());
        }
        8 if input.seldom() => {
            let noise = input.bytes(HEADER_LEN);
            put(&mut raw, 0, noise);
            sample = input.rest().to_vec();
        }
        _ => {}
    }
    (raw, sample)
}

/// A client's calls.
#[derive(Default)]
pub struct Caller {
    calls: u64,
    /// The last calls, and their methods.
    made: Vec<(u64, &'static str)>,
}

impl Caller {
    /// The id of a call: one that was made, and now and then any.
    pub fn id(&mut self, input: &mut Cursor<'_>) -> (u64, &'static str) {
        if self.made.is_empty() || input.seldom() {
            return (input.number(), "upload");
        }
        let at = input.below(self.made.len());
        self.made[at]
    }

    fn new_id(&mut self, input: &mut Cursor<'_>, method: &'static str) -> u64 {
        if input.seldom() {
            return self.id(input).0;
        }
        self.calls += 1;
        let id = (self.calls << 16) | (self.calls % 16);
        self.made.push((id, method));
        id
    }

    /// The next frame.
    pub fn frame(&mut self, input: &mut Cursor<'_>) -> Frame {
        let mut draft = Draft::default();
        let mut header = RequestHeader::default();
        let call = |draft: &mut Draft, id: u64, method: &str, value: &[u8]| {
            put_request_head(&mut draft.control, id, method, value.len());
            draft.control.extend_from_slice(value);
        };
        let mut bits = 0;
        match input.below(12) {
            0 => {
                bits = flags::STREAM;
                let id = self.new_id(input, "count");
                call(&mut draft, id, "count", &[]);
            }
            1 => {
                bits = flags::STREAM | flags::UPLOAD;
                let id = self.new_id(input, "upload");
                call(&mut draft, id, "upload", &[]);
            }
            2 | 3 => {
                bits = flags::STREAM_ITEM;
                let (id, method) = self.id(input);
                let value = value(input, &mut draft.arrays);
                header.stream_seq = input.below(5) as u32;
                call(&mut draft, id, method, &value);
            }
            4 => {
                bits = flags::UPLOAD_END;
                let (id, method) = self.id(input);
                header.stream_seq = input.below(5) as u32;
                call(&mut draft, id, method, &[]);
            }
            5 => {
                let (id, _) = self.id(input);
                let credit =
                    Credit { id, granted: input.number(), bytes: input.number(), ..Credit::default() };
                return spoil(input, (credit.encode(), Vec::new()), 0..0);
            }
            6 => {
                draft.reports = reports(input);
                let raw = draft.common(0).encode_report();
                return spoil(input, (raw, draft.reports), 0..0);
            }
            7 => {
                let method = input.pick(&[HEALTH, METHODS, STATS, READY, TRAFFIC, "nobody"]);
                let id = self.new_id(input, "echo");
                let value = value(input, &mut draft.arrays);
                call(&mut draft, id, method, &value);
            }
            _ => {
                let id = self.new_id(input, "echo");
                let value = value(input, &mut draft.arrays);
                bits = input.pick(&[0, 0, 0, flags::ONE_WAY, flags::IDEMPOTENT, flags::LATEST]);
                call(&mut draft, id, "echo", &value);
            }
        }
        if bits & flags::STREAM != 0 {
            header.stream_credit = input.below(12) as u32;
            header.stream_bytes = input.number();
        }
        if input.seldom() {
            header.deadline_ns = input.number();
            header.schema_pin = input.below(7) as u64;
            header.trace = TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 };
        }
        draft.beside(input);
        header.common = draft.common(bits);
        let (sample, table) = draft.sample();
        spoil(input, (header.encode(), sample), table)
    }
}

/// A worker's frame in answer to one of these calls.
pub fn answer(input: &mut Cursor<'_>, calls: &[u64]) -> Frame {
    let id =
        if calls.is_empty() || input.seldom() { input.number() } else { calls[input.below(calls.len())] };
    let mut draft = Draft::default();
    let mut header = ResponseHeader {
        version: input.below(3) as u32,
        method_key: input.below(3) as u32,
        stream_seq: input.below(5) as u32,
        ..ResponseHeader::default()
    };
    if input.seldom() {
        header.schema_hash = input.number();
        header.stages =
            Stages { transit_ns: input.number(), handler_ns: input.number(), ..Stages::default() };
    }
    let kind = input.below(8);
    let (bits, status, payload) = match kind {
        0 | 1 => (flags::STREAM_ITEM, Code::Ok, value(input, &mut draft.arrays)),
        2 => (flags::STREAM, Code::Ok, Vec::new()),
        3 | 4 => {
            let status = input.pick(Code::ALL);
            (input.pick(&[0, 0, flags::STREAM]), status, mistake(input))
        }
        5 => {
            let credit = Credit { id, granted: input.number(), bytes: input.number(), ..Credit::default() };
            return spoil(input, (credit.encode(), Vec::new()), 0..0);
        }
        _ => (0, Code::Ok, value(input, &mut draft.arrays)),
    };
    put_response_head(&mut draft.control, id, status, payload.len());
    draft.control.extend_from_slice(&payload);
    draft.beside(input);
    header.common = draft.common(bits);
    let (sample, table) = draft.sample();
    spoil(input, (header.encode(), sample), table)
}

/// An error's payload.
fn mistake(input: &mut Cursor<'_>) -> Vec<u8> {
    let place = [Location::Field("a".into()), Location::Index(-1)];
    let issue = ValidationIssue::new(place, "int_type", "no");
    let details = match input.below(4) {
        0 => rmp_serde::to_vec_named(&[issue]).expect("plain data"),
        1 => value(input, &mut Vec::new()),
        _ => Vec::new(),
    };
    let error = ErrorPayload {
        exception: "ValueError".into(),
        traceback: "Traceback".into(),
        details,
        may_have_run: input.seldom(),
        ..ErrorPayload::message("no such luck")
    };
    error.encode()
}

/// Checks a frame that an honest worker has sent: everything in it is sound. Whether it ends a call.
pub fn check_answer(raw: &[u8; HEADER_LEN], sample: &[u8]) -> bool {
    let header = match Header::decode(raw) {
        Ok(Header::Response(header)) => header,
        Ok(Header::Credit(_)) => return false,
        other => panic!("a worker sent {other:?}"),
    };
    let parts = header.common.split(sample).expect("a sample as the header says");
    header.common.attachments_in(sample, sample.len()).expect("a sound table");
    metadata::check(parts.metadata).expect("sound metadata");
    let response = Response::decode(parts.control).expect("a response");
    if response.status != Code::Ok {
        payload::check(response.payload).expect("an error is a value");
        let error = ErrorPayload::decode(response.payload);
        assert!(!error.message.is_empty() && !error.message.contains("can't be read"), "{error:?}");
    }
    header.common.flags & flags::STREAM_ITEM == 0
}

/// A sound call of `echo`.
pub fn echo(id: u64, value: &[u8]) -> Frame {
    let mut control = Vec::new();
    put_request_head(&mut control, id, "echo", value.len());
    control.extend_from_slice(value);
    let common = Common { body_len: control.len() as u32, ..Common::default() };
    (RequestHeader { common, ..RequestHeader::default() }.encode(), control)
}

/// A sound answer.
pub fn sound(id: u64, status: Code, payload: &[u8]) -> Frame {
    let mut control = Vec::new();
    put_response_head(&mut control, id, status, payload.len());
    control.extend_from_slice(payload);
    let common = Common { body_len: control.len() as u32, ..Common::default() };
    (ResponseHeader { common, version: 1, method_key: 1, ..ResponseHeader::default() }.encode(), control)
}

/// What was answered to a call.
pub fn echoed(raw: &[u8; HEADER_LEN], sample: &[u8]) -> (u64, Code, Vec<u8>) {
    let Ok(Header::Response(header)) = Header::decode(raw) else { panic!("no response") };
    let parts = header.common.split(sample).expect("a sample as the header says");
    let response = Response::decode(parts.control).expect("a response");
    (response.id, response.status, response.payload.to_vec())
}

/// The id of a request, if that much of the frame is sound.
pub fn id_of(raw: &[u8; HEADER_LEN], sample: &[u8]) -> Option<u64> {
    let header = Header::decode(raw).ok()?;
    let parts = header.common().split(sample).ok()?;
    Request::decode_id(parts.control)
}
