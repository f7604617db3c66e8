//! The vectors of everything but payloads, names and codes: decoding, refusing, encoding.

mod support;

use std::sync::Arc;

use pycrust_protocol::attachments::put_table;
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::header::{
    Common, Credit, Header, Parts, RequestHeader, ResponseHeader, Stages, TraceContext,
};
use pycrust_protocol::record::{Field, Layout};
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{TrafficCall, TrafficPage, TrafficQuery, TrafficStages};
use pycrust_protocol::tensor::{DType, Tensor};
use pycrust_protocol::{Code, ErrorPayload, ValidationIssue};
use serde_json::Value;
use support::{hex, number, text, vectors};

#[test]
fn requests() {
    for vector in vectors("control_requests.json") {
        let decoded = Request::decode(&vector.bytes);
        let Some(value) = vector.value() else {
            vector.assert_refused(decoded);
            continue;
        };
        let (method, payload) = (text(&value["method"]), hex(&value["payload"]));
        let expected = Request { id: number(value, "id"), method: &method, payload: &payload };
        assert_eq!(decoded, Ok(expected), "{}", vector.name);
        let mut encoded = Vec::new();
        put_request_head(&mut encoded, expected.id, &method, payload.len());
        encoded.extend_from_slice(&payload);
        assert_eq!(encoded == vector.bytes, vector.canonical(), "{}", vector.name);
    }
}

#[test]
fn responses() {
    for vector in vectors("control_responses.json") {
        let decoded = Response::decode(&vector.bytes);
        let Some(value) = vector.value() else {
            vector.assert_refused(decoded);
            continue;
        };
        let payload = hex(&value["payload"]);
        let status = Code::from_u8(number(value, "status")).expect("a status");
        let expected = Response { id: number(value, "id"), status, payload: &payload };
        assert_eq!(decoded, Ok(expected), "{}", vector.name);
        let mut encoded = Vec::new();
        put_response_head(&mut encoded, expected.id, status, payload.len());
        encoded.extend_from_slice(&payload);
        assert_eq!(encoded == vector.bytes, vector.canonical(), "{}", vector.name);
    }
}

fn common(value: &Value) -> Common {
    Common {
        flags: number(value, "flags"),
        body_len: number(value, "body_len"),
        metadata_len: number(value, "metadata_len"),
        attachments: number(value, "attachments"),
        reports: number(value, "reports"),
        sent_ns: number(value, "sent_ns"),
    }
}

fn array<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    value.get(key).map_or([0; N], |bytes| hex(bytes).try_into().expect("bytes of the right number"))
}

fn header(value: &Value) -> Header {
    match text(&value["kind"]).as_str() {
        "request" => Header::Request(RequestHeader {
            common: common(value),
            deadline_ns: number(value, "deadline_ns"),
            schema_pin: number(value, "schema_pin"),
            trace: TraceContext {
                trace_id: array(value, "trace_id"),
                span_id: array(value, "span_id"),
                flags: number(value, "trace_flags"),
            },
            stream_credit: number(value, "stream_credit"),
            stream_seq: number(value, "stream_seq"),
            core: number(value, "core"),
            stream_bytes: number(value, "stream_bytes"),
            next_ns: number(value, "next_ns"),
        }),
        "response" => Header::Response(ResponseHeader {
            common: common(value),
            version: number(value, "version"),
            method_key: number(value, "method_key"),
            stream_seq: number(value, "stream_seq"),
            schema_hash: number(value, "schema_hash"),
            stages: Stages {
                transit_ns: number(value, "transit_ns"),
                queue_ns: number(value, "queue_ns"),
                interpreter_ns: number(value, "interpreter_ns"),
                decode_ns: number(value, "decode_ns"),
                handler_ns: number(value, "handler_ns"),
                encode_ns: number(value, "encode_ns"),
            },
        }),
        "report" => Header::Report(common(value)),
        "credit" => Header::Credit(Credit {
            common: common(value),
            id: number(value, "id"),
            granted: number(value, "granted"),
            bytes: number(value, "bytes"),
        }),
        kind => panic!("no kind {kind}"),
    }
}

#[test]
fn headers() {
    for vector in vectors("headers.json") {
        let raw = vector.bytes.as_slice().try_into().expect("128 bytes");
        let decoded = Header::decode(raw);
        let Some(value) = vector.value() else {
            vector.assert_refused(decoded);
            continue;
        };
        assert_eq!(decoded, Ok(header(value)), "{}", vector.name);
        let encoded = match header(value) {
            Header::Request(header) => header.encode(),
            Header::Response(header) => header.encode(),
            Header::Report(common) => common.encode_report(),
            Header::Credit(header) => header.encode(),
        };
        assert_eq!(encoded == *raw, vector.canonical(), "{}", vector.name);
    }
}

#[test]
fn samples() {
    for vector in vectors("samples.json") {
        let common = common(&vector.json["header"]);
        let parts = common.split(&vector.bytes);
        let Some(value) = vector.value() else {
            vector.assert_refused(parts);
            continue;
        };
        let (control, metadata) = (hex(&value["control"]), hex(&value["metadata"]));
        let (reports, table) = (hex(&value["reports"]), value.get("table").map_or_else(Vec::new, hex));
        let expected = Parts { control: &control, metadata: &metadata, reports: &reports, table: &table };
        assert_eq!(parts, Ok(expected), "{}", vector.name);
    }
}

#[test]
fn attachments() {
    for vector in vectors("attachments.json") {
        let common = common(&vector.json["header"]);
        let found = common.attachments_in(&vector.bytes, vector.bytes.len());
        let Some(value) = vector.value() else {
            vector.assert_refused(found);
            continue;
        };
        let number = |json: &Value| json.as_u64().expect("a number") as usize;
        let expected: Vec<_> = value
            .as_array()
            .expect("a list")
            .iter()
            .map(|pair| number(&pair[0])..number(&pair[0]) + number(&pair[1]))
            .collect();
        assert_eq!(found.as_deref(), Ok(&expected[..]), "{}", vector.name);
        let mut table = Vec::new();
        put_table(&mut table, &expected);
        assert_eq!(common.split(&vector.bytes).map(|parts| parts.table), Ok(&table[..]), "{}", vector.name);
    }
}

#[test]
fn tensors() {
    for vector in vectors("tensors.json") {
        let decoded = Tensor::decode(&vector.bytes);
        let Some(value) = vector.value() else {
            vector.assert_refused(decoded);
            continue;
        };
        let shape = value["shape"].as_array().expect("a list");
        let expected = Tensor {
            dtype: DType::named(&text(&value["dtype"])).expect("a type"),
            layout: value.get("fields").map(|fields| Arc::new(layout(number(value, "itemsize"), fields))),
            big_endian: value["big_endian"] == true,
            column_major: value["column_major"] == true,
            attachment: number(value, "attachment"),
            shape: shape.iter().map(|size| size.as_u64().expect("a size")).collect(),
        };
        assert_eq!(expected.len(), Some(number(value, "bytes")), "{}", vector.name);
        assert_eq!(decoded, Ok(expected.clone()), "{}", vector.name);
        let mut encoded = Vec::new();
        expected.put(&mut encoded);
        assert_eq!(encoded == vector.bytes, vector.canonical(), "{}", vector.name);
    }
}

fn layout(item_size: u32, fields: &Value) -> Layout {
    let field = |value: &Value| Field {
        name: text(&value["name"]),
        dtype: DType::named(&text(&value["dtype"])).expect("a type"),
        big_endian: value["big_endian"] == true,
        string: value["string"] == true,
        offset: number(value, "offset"),
        shape: value["shape"].as_array().into_iter().flatten().map(size).collect(),
    };
    let fields = fields.as_array().expect("a list").iter().map(field).collect();
    Layout::new(item_size, fields).expect("a record")
}

fn size(json: &Value) -> u32 {
    json.as_u64().and_then(|size| size.try_into().ok()).expect("a size")
}

#[test]
fn reports() {
    for vector in vectors("reports.json") {
        let reports: Vec<_> = Report::read_all(&vector.bytes).collect();
        let expected: Vec<_> = vector.json["value"].as_array().expect("a list").iter().map(report).collect();
        assert_eq!(reports, expected, "{}", vector.name);
        let mut encoded = Vec::new();
        for report in reports {
            report.put(&mut encoded);
        }
        assert_eq!(encoded == vector.bytes, vector.canonical(), "{}", vector.name);
    }
}

fn report(value: &Value) -> Report {
    Report {
        id: number(value, "id"),
        round_trip_ns: number(value, "round_trip_ns"),
        return_ns: number(value, "return_ns"),
        method_key: number(value, "method_key"),
        version: number(value, "version"),
        status: number(value, "status"),
    }
}

#[test]
fn errors() {
    for vector in vectors("errors.json") {
        let name = &vector.name;
        let decoded = ErrorPayload::decode(&vector.bytes);
        let Some(value) = vector.value() else {
            // An error that can't be read is an error still: it says where and why.
            let error = &vector.json["error"];
            let place = format!("byte {}: ", error["offset"]);
            assert!(decoded.message.contains(&place), "{name}: {}, not {place}", decoded.message);
            assert!(decoded.message.contains(&text(&error["reason"])), "{name}: {}", decoded.message);
            continue;
        };
        let expected = ErrorPayload {
            message: text(&value["message"]),
            exception: value.get("type").map(text).unwrap_or_default(),
            details: value.get("details").map(hex).unwrap_or_default(),
            traceback: value.get("traceback").map(text).unwrap_or_default(),
            may_have_run: value["may_have_run"] == true,
        };
        assert_eq!(decoded, expected, "{name}");
        assert_eq!(decoded.encode() == vector.bytes, vector.canonical(), "{name}");
        if let Some(issues) = vector.json.get("issues") {
            let expected: Vec<ValidationIssue> = serde_json::from_value(issues.clone()).expect("issues");
            let issues: Vec<ValidationIssue> = rmp_serde::from_slice(&decoded.details).expect("a list");
            assert_eq!(issues, expected, "{name}");
        }
    }
}

fn message(value: &Value) -> Message {
    match text(&value["say"]).as_str() {
        "hello" => Message::Hello(Hello {
            protocol: number(value, "protocol"),
            endpoint: text(&value["endpoint"]),
            client: text(&value["client"]),
        }),
        "welcome" => Message::Welcome(Welcome {
            protocol: number(value, "protocol"),
            pid: number(value, "pid"),
            generation: number(value, "generation"),
            connection: number(value, "connection"),
            prefix: text(&value["prefix"]),
            request_service: text(&value["request_service"]),
            response_service: text(&value["response_service"]),
            max_in_flight: number(value, "max_in_flight"),
        }),
        "refused" => Message::Refused {
            code: Code::from_u8(number(value, "code")).expect("a code"),
            reason: text(&value["reason"]),
        },
        "hand_over" => Message::HandOver { endpoint: text(&value["endpoint"]) },
        "opened" => Message::Opened,
        "serving" => Message::Serving,
        "bulk_offered" => Message::BulkOffered { service: text(&value["service"]) },
        "bulk_opened" => Message::BulkOpened { service: text(&value["service"]) },
        "bulk_refused" => {
            Message::BulkRefused { service: text(&value["service"]), reason: text(&value["reason"]) }
        }
        "goodbye" => Message::Goodbye { reason: text(&value["reason"]) },
        say => panic!("no message {say}"),
    }
}

#[test]
fn handshake() {
    for vector in vectors("handshake.json") {
        let decoded = Message::decode(&vector.bytes);
        let Some(value) = vector.value() else {
            vector.assert_refused(decoded);
            continue;
        };
        assert_eq!(decoded, Ok(message(value)), "{}", vector.name);
        assert_eq!(message(value).encode() == vector.bytes, vector.canonical(), "{}", vector.name);
    }
}

#[test]
fn traffic() {
    for vector in vectors("traffic.json") {
        match text(&vector.json["of"]).as_str() {
            "query" => {
                let decoded = TrafficQuery::decode(&vector.bytes);
                let Some(value) = vector.value() else {
                    vector.assert_refused(decoded);
                    continue;
                };
                let expected = TrafficQuery { after: number(value, "after"), most: number(value, "most") };
                assert_eq!(decoded, Ok(expected), "{}", vector.name);
            }
            "page" => {
                let value = vector.value().expect("a page");
                let decoded: TrafficPage = rmp_serde::from_slice(&vector.bytes).expect(&vector.name);
                assert_eq!(decoded, page(value), "{}", vector.name);
                let encoded = rmp_serde::to_vec_named(&decoded).expect(&vector.name);
                assert_eq!(encoded == vector.bytes, vector.canonical(), "{}", vector.name);
            }
            other => panic!("nothing is {other}"),
        }
    }
}

fn page(value: &Value) -> TrafficPage {
    TrafficPage {
        recording: value["recording"] == true,
        hooked: value["hooked"] == true,
        first: number(value, "first"),
        last: number(value, "last"),
        skipped: number(value, "skipped"),
        calls: value["calls"].as_array().expect("calls").iter().map(recorded).collect(),
    }
}

fn recorded(value: &Value) -> TrafficCall {
    let bytes = |key: &str| hex(&value[key]).into();
    let texts = |list: &Value| list.as_array().expect("a list").iter().map(text).collect::<Vec<_>>();
    let stages = &value["stages"];
    TrafficCall {
        seq: number(value, "seq"),
        id: number(value, "id"),
        method: text(&value["method"]),
        version: number(value, "version"),
        status: number(value, "status"),
        seen: value["seen"].as_u64().map(|seen| seen as u8),
        flags: number(value, "flags"),
        client: text(&value["client"]),
        client_pid: number(value, "client_pid"),
        connection: number(value, "connection"),
        ended_unix_ns: number(value, "ended_unix_ns"),
        duration_ns: number(value, "duration_ns"),
        deadline_ns: number(value, "deadline_ns"),
        round_trip_ns: value["round_trip_ns"].as_u64(),
        stages: TrafficStages {
            transit: number(stages, "transit"),
            queue: number(stages, "queue"),
            interpreter: number(stages, "interpreter"),
            decode: number(stages, "decode"),
            handler: number(stages, "handler"),
            encode: number(stages, "encode"),
            back: stages.get("back").map(|_| number(stages, "back")),
        },
        ran: value["ran"] == true,
        streamed: value["streamed"] == true,
        items: number(value, "items"),
        items_kept: number(value, "items_kept"),
        uploaded: number(value, "uploaded"),
        uploaded_kept: number(value, "uploaded_kept"),
        parameters: texts(&value["parameters"]),
        request: bytes("request"),
        request_arrays: value["request_arrays"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| hex(one).into())
            .collect(),
        request_len: number(value, "request_len"),
        request_metadata: bytes("request_metadata"),
        response: bytes("response"),
        response_len: number(value, "response_len"),
        response_metadata: bytes("response_metadata"),
        output: value["output"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|piece| (text(&piece[0]), text(&piece[1])))
            .collect(),
        output_lost: number(value, "output_lost"),
        request_dropped: value["request_dropped"] == true,
        response_dropped: value["response_dropped"] == true,
    }
}
