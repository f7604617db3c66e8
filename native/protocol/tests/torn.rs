//! Every valid vector, cut off at each byte and with each byte changed.

mod support;

use pycrust_protocol::control::{Request, Response};
use pycrust_protocol::handshake::Message;
use pycrust_protocol::header::{HEADER_LEN, Header};
use pycrust_protocol::tensor::Tensor;
use pycrust_protocol::{ErrorPayload, Malformed, payload};
use support::vectors;

/// A decoder, reduced to whether it accepts.
type Decoder = fn(&[u8]) -> Result<(), Malformed>;

const DECODERS: [(&str, Decoder); 6] = [
    ("control_requests.json", |bytes| Request::decode(bytes).map(drop)),
    ("control_responses.json", |bytes| Response::decode(bytes).map(drop)),
    ("handshake.json", |bytes| Message::decode(bytes).map(drop)),
    ("payloads.json", payload::check),
    ("tensors.json", |bytes| Tensor::decode(bytes).map(drop)),
    ("errors.json", |bytes| {
        let error = ErrorPayload::decode(bytes);
        if error.message.starts_with("the worker sent an error that can't be read") {
            return Err(Malformed::new(0, error.message));
        }
        Ok(())
    }),
];

#[test]
fn whatever_is_cut_off_is_refused() {
    for (file, decode) in DECODERS {
        for vector in vectors(file).iter().filter(|vector| vector.value().is_some()) {
            for len in 0..vector.bytes.len() {
                let malformed = decode(&vector.bytes[..len]).expect_err(&vector.name);
                assert!(malformed.offset <= len, "{file}, {}: {malformed}", vector.name);
            }
        }
    }
}

#[test]
fn whatever_is_changed_is_accepted_or_refused_in_order() {
    for (file, decode) in DECODERS {
        for vector in vectors(file).iter().filter(|vector| vector.bytes.len() <= 150) {
            let mut bytes = vector.bytes.clone();
            for at in 0..bytes.len() {
                let before = bytes[at];
                for changed in 0..=u8::MAX {
                    bytes[at] = changed;
                    if let Err(malformed) = decode(&bytes) {
                        assert!(malformed.offset <= bytes.len(), "{file}, {}: {malformed}", vector.name);
                        assert!(!malformed.reason.is_empty());
                    }
                }
                bytes[at] = before;
            }
        }
    }
}

#[test]
fn whatever_is_changed_in_a_header_is_accepted_or_refused_in_order() {
    for vector in vectors("headers.json") {
        let mut raw: [u8; HEADER_LEN] = vector.bytes.as_slice().try_into().expect("128 bytes");
        for at in 0..HEADER_LEN {
            let before = raw[at];
            for changed in 0..=u8::MAX {
                raw[at] = changed;
                match Header::decode(&raw) {
                    Ok(header) => drop(header.common().split(&vector.bytes)),
                    Err(malformed) => assert!(malformed.offset < 24, "{}: {malformed}", vector.name),
                }
            }
            raw[at] = before;
        }
    }
}
