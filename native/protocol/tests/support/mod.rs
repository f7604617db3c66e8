//! Reads the files of `vectors/`; `vectors/README.md` describes them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::Path;

use pycrust_protocol::Malformed;
use serde_json::Value;

/// One vector: its bytes, and the JSON for what else it says.
pub struct Vector {
    pub name: String,
    pub bytes: Vec<u8>,
    pub json: Value,
}

impl Vector {
    /// What a decoder makes of the bytes, if they are well formed.
    pub fn value(&self) -> Option<&Value> {
        self.json.get("value")
    }

    /// Whether encoding the value gives these very bytes.
    pub fn canonical(&self) -> bool {
        self.json["canonical"] == true
    }

    /// Compares a decoder's refusal with the one that the vector asks for.
    pub fn assert_refused<T: std::fmt::Debug>(&self, outcome: Result<T, Malformed>) {
        let name = &self.name;
        let malformed = outcome.expect_err(name);
        let (offset, reason) = (&self.json["error"]["offset"], text(&self.json["error"]["reason"]));
        assert_eq!(Some(malformed.offset as u64), offset.as_u64(), "{name}: {malformed}");
        assert!(malformed.reason.contains(&reason), "{name}: {malformed}, not {reason}");
    }
}

/// The JSON of one file.
pub fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The vectors of one file, of which there must be some with a value and some with an error.
pub fn vectors(name: &str) -> Vec<Vector> {
    let file = file(name);
    let vectors: Vec<_> = file["vectors"]
        .as_array()
        .expect("a list of vectors")
        .iter()
        .map(|json| Vector { name: text(&json["name"]), bytes: hex(&json["hex"]), json: json.clone() })
        .collect();
    let (valid, invalid): (Vec<_>, Vec<_>) = vectors.iter().partition(|vector| vector.value().is_some());
    assert!(!valid.is_empty(), "{name} has no valid vector");
    assert!(invalid.iter().all(|vector| vector.json["error"].is_object()), "{name}: a value or an error");
    vectors
}

/// The bytes of a `hex` field: groups, repeated or not, in one string or several.
pub fn hex(json: &Value) -> Vec<u8> {
    match json {
        Value::String(text) => text.split_whitespace().flat_map(group).collect(),
        Value::Array(lines) => lines.iter().flat_map(hex).collect(),
        other => panic!("{other} is no hex"),
    }
}

fn group(text: &str) -> Vec<u8> {
    let (digits, count) = text.split_once('*').unwrap_or((text, "1"));
    assert!(digits.len().is_multiple_of(2), "{text} has half a byte");
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hex digits"))
        .collect();
    bytes.repeat(count.parse().expect("a count"))
}

/// A string, or `{"$repeat": [text, count]}`.
pub fn text(json: &Value) -> String {
    if let Some(repeat) = json.get("$repeat") {
        let count = repeat[1].as_u64().expect("a count");
        return repeat[0].as_str().expect("a text").repeat(count as usize);
    }
    json.as_str().unwrap_or_else(|| panic!("{json} is no string")).into()
}

/// A number of a vector's value; absent is 0.
pub fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(json: &Value, key: &str) -> T {
    let number = json.get(key).map_or(0, |number| number.as_u64().expect("an unsigned integer"));
    T::try_from(number).expect("a number that fits")
}
