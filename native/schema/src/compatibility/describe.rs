//! Schemas and values in a few words.

use std::io;

use serde_json::Value;

use super::document::{Document, union_of};
use super::shape::Shape;

/// Characters of a field's name, at most.
pub(super) const MAX_NAME: usize = 80;
/// Characters that say what a schema is, at most.
const MAX_KIND: usize = 240;
/// Bytes of a value that are shown.
const MAX_SAID: usize = 80;
/// Types and values that one description names.
const MAX_PARTS: usize = 24;
/// Types within types that are named.
const MAX_NESTED: usize = 8;

/// A type in a few words: `array of integer or null`.
pub(super) fn kind(document: &Document<'_>, schema: &Value) -> String {
    let mut kind = Kind { document, text: String::new(), parts: MAX_PARTS };
    kind.add(schema, MAX_NESTED);
    clipped(&kind.text, MAX_KIND)
}

struct Kind<'d, 'a> {
    document: &'d Document<'a>,
    text: String,
    /// Types and values that may still be named.
    parts: usize,
}

impl<'a> Kind<'_, 'a> {
    fn add(&mut self, schema: &'a Value, nested: usize) {
        if nested == 0 || self.parts == 0 {
            return self.text.push('…');
        }
        let schema = self.document.end(schema);
        if let Some((_, choices)) = union_of(schema) {
            return self.joined(choices, |kind, choice| kind.add(choice, nested - 1));
        }
        match Shape::of(schema) {
            Shape::Values(values) => {
                self.joined(values, |kind, value| kind.name(&said(Some(value))));
            }
            Shape::Struct(_) => self.name(schema.get("title").and_then(Value::as_str).unwrap_or("object")),
            Shape::Map => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => self.of("map of ", values, nested),
                _ => self.name("map"),
            },
            Shape::List | Shape::Tensor => match schema.get("items") {
                Some(items @ Value::Object(_)) => self.of("array of ", items, nested),
                _ => self.name("array"),
            },
            Shape::Tuple(places) => {
                self.text.push_str("array of (");
                for (at, place) in places.iter().enumerate() {
                    self.text.push_str(if at > 0 { ", " } else { "" });
                    self.add(place, nested - 1);
                    if self.parts == 0 {
                        break;
                    }
                }
                self.text.push(')');
            }
            Shape::Scalar(kind) => match schema.get("format").and_then(Value::as_str) {
                Some(format) => self.name(&format!("{kind} ({})", clipped(format, MAX_NAME))),
                None => self.name(kind),
            },
            Shape::Nothing => self.name("nothing"),
            Shape::Other => match schema.get("type") {
                Some(Value::Array(kinds)) => self.joined(kinds, |kind, one| {
                    kind.name(one.as_str().unwrap_or("anything"));
                }),
                _ => self.name("anything"),
            },
            Shape::Anything => self.name("anything"),
        }
    }

    fn of(&mut self, what: &str, inside: &'a Value, nested: usize) {
        self.text.push_str(what);
        self.add(inside, nested - 1);
    }

    fn joined(&mut self, parts: &'a [Value], add: impl Fn(&mut Self, &'a Value)) {
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.text.push_str(" or ");
            }
            if self.parts == 0 {
                return self.text.push('…');
            }
            add(self, part);
        }
    }

    fn name(&mut self, name: &str) {
        self.parts -= self.parts.min(1);
        self.text.push_str(&clipped(name, MAX_NAME));
    }
}

/// A value as JSON, of a long one the beginning.
pub(super) fn said(value: Option<&Value>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    let mut beginning = Beginning(Vec::new());
    match serde_json::to_writer(&mut beginning, value) {
        Ok(()) => String::from_utf8_lossy(&beginning.0).into_owned(),
        Err(_) => format!("{}…", String::from_utf8_lossy(&beginning.0).trim_end_matches('\u{fffd}')),
    }
}

/// Takes the first bytes of what is written, then fails, so that nothing more is made.
struct Beginning(Vec<u8>);

impl io::Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(MAX_SAID - self.0.len());
        self.0.extend_from_slice(&bytes[..taken]);
        if taken == bytes.len() { Ok(taken) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a text, of at most so many characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
