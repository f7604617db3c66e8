//! The test vectors of the control messages, which the Python tests read too.
#![allow(clippy::unwrap_used, missing_docs)]

use pycrust_protocol::Malformed;
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use serde_json::Value;

fn vectors(file: &str) -> Vec<Value> {
    let path = format!("{}/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(vectors) = whole["vectors"].take() else { panic!("{file} holds no vectors") };
    assert!(vectors.len() > 5);
    vectors
}

/// The bytes of hexadecimal digits; `2a*3` is `2a2a2a`.
fn hex(text: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in text.as_str().unwrap().split_whitespace() {
        let (digits, count) = group.split_once('*').unwrap_or((group, "1"));
        let once: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect();
        bytes.extend(once.repeat(count.parse().unwrap()));
    }
    bytes
}

/// A string; `{"$repeat": ["a", 3]}` is `aaa`.
fn string(value: &Value) -> String {
    match &value["$repeat"] {
        Value::Array(parts) => parts[0].as_str().unwrap().repeat(parts[1].as_u64().unwrap() as usize),
        _ => value.as_str().unwrap().into(),
    }
}

/// Holds an error against what the vector says of it.
fn check_error(vector: &Value, error: &Malformed) {
    let (name, expected) = (&vector["name"], &vector["error"]);
    assert_eq!(error.offset as u64, expected["offset"].as_u64().unwrap(), "{name}: {error}");
    assert!(error.reason.contains(expected["reason"].as_str().unwrap()), "{name}: {error}");
}

#[test]
fn requests() {
    for vector in vectors("control_requests") {
        let bytes = hex(&vector["hex"]);
        let expected = &vector["value"];
        match Request::decode(&bytes) {
            Ok(request) => {
                assert_eq!(request.id, expected["id"].as_u64().unwrap(), "{}", vector["name"]);
                assert_eq!(request.method, string(&expected["method"]), "{}", vector["name"]);
                assert_eq!(request.payload, hex(&expected["payload"]), "{}", vector["name"]);
                if vector["canonical"] == true {
                    let mut again = Vec::new();
                    put_request_head(&mut again, request.id, request.method, request.payload.len());
                    again.extend_from_slice(request.payload);
                    assert_eq!(again, bytes, "{}", vector["name"]);
                }
            }
            Err(error) => check_error(&vector, &error),
        }
        // However a good one is torn, it is an error and nothing worse.
        let torn = if expected.is_null() { 0 } else { bytes.len().min(600) };
        for len in 0..torn {
            assert!(Request::decode(&bytes[..len]).is_err(), "{} cut to {len}", vector["name"]);
        }
    }
}

#[test]
fn responses() {
    for vector in vectors("control_responses") {
        let bytes = hex(&vector["hex"]);
        let expected = &vector["value"];
        match Response::decode(&bytes) {
            Ok(response) => {
                assert_eq!(response.id, expected["id"].as_u64().unwrap(), "{}", vector["name"]);
                let status = u64::from(u8::from(response.status));
                assert_eq!(status, expected["status"].as_u64().unwrap(), "{}", vector["name"]);
                assert_eq!(response.payload, hex(&expected["payload"]), "{}", vector["name"]);
                if vector["canonical"] == true {
                    let mut again = Vec::new();
                    put_response_head(&mut again, response.id, response.status, response.payload.len());
                    again.extend_from_slice(response.payload);
                    assert_eq!(again, bytes, "{}", vector["name"]);
                }
            }
            Err(error) => check_error(&vector, &error),
        }
    }
}
