//! The vectors of payloads: what `payload::check` says, and what an independent decoder reads.

mod support;

use pycrust_protocol::integer::{INTEGER_EXTENSION, Integer};
use pycrust_protocol::limits::MAX_DEPTH;
use pycrust_protocol::payload;
use pycrust_protocol::tensor::TENSOR_EXTENSION;
use serde_json::Value as Json;
use support::{Vector, hex, text, vectors};

/// The value that a vector's JSON stands for.
fn value(json: &Json) -> rmpv::Value {
    match json {
        Json::Null => rmpv::Value::Nil,
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => panic!("{number} is no integer: floats are {{\"$float\": text}}"),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => rmpv::Value::Array(items.iter().map(value).collect()),
        Json::Object(object) => {
            let (tag, content) = object.iter().next().expect("a tag");
            match tag.as_str() {
                "$float" => text(content).parse::<f64>().expect("a float").into(),
                "$bin" => rmpv::Value::Binary(hex(content)),
                "$repeat" => text(json).into(),
                "$map" => rmpv::Value::Map(list(content).iter().map(pair).collect()),
                "$nest" => (0..content[0].as_u64().expect("a depth"))
                    .fold(value(&content[1]), |inner, _| rmpv::Value::Array(vec![inner])),
                "$timestamp" => {
                    let seconds = content[0].as_i64().expect("seconds");
                    let nanoseconds = content[1].as_u64().expect("nanoseconds") as u32;
                    timestamp(seconds, nanoseconds)
                }
                "$integer" => rmpv::Value::Ext(INTEGER_EXTENSION, integer(text(content).as_str())),
                "$tensor" => rmpv::Value::Ext(TENSOR_EXTENSION, hex(content)),
                tag => panic!("no tag {tag}"),
            }
        }
    }
}

fn list(json: &Json) -> &[Json] {
    json.as_array().expect("a list")
}

fn pair(json: &Json) -> (rmpv::Value, rmpv::Value) {
    (value(&json[0]), value(&json[1]))
}

/// Decimal digits as the extension's data.
fn integer(digits: &str) -> Vec<u8> {
    let integer = match digits.parse() {
        Ok(unsigned) => Integer::Unsigned(unsigned),
        Err(_) => Integer::Signed(digits.parse().expect("an integer")),
    };
    integer.encode().into()
}

/// The shortest form.
fn timestamp(seconds: i64, nanoseconds: u32) -> rmpv::Value {
    let data = match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(short), _) if nanoseconds == 0 => short.to_be_bytes().into(),
        (_, Ok(short)) if short >> 34 == 0 => (u64::from(nanoseconds) << 34 | short).to_be_bytes().into(),
        _ => [&nanoseconds.to_be_bytes()[..], &seconds.to_be_bytes()[..]].concat(),
    };
    rmpv::Value::Ext(-1, data)
}

/// A decoded value with what the wire has several forms for brought to one.
fn normal(value: rmpv::Value) -> rmpv::Value {
    match value {
        rmpv::Value::F32(number) => f64::from(number).into(),
        rmpv::Value::Array(items) => rmpv::Value::Array(items.into_iter().map(normal).collect()),
        rmpv::Value::Map(pairs) => {
            rmpv::Value::Map(pairs.into_iter().map(|(key, value)| (normal(key), normal(value))).collect())
        }
        rmpv::Value::Ext(-1, data) => match data.len() {
            4 => timestamp(i64::from(u32::from_be_bytes(data.try_into().expect("4"))), 0),
            8 => {
                let both = u64::from_be_bytes(data.try_into().expect("8"));
                timestamp((both & ((1 << 34) - 1)).cast_signed(), (both >> 34) as u32)
            }
            _ => timestamp(
                i64::from_be_bytes(data[4..].try_into().expect("8")),
                u32::from_be_bytes(data[..4].try_into().expect("4")),
            ),
        },
        other => other,
    }
}

fn encoded(value: &rmpv::Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("a Vec takes it");
    out
}

#[test]
fn every_vector() {
    for vector in vectors("payloads.json") {
        let Vector { name, bytes, .. } = &vector;
        let checked = payload::check(bytes);
        let Some(json) = vector.value() else {
            vector.assert_refused(checked);
            continue;
        };
        assert_eq!(checked, Ok(()), "{name}");
        let decoded = normal(rmpv::decode::read_value(&mut bytes.as_slice()).expect(name));
        // As bytes: a float that is not a number equals nothing.
        assert_eq!(encoded(&decoded), encoded(&value(json)), "{name}");
        if vector.canonical() {
            assert_eq!(&encoded(&value(json)), bytes, "{name}");
        }
    }
}

#[test]
fn depth_counts_the_arrays_and_maps_around_a_value() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    assert_eq!(payload::check(&nested(MAX_DEPTH)), Ok(()));
    assert!(payload::check(&nested(MAX_DEPTH + 1)).is_err());
}

#[test]
fn what_a_check_lets_through_is_safe_for_a_recursive_decoder() {
    // A debug build's frames are large: a thread of Rust's default size holds them all the same.
    let nested = [vec![0x91; MAX_DEPTH], vec![0xc0]].concat();
    payload::check(&nested).expect("as deep as allowed");
    let decode = move || rmp_serde::from_slice::<rmpv::Value>(&nested).is_ok();
    let decoded = std::thread::Builder::new().stack_size(2 << 20).spawn(decode).expect("a thread");
    assert!(decoded.join().expect("no overflow"));
}
