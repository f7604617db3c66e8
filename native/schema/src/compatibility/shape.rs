//! What a schema describes: the part of it that decides which rules two schemas are compared by.

use serde_json::{Map, Value};

use super::document::keywords;

/// The schema of a map's keys, where these are no text.
pub(super) const KEYS: &str = "x-keys";

/// What a schema describes, which is neither a reference nor a union.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// No value.
    Nothing,
    /// Any value.
    Anything,
    /// One of these values.
    Values(&'a [Value]),
    /// Fields with names of their own.
    Struct(&'a Map<String, Value>),
    /// Any names, and values of one schema.
    Map,
    /// An item of its own schema at each place.
    Tuple(&'a [Value]),
    /// Items of one schema.
    List,
    /// An array of NumPy's or PyTorch's.
    Tensor,
    /// A type without anything inside.
    Scalar(&'a str),
    /// What this comparison doesn't know.
    Other,
}

impl<'a> Shape<'a> {
    pub(super) fn of(schema: &'a Value) -> Self {
        let map = match schema {
            Value::Bool(false) => return Self::Nothing,
            Value::Bool(true) => return Self::Anything,
            Value::Object(map) => map,
            _ => return Self::Other,
        };
        if let Some(Value::Array(values)) = map.get("enum") {
            return Self::Values(values);
        }
        if let Some(value) = map.get("const") {
            return Self::Values(std::slice::from_ref(value));
        }
        let fields = map.get("properties").and_then(Value::as_object);
        let places = map.get("prefixItems").and_then(Value::as_array);
        match map.get("type") {
            Some(Value::String(kind)) => match (kind.as_str(), fields, places) {
                ("object", Some(fields), _) => Self::Struct(fields),
                ("object", None, _) => Self::Map,
                ("array", ..) if map.contains_key("x-array") => Self::Tensor,
                ("array", _, Some(places)) => Self::Tuple(places),
                ("array", _, None) => Self::List,
                (kind, ..) => Self::Scalar(kind),
            },
            Some(_) => Self::Other,
            None if keywords(schema).next().is_none() => Self::Anything,
            None => match (fields, places) {
                (Some(fields), _) => Self::Struct(fields),
                (None, Some(places)) => Self::Tuple(places),
                (None, None) if map.get("items").is_some_and(Value::is_object) => Self::List,
                (None, None) => Self::Other,
            },
        }
    }

    /// Keywords that the rules of such schemas look at: all others are compared for equality.
    pub(super) fn looks_at(self, key: &str) -> bool {
        match self {
            Self::Nothing | Self::Anything | Self::Other => false,
            Self::Values(_) => matches!(key, "const" | "enum" | "type"),
            Self::Struct(_) => matches!(key, "type" | "properties" | "required" | "additionalProperties"),
            Self::Map => matches!(key, "type" | "additionalProperties" | KEYS),
            Self::Tuple(_) => matches!(key, "type" | "prefixItems" | "items" | "minItems"),
            Self::List => matches!(key, "type" | "items"),
            Self::Tensor => matches!(key, "type"),
            Self::Scalar(_) => matches!(key, "type" | "format"),
        }
    }
}

/// Whether every value of a list is of a JSON type.
pub(super) fn are_all(values: &[Value], kind: &str) -> bool {
    values.iter().all(|value| match (kind, value) {
        ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("null", Value::Null)
        | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    })
}
