//! What is encoded is decoded to the same, and no bytes whatsoever make a decoder panic.

use proptest::collection::vec;
use proptest::prelude::*;
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use pycrust_protocol::error::Location;
use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::header::{
    Common, Credit, HEADER_LEN, Header, MAGIC, RequestHeader, ResponseHeader, Stages, TraceContext, flags,
};
use pycrust_protocol::limits::{
    MAX_CLIENT_LEN, MAX_HANDSHAKE_LEN, MAX_IN_FLIGHT, MAX_METADATA_LEN, MAX_REASON_LEN,
};
use pycrust_protocol::report::{REPORT_LEN, Report};
use pycrust_protocol::{Code, ErrorPayload, ValidationIssue, payload};

fn request_bytes(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put_request_head(&mut out, request.id, request.method, request.payload.len());
    out.extend_from_slice(request.payload);
    out
}

fn response_bytes(response: &Response<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put_response_head(&mut out, response.id, response.status, response.payload.len());
    out.extend_from_slice(response.payload);
    out
}

fn header_bytes(header: &Header) -> [u8; HEADER_LEN] {
    match header {
        Header::Request(header) => header.encode(),
        Header::Response(header) => header.encode(),
        Header::Report(common) => common.encode_report(),
        Header::Credit(header) => header.encode(),
    }
}

fn code() -> impl Strategy<Value = Code> {
    prop::sample::select(Code::ALL)
}

/// Numbers of every magnitude: uniform ones are nearly all large.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

fn common(allowed: u8) -> impl Strategy<Value = Common> {
    let lengths = (0..1_u32 << 29, 0..=MAX_METADATA_LEN as u32, 0..1_u32 << 20);
    (any::<u8>(), lengths, number()).prop_map(move |(flags, (body_len, metadata_len, reports), sent_ns)| {
        Common { flags: flags & allowed, body_len, metadata_len, attachments: 0, reports, sent_ns }
    })
}

fn header() -> impl Strategy<Value = Header> {
    let trace = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>());
    let stream = (any::<[u32; 2]>(), number(), any::<u16>(), number());
    let request = (common(flags::OF_REQUEST), number(), number(), trace, stream).prop_map(
        |(
            common,
            deadline_ns,
            schema_pin,
            (trace_id, span_id, flags),
            (numbers, stream_bytes, core, next_ns),
        )| {
            let [stream_credit, stream_seq] = numbers;
            let trace = TraceContext { trace_id, span_id, flags };
            Header::Request(RequestHeader {
                common,
                deadline_ns,
                schema_pin,
                trace,
                stream_credit,
                stream_seq,
                core,
                stream_bytes,
                next_ns,
            })
        },
    );
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), number());
    let response = (common(flags::OF_RESPONSE), numbers, prop::array::uniform6(number())).prop_map(
        |(common, (version, method_key, stream_seq, schema_hash), stages)| {
            let [transit_ns, queue_ns, interpreter_ns, decode_ns, handler_ns, encode_ns] = stages;
            let stages = Stages { transit_ns, queue_ns, interpreter_ns, decode_ns, handler_ns, encode_ns };
            Header::Response(ResponseHeader { common, version, method_key, stream_seq, schema_hash, stages })
        },
    );
    let report =
        common(0).prop_map(|common| Header::Report(Common { body_len: 0, metadata_len: 0, ..common }));
    let credit = (number(), number(), number(), number()).prop_map(|(sent_ns, id, granted, bytes)| {
        Header::Credit(Credit { common: Common { sent_ns, ..Common::default() }, id, granted, bytes })
    });
    prop_oneof![request, response, report, credit]
}

fn report() -> impl Strategy<Value = Report> {
    (number(), number(), any::<[u32; 3]>(), any::<u8>()).prop_map(
        |(id, round_trip_ns, [return_ns, method_key, version], status)| Report {
            id,
            round_trip_ns,
            return_ns,
            method_key,
            version,
            status,
        },
    )
}

fn issue() -> impl Strategy<Value = ValidationIssue> {
    let step = prop_oneof![any::<i64>().prop_map(Location::Index), any::<String>().prop_map(Location::Field)];
    (vec(step, 0..4), any::<String>(), any::<String>())
        .prop_map(|(loc, msg, kind)| ValidationIssue::new(loc, kind, msg))
}

fn error() -> impl Strategy<Value = ErrorPayload> {
    let details = prop_oneof![
        Just(Vec::new()),
        vec(issue(), 0..4).prop_map(|issues| rmp_serde::to_vec_named(&issues).expect("plain data")),
    ];
    (any::<[String; 3]>(), details, any::<bool>()).prop_map(
        |([message, exception, traceback], details, may_have_run)| ErrorPayload {
            message,
            exception,
            details,
            traceback,
            may_have_run,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let hello = (any::<u16>(), any::<String>(), "\\PC{0,64}")
        .prop_map(|(protocol, endpoint, client)| Message::Hello(Hello { protocol, endpoint, client }));
    let calls = 1..=MAX_IN_FLIGHT as u32;
    let welcome = (any::<u16>(), any::<u32>(), number(), number(), any::<[String; 3]>(), calls).prop_map(
        |(protocol, pid, generation, connection, names, max_in_flight)| {
            let [prefix, request_service, response_service] = names;
            Message::Welcome(Welcome {
                protocol,
                pid,
                generation,
                connection,
                prefix,
                request_service,
                response_service,
                max_in_flight,
            })
        },
    );
    prop_oneof![
        hello,
        welcome,
        (prop::sample::select(&Code::ALL[1..]), any::<String>())
            .prop_map(|(code, reason)| Message::Refused { code, reason }),
        any::<String>().prop_map(|endpoint| Message::HandOver { endpoint }),
        Just(Message::Opened),
        Just(Message::Serving),
        any::<String>().prop_map(|service| Message::BulkOffered { service }),
        any::<String>().prop_map(|service| Message::BulkOpened { service }),
        (any::<String>(), any::<String>())
            .prop_map(|(service, reason)| Message::BulkRefused { service, reason }),
        any::<String>().prop_map(|reason| Message::Goodbye { reason }),
    ]
}

/// Bytes that are nearly MessagePack: purely random ones are refused at once.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        (0x80_u8..0xa0).prop_map(|container| vec![container]),
        "[a-z]{0,12}".prop_map(|text| rmp_serde::to_vec(&text).expect("a string")),
        prop::sample::select(&["say", "hello", "opened", "message", "details", "type", "reason", "code"][..])
            .prop_map(|key| rmp_serde::to_vec(key).expect("a string")),
        number().prop_map(|number| rmp_serde::to_vec(&number).expect("a number")),
        vec(any::<u8>(), 0..9).prop_map(|bytes| [vec![0xc4, bytes.len() as u8], bytes].concat()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn requests(id in number(), method in "\\PC{1,64}", payload in vec(any::<u8>(), 0..600)) {
        let request = Request { id, method: &method, payload: &payload };
        let bytes = request_bytes(&request);
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
    }

    #[test]
    fn responses(id in number(), status in code(), payload in vec(any::<u8>(), 0..600)) {
        let response = Response { id, status, payload: &payload };
        let bytes = response_bytes(&response);
        prop_assert_eq!(Response::decode(&bytes), Ok(response));
    }

    #[test]
    fn headers(header in header()) {
        prop_assert_eq!(Header::decode(&header_bytes(&header)), Ok(header));
    }

    #[test]
    fn deadlines_end_after_they_begin(header in header()) {
        if let Header::Request(header) = header {
            prop_assert!(header.expires_ns().is_none_or(|at| at >= header.common.sent_ns));
            prop_assert_eq!(header.expires_ns().is_none(), header.deadline_ns == 0);
        }
    }

    #[test]
    fn samples(control in vec(any::<u8>(), 0..64), metadata in vec(any::<u8>(), 0..64),
               reports in vec(report(), 0..5), rest in vec(any::<u8>(), 0..64)) {
        let common = Common {
            body_len: control.len() as u32,
            metadata_len: metadata.len() as u32,
            reports: reports.len() as u32,
            ..Common::default()
        };
        let mut sample = [control.clone(), metadata.clone()].concat();
        for report in &reports {
            report.put(&mut sample);
        }
        let need = sample.len();
        sample.extend_from_slice(&rest);
        let parts = common.split(&sample).expect("it is all there");
        prop_assert_eq!((parts.control, parts.metadata), (&control[..], &metadata[..]));
        prop_assert_eq!(parts.reports.len(), reports.len() * REPORT_LEN);
        prop_assert_eq!(Report::read_all(parts.reports).collect::<Vec<_>>(), reports);
        prop_assert!(need == 0 || common.split(&sample[..need - 1]).is_err());
    }

    #[test]
    fn errors(error in error()) {
        let bytes = error.encode();
        prop_assert_eq!(payload::check(&bytes), Ok(()));
        prop_assert_eq!(ErrorPayload::decode(&bytes), error);
    }

    #[test]
    fn an_error_arrives_whatever_its_details(details in nearly(), text in any::<String>()) {
        let error = ErrorPayload { details, ..ErrorPayload::message(text) };
        let arrived = ErrorPayload::decode(&error.encode());
        prop_assert_eq!(&arrived.message, &error.message);
        prop_assert!(arrived.details == error.details || arrived.details.is_empty());
    }

    #[test]
    fn messages(message in message()) {
        let bytes = message.encode();
        prop_assert_eq!(payload::check(&bytes), Ok(()));
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn what_a_person_wrote_never_makes_a_message_too_large(text in any::<String>(), times in 1..9_000_usize) {
        let text = text.repeat(times);
        for message in [
            Message::Hello(Hello { protocol: 1, endpoint: "x".into(), client: text.clone() }),
            Message::Refused { code: Code::Unavailable, reason: text.clone() },
            Message::Goodbye { reason: text.clone() },
        ] {
            let bytes = message.encode();
            prop_assert!(bytes.len() <= MAX_HANDSHAKE_LEN);
            let (kept, max) = match Message::decode(&bytes).expect("a message") {
                Message::Hello(hello) => (hello.client, MAX_CLIENT_LEN),
                Message::Refused { reason, .. } | Message::Goodbye { reason } => (reason, MAX_REASON_LEN),
                other => panic!("{other:?}"),
            };
            prop_assert!(text.starts_with(&kept) && (kept == text || kept.len() + 4 > max));
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop_oneof![vec(any::<u8>(), 0..200), nearly()]) {
        if let Ok(request) = Request::decode(&bytes) {
            let bytes = request_bytes(&request);
            prop_assert_eq!(Request::decode(&bytes), Ok(request));
        }
        if let Ok(response) = Response::decode(&bytes) {
            let bytes = response_bytes(&response);
            prop_assert_eq!(Response::decode(&bytes), Ok(response));
        }
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        let error = ErrorPayload::decode(&bytes);
        prop_assert_eq!(ErrorPayload::decode(&error.encode()), error);
        prop_assert_eq!(Report::read_all(&bytes).count(), bytes.len() / REPORT_LEN);
        if payload::check(&bytes).is_ok() {
            prop_assert!(rmpv::decode::read_value(&mut bytes.as_slice()).is_ok());
        }
    }

    #[test]
    fn no_header_makes_a_decoder_panic(mut raw in any::<[u8; HEADER_LEN]>(), kind in 0..6_u8,
                                       known in any::<bool>(), sample in vec(any::<u8>(), 0..200)) {
        raw[..4].copy_from_slice(&MAGIC);
        raw[4..7].copy_from_slice(&[1, 0, kind]);
        if known {
            raw[7] &= flags::KNOWN;
            // Lengths about as large as the sample.
            for at in [9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23] {
                raw[at] = 0;
            }
            raw[16] %= 4;
        }
        if let Ok(header) = Header::decode(&raw) {
            prop_assert_eq!(Header::decode(&header_bytes(&header)), Ok(header));
            if let Ok(parts) = header.common().split(&sample) {
                let used = parts.control.len() + parts.metadata.len() + parts.reports.len() + parts.table.len();
                prop_assert!(used <= sample.len());
                let _ = Request::decode(parts.control);
                let _ = Response::decode(parts.control);
                prop_assert_eq!(Report::read_all(parts.reports).count() as u32, header.common().reports);
            }
        }
    }
}
