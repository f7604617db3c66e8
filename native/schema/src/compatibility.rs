//! What differs between two schemas of a method, and for whom that matters.
//!
//! Of a request, the new handler must accept whatever a caller of the old one may send; of a response, a caller of the old
//! one must be able to read whatever the new handler answers. Both are the same question, which of two schemas takes what
//! the other describes, asked in opposite directions ([`Direction`]). What can't be told to be compatible is breaking.
//!
//! Schemas come from other processes. So a comparison has a depth, a number of steps and a number of changes that it
//! ends at, and says there that it could not tell.

mod arrays;
mod bounds;
mod choices;
mod describe;
mod document;
mod fields;
mod shape;
mod walk;

use serde_json::{Map, Value};

use describe::said;
use document::is_prose;
use walk::{Direction, Walk};

/// One difference between two schemas of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: `request.order.qty`, `response[]`.
    pub path: String,
    /// What: `removed (was integer, required)`.
    pub what: String,
    /// Whether a caller that was built against the older schema has to change.
    pub breaking: bool,
}

impl Change {
    fn new(path: impl Into<String>, what: impl Into<String>, breaking: bool) -> Self {
        Self { path: path.into(), what: what.into(), breaking }
    }
}

/// What a method is where its schema doesn't say so.
const CALL: Value = Value::Null;

/// The differences between an older and a newer schema of a method, in the order of the older one's fields.
///
/// Both are what a worker says of a method: `{"request": …, "response": …}` with JSON Schemas, and `kind` where the method
/// is no plain call. Titles, descriptions, examples and the like are no difference. What two places refer to is compared
/// once, at the first of them.
///
/// # Examples
/// ```
/// use pycrust_schema::changes;
/// use serde_json::json;
///
/// let old = json!({"request": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, "response": {}});
/// let new = json!({
///     "request": {"properties": {"a": {"type": "number"}, "b": {"type": "integer", "default": 1}}, "required": ["a"]},
///     "response": {},
/// });
/// let told: Vec<_> = changes(&old, &new).iter().map(|one| format!("{}: {}", one.path, one.what)).collect();
/// assert_eq!(told, ["request.a: integer → number", "request.b: added (integer, optional)"]);
/// assert!(changes(&old, &new).iter().all(|one| !one.breaking));
/// // The other way round, a caller would send what is no longer taken.
/// assert!(changes(&new, &old).iter().all(|one| one.breaking));
/// ```
#[must_use]
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    if document::is_same(old, new) {
        return Vec::new();
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return vec![Change::new("schema", "can't be read", true)];
    };
    let mut found = top_level(old, new);
    for (part, direction) in [("request", Direction::Request), ("response", Direction::Response)] {
        found.extend(Walk::new(direction, old.get(part), new.get(part)).changes(part));
    }
    found
}

/// What differs beside request and response.
fn top_level(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Change> {
    let mut found = Vec::new();
    let (was, is) = (kind_of(old), kind_of(new));
    if was != is {
        found.push(Change::new("kind", format!("{was} → {is}"), true));
    }
    let known = |key: &str| matches!(key, "kind" | "request" | "response") || is_prose(key);
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    keys.sort_unstable();
    for key in keys.into_iter().filter(|key| !known(key)) {
        if !document::is_same_value(old.get(key), new.get(key)) {
            let what = format!("{} → {}", said(old.get(key)), said(new.get(key)));
            found.push(Change::new(describe::clipped(key, describe::MAX_NAME), what, true));
        }
    }
    found
}

fn kind_of(method: &Map<String, Value>) -> String {
    match method.get("kind").unwrap_or(&CALL) {
        Value::Null => "call".to_owned(),
        Value::String(kind) => describe::clipped(kind, describe::MAX_NAME),
        other => said(Some(other)),
    }
}

#[cfg(test)]
mod tests;
