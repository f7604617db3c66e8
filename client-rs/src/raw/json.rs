//! MessagePack as JSON, for people, logs and gateways.

use pycrust_protocol::integer::{INTEGER_EXTENSION, Integer};
use pycrust_protocol::limits::MAX_DEPTH;
use pycrust_protocol::tensor::{TENSOR_EXTENSION, Tensor as Descriptor};
use serde_json::{Map, Number, Value, json};

use super::Raw;
use crate::codec::{MOMENT, Token, moment_text, token};

impl Raw {
    /// The value as JSON, for a gateway or to be looked at. What JSON has no form for is shown as what comes closest:
    ///
    /// | | in JSON |
    /// |---|---|
    /// | bytes | text, base64 with padding |
    /// | a moment | text, RFC 3339 in UTC |
    /// | an array | `{"dtype": "float32", "shape": [2, 3]}`, without its elements |
    /// | an integer beyond 64 bits | text, decimal |
    /// | NaN, infinities | `null` |
    /// | a map's key that is no text | the text of it: `"7"`, `"true"`, `"null"` |
    /// | another extension | `{"extension": 5, "data": base64}` |
    ///
    /// What lies deeper than a call's arguments may is `null`.
    pub fn json(&self) -> Value {
        value(&self.bytes, &mut 0, 0)
    }
}

fn value(bytes: &[u8], at: &mut usize, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        // What it belongs to can't be read on without it.
        *at = bytes.len();
        return Value::Null;
    }
    // Checked when it was made: there is nothing malformed.
    let Ok(token) = token(bytes, at) else { return Value::Null };
    match token {
        Token::Nil => Value::Null,
        Token::Bool(value) => value.into(),
        Token::Signed(value) => value.into(),
        Token::Unsigned(value) => value.into(),
        // With the digits that tell it from its neighbours, not those of the next larger type.
        Token::F32(value) => value.to_string().parse::<f64>().map_or(Value::Null, Value::from),
        Token::F64(value) => value.into(),
        Token::Str(text) => text.into(),
        Token::Bin(data) => base64(data).into(),
        Token::Array(len) => (0..len).map(|_| value(bytes, at, depth + 1)).collect(),
        Token::Map(len) => {
            let entry = |_| {
                let key = match value(bytes, at, depth + 1) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, value(bytes, at, depth + 1))
            };
            (0..len).map(entry).collect::<Map<_, _>>().into()
        }
        Token::Ext(kind, data) => extension(kind, data),
    }
}

fn extension(kind: i8, data: &[u8]) -> Value {
    let known = match kind {
        MOMENT => moment_text(data).ok().map(Value::String),
        INTEGER_EXTENSION => Integer::decode(data).ok().map(|integer| match integer {
            Integer::Signed(value) => {
                Number::from_i128(value).map_or_else(|| value.to_string().into(), Value::Number)
            }
            Integer::Unsigned(value) => {
                Number::from_u128(value).map_or_else(|| value.to_string().into(), Value::Number)
            }
        }),
        TENSOR_EXTENSION => Descriptor::decode(data)
            .ok()
            .map(|array| json!({"dtype": array.dtype.name(), "shape": array.shape})),
        _ => None,
    };
    known.unwrap_or_else(|| json!({"extension": kind, "data": base64(data)}))
}

/// RFC 4648, section 4.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for three in data.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let known = digit <= three.len();
            text.push(if known { char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(data.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
