//! What reading and writing a frame costs: `cargo bench -p pycrust-protocol`.
#![allow(missing_docs, reason = "the macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pycrust_protocol::Code;
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use pycrust_protocol::header::{Common, Header, RequestHeader, ResponseHeader};

/// `{"a": 1, "b": 2}` as MessagePack.
const PAYLOAD: &[u8] = b"\x82\xa1a\x01\xa1b\x02";

fn requests(criterion: &mut Criterion) {
    let mut body = Vec::new();
    criterion.bench_function("request, write", |bencher| {
        bencher.iter(|| {
            body.clear();
            put_request_head(&mut body, black_box(7 << 16), "add", PAYLOAD.len());
            body.extend_from_slice(PAYLOAD);
            let common = Common { body_len: body.len() as u32, ..Common::default() };
            RequestHeader { common, deadline_ns: 1_000_000, ..RequestHeader::default() }.encode()
        });
    });
    let common = Common { body_len: body.len() as u32, ..Common::default() };
    let raw = RequestHeader { common, ..RequestHeader::default() }.encode();
    criterion.bench_function("request, read", |bencher| {
        bencher.iter(|| {
            let header = Header::decode(black_box(&raw)).ok()?;
            let parts = header.common().split(&body).ok()?;
            Request::decode(parts.control).ok().map(|request| request.id)
        });
    });
}

fn responses(criterion: &mut Criterion) {
    let mut body = Vec::new();
    criterion.bench_function("response, write", |bencher| {
        bencher.iter(|| {
            body.clear();
            put_response_head(&mut body, black_box(7 << 16), Code::Ok, 1);
            body.push(3);
            let common = Common { body_len: body.len() as u32, ..Common::default() };
            ResponseHeader { common, version: 1, ..ResponseHeader::default() }.encode()
        });
    });
    let common = Common { body_len: body.len() as u32, ..Common::default() };
    let raw = ResponseHeader { common, ..ResponseHeader::default() }.encode();
    criterion.bench_function("response, read", |bencher| {
        bencher.iter(|| {
            let header = Header::decode(black_box(&raw)).ok()?;
            let parts = header.common().split(&body).ok()?;
            Response::decode(parts.control).ok().map(|response| response.id)
        });
    });
}

criterion_group!(benches, requests, responses);
criterion_main!(benches);
