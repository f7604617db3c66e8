//! Taking fields out of payloads by their names, before anything is stored or shown.

use pycrust_protocol::limits::MAX_DEPTH;
use pycrust_protocol::reader::{Reader, Shape};

use crate::recording::naming::{Naming, Node, Nodes};
use crate::recording::secrets::Secrets;

/// Stands where a field's value was, as MessagePack. `pycrust/traffic/redaction.py` writes the same text.
const REDACTED: &[u8] = b"\xaa[redacted]";

/// Which fields are taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Their names in lower case; `*` stands for any text.
    names: Vec<String>,
}

/// What is kept or shown of one call.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// The request's payload; nothing of one that is no MessagePack.
    pub request: Vec<u8>,
    /// The request's metadata.
    pub request_metadata: Vec<u8>,
    /// The response's payload.
    pub response: Vec<u8>,
    /// The response's metadata.
    pub response_metadata: Vec<u8>,
    /// Whether anything was taken out of the request's payload.
    pub less_request: bool,
    /// Whether anything was taken out of the response's payload.
    pub less_response: bool,
}

/// One call's payloads and metadata, as MessagePack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) request: &'a [u8],
    pub(crate) request_metadata: &'a [u8],
    pub(crate) response: &'a [u8],
    pub(crate) response_metadata: &'a [u8],
    /// Whether the request is not all of it.
    pub(crate) cut: bool,
    /// Whether the response is an error.
    pub(crate) failed: bool,
}

impl Scrub {
    /// Takes out the fields of these names, in any case; `*` in a name stands for any text.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().map(|name| name.to_lowercase()).collect() }
    }

    /// The names, in lower case.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether nothing is taken out.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a field of this name is taken out. One that is no text is.
    pub fn hides(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return true };
        let name = name.to_lowercase();
        self.names.iter().any(|pattern| matches(pattern, &name))
    }

    fn hides_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.hides(name.as_bytes()))
    }

    /// A call without the fields, and what they were. Where the bytes have no names, those of `naming` count; what
    /// has none there either is taken out of the request. The response is taken to come from the handler, whose lists
    /// are lists, and loses what repeats a value that was taken out.
    pub(crate) fn call(&self, whole: Whole<'_>, naming: &Naming) -> (Scrubbed, Secrets) {
        let mut secrets = Secrets::default();
        let (nothing, arguments, result) = (Nodes::new(), naming.arguments(), naming.result());
        let mut walk = |bytes, part, nodes| Walk::new(self, naming, bytes, part).all(nodes, &mut secrets);
        let (request, less_request) = walk(whole.request, Part::Request, &arguments);
        let (request_metadata, _) = walk(whole.request_metadata, Part::Metadata, &nothing);
        if whole.cut {
            secrets.hide_all();
        }
        let mut walk = |bytes, part, nodes| Walk::new(self, naming, bytes, part).all(nodes, &mut secrets);
        let (response, less_response) = if whole.failed {
            // Its message repeats what its details say of a field; the second time it is known.
            walk(whole.response, Part::Error, &nothing);
            walk(whole.response, Part::Error, &nothing)
        } else {
            walk(whole.response, Part::Result, &result)
        };
        let (response_metadata, _) = walk(whole.response_metadata, Part::Result, &nothing);
        let scrubbed =
            Scrubbed { request, request_metadata, response, response_metadata, less_request, less_response };
        (scrubbed, secrets)
    }
}

/// Whether a pattern in which `*` stands for any text matches a whole text. Takes the product of their lengths at most.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => match star {
                // The star takes one more.
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, seen) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// What is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What has no name in it is taken out.
    Request,
    /// Texts with names.
    Metadata,
    /// What repeats a value that was taken out is taken out, too.
    Result,
    /// The same, and a validation error's list may be in it.
    Error,
}

struct Walk<'a> {
    scrub: &'a Scrub,
    naming: &'a Naming,
    bytes: Reader<'a>,
    out: Vec<u8>,
    part: Part,
    /// Whether anything was taken out.
    less: bool,
}

impl<'a> Walk<'a> {
    fn new(scrub: &'a Scrub, naming: &'a Naming, bytes: &'a [u8], part: Part) -> Self {
        Self {
            scrub,
            naming,
            bytes: Reader::new(bytes),
            out: Vec::with_capacity(bytes.len()),
            part,
            less: false,
        }
    }

    fn is_strict(&self) -> bool {
        self.part == Part::Request
    }

    fn repeats(&self) -> bool {
        matches!(self.part, Part::Result | Part::Error)
    }

    /// What is left of MessagePack values in a row, and whether that is less; nothing of what is no MessagePack.
    fn all(mut self, nodes: &Nodes<'a>, secrets: &mut Secrets) -> (Vec<u8>, bool) {
        let lone = self.is_strict().then(|| Naming::lone(nodes));
        while self.bytes.left() > 0 {
            let (from, kept) = (self.bytes.at(), self.out.len());
            let container = matches!(self.shape(), Some(Shape::Array(_) | Shape::Map(_) | Shape::Nil));
            self.bytes.rewind(from);
            if self.value(0, nodes, secrets).is_none() {
                return (Vec::new(), true);
            }
            let Some(lone) = &lone else { continue };
            // A value that is neither map nor array, nor nothing, is the one argument.
            let listed = nodes.iter().any(|node| matches!(node, Node::List(_)));
            if !container && !listed && lone.as_ref().is_none_or(|names| self.scrub.hides_any(names)) {
                self.bytes.rewind(from);
                self.out.truncate(kept);
                if self.hide(0, secrets).is_none() {
                    return (Vec::new(), true);
                }
            }
        }
        (self.out, self.less)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        self.bytes.take(count, "").ok()
    }

    fn shape(&mut self) -> Option<Shape> {
        self.bytes.shape("").ok()
    }

    fn keep(&mut self, from: usize) {
        self.out.extend_from_slice(self.bytes.since(from));
    }

    fn redact(&mut self) {
        self.less = true;
        self.out.extend_from_slice(REDACTED);
    }

    /// Copies one value that may be of these nodes.
    fn value(&mut self, depth: usize, nodes: &Nodes<'a>, secrets: &mut Secrets) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let from = self.bytes.at();
        let shape = self.shape()?;
        match shape {
            Shape::Nil | Shape::Bool(_) => self.keep(from),
            Shape::Float(count) => {
                self.take(count)?;
                self.keep(from);
            }
            Shape::Extension(count) => {
                self.take(count.checked_add(1)?)?;
                self.keep(from);
            }
            Shape::Unsigned(_) | Shape::Signed(_) => match shape.number() {
                Some(number) if self.repeats() && secrets.has_number(number) => self.redact(),
                _ => self.keep(from),
            },
            Shape::Bin(count) | Shape::Str(count) => {
                let text = self.take(count)?;
                let opaque = self.is_strict() && nodes.iter().any(|node| matches!(node, Node::Text));
                self.text(from, text, opaque, secrets);
            }
            Shape::Array(count) => self.array(from, depth, count, nodes, secrets)?,
            Shape::Map(count) => self.map(from, depth, count, nodes, secrets)?,
            Shape::Reserved => return None,
        }
        Some(())
    }

    fn text(&mut self, from: usize, text: &[u8], opaque: bool, secrets: &mut Secrets) {
        if opaque {
            secrets.add(text);
            return self.redact();
        }
        let hidden = if self.repeats() { secrets.hidden(&String::from_utf8_lossy(text)) } else { None };
        match hidden {
            None => self.keep(from),
            Some(hidden) => {
                self.less = true;
                self.put_text(&hidden);
            }
        }
    }

    fn put_text(&mut self, text: &str) {
        let len = text.len() as u32;
        match len {
            0..=31 => self.out.push(0xa0 | len as u8),
            _ => {
                self.out.push(0xdb);
                self.out.extend_from_slice(&len.to_be_bytes());
            }
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    fn array(
        &mut self,
        from: usize,
        depth: usize,
        count: usize,
        nodes: &Nodes<'a>,
        secrets: &mut Secrets,
    ) -> Option<()> {
        if self.is_strict() && count > 0 && self.naming.at(nodes, 0, count).is_none() {
            self.bytes.rewind(from);
            return self.hide(depth, secrets);
        }
        self.keep(from);
        for position in 0..count {
            let (hidden, nodes) = match self.naming.at(nodes, position, count) {
                Some((names, nodes)) => (self.scrub.hides_any(&names), nodes),
                None => (self.is_strict(), Nodes::new()),
            };
            self.element(depth, hidden, &nodes, secrets)?;
        }
        Some(())
    }

    fn map(
        &mut self,
        from: usize,
        depth: usize,
        count: usize,
        nodes: &Nodes<'a>,
        secrets: &mut Secrets,
    ) -> Option<()> {
        self.keep(from);
        let told = self.part == Part::Error && self.tells_of_hidden(count).unwrap_or(false);
        for _ in 0..count {
            let key = self.bytes.at();
            let (hidden, nodes) = match self.shape()? {
                Shape::Str(len) | Shape::Bin(len) => {
                    let name = self.take(len)?;
                    self.keep(key);
                    let (names, nodes) =
                        self.naming.under(nodes, std::str::from_utf8(name).unwrap_or_default());
                    let of_told = told && !matches!(name, b"loc" | b"type");
                    (of_told || self.scrub.hides(name) || self.scrub.hides_any(&names), nodes)
                }
                _ => {
                    self.bytes.rewind(key);
                    self.value(depth + 1, &Nodes::new(), secrets)?;
                    (false, self.naming.under(nodes, "").1)
                }
            };
            self.element(depth, hidden, &nodes, secrets)?;
        }
        Some(())
    }

    /// Whether the map that begins here is an entry of a validation error's list that is about a hidden field.
    fn tells_of_hidden(&self, count: usize) -> Option<bool> {
        let mut ahead = Walk::new(self.scrub, self.naming, self.bytes.rest(), Part::Metadata);
        let (nothing, mut found) = (Nodes::new(), Secrets::default());
        for _ in 0..count {
            let about = match ahead.shape()? {
                Shape::Str(3) => ahead.take(3)? == b"loc",
                Shape::Str(len) => ahead.take(len).map(|_| false)?,
                _ => return None,
            };
            let from = ahead.bytes.at();
            let Shape::Array(steps) = ahead.shape()? else {
                ahead.bytes.rewind(from);
                ahead.value(0, &nothing, &mut found)?;
                continue;
            };
            for _ in 0..steps {
                let step = ahead.bytes.at();
                match ahead.shape()? {
                    Shape::Str(len) if about && self.scrub.hides(ahead.take(len)?) => return Some(true),
                    Shape::Str(_) if about => {}
                    _ => {
                        ahead.bytes.rewind(step);
                        ahead.value(0, &nothing, &mut found)?;
                    }
                }
            }
        }
        Some(false)
    }

    fn element(
        &mut self,
        depth: usize,
        hidden: bool,
        nodes: &Nodes<'a>,
        secrets: &mut Secrets,
    ) -> Option<()> {
        if hidden { self.hide(depth + 1, secrets) } else { self.value(depth + 1, nodes, secrets) }
    }

    /// Takes one value out, and remembers what it was.
    fn hide(&mut self, depth: usize, secrets: &mut Secrets) -> Option<()> {
        self.skip(depth, secrets)?;
        self.redact();
        Some(())
    }

    fn skip(&mut self, depth: usize, secrets: &mut Secrets) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let shape = self.shape()?;
        let within = match shape {
            Shape::Nil | Shape::Bool(_) => 0,
            Shape::Float(count) => self.take(count).map(|_| 0)?,
            Shape::Extension(count) => self.take(count.checked_add(1)?).map(|_| 0)?,
            Shape::Unsigned(_) | Shape::Signed(_) => {
                secrets.add_number(shape.number()?);
                0
            }
            Shape::Reserved => return None,
            Shape::Str(count) | Shape::Bin(count) => {
                secrets.add(self.take(count)?);
                0
            }
            Shape::Array(count) => count,
            Shape::Map(count) => {
                return (0..count).try_for_each(|_| {
                    // Names say nothing of what is under them.
                    self.skip(depth + 1, &mut Secrets::default())?;
                    self.skip(depth + 1, secrets)
                });
            }
        };
        (0..within).try_for_each(|_| self.skip(depth + 1, secrets))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrub(names: &[&str]) -> Scrub {
        Scrub::new(names.iter().map(|name| (*name).to_owned()))
    }

    fn whole(bytes: &[u8]) -> Whole<'_> {
        let (request, response) = (bytes, bytes);
        Whole { request, request_metadata: &[], response, response_metadata: &[], cut: false, failed: true }
    }

    fn left(bytes: &[u8]) -> Scrubbed {
        scrub(&["password"]).call(whole(bytes), &Naming::default()).0
    }

    #[derive(serde::Deserialize)]
    struct Table {
        patterns: Vec<(String, String, bool)>,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        what: String,
        hide: Vec<String>,
        naming: Naming,
        forms: Vec<(serde_json::Value, serde_json::Value)>,
    }

    /// Which `tests/unit/test_redaction.py` runs, too.
    fn table() -> Table {
        serde_json::from_str(include_str!("../../tests/redaction.json")).expect("the table can be read")
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, matched) in table().patterns {
            assert_eq!(matches(&pattern, &text), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn fields_go_by_name_in_both_encodings() {
        for Case { what, hide, naming, forms } in table().cases {
            for (sent, left) in forms {
                let request = rmp_serde::to_vec(&sent).unwrap_or_default();
                let whole = Whole { request: &request, response: &[], failed: false, ..whole(&[]) };
                let (scrubbed, _) = Scrub::new(hide.clone()).call(whole, &naming);
                let found = rmp_serde::from_slice::<serde_json::Value>(&scrubbed.request).ok();
                assert_eq!(found.as_ref(), Some(&left), "{what}: {sent}");
                assert_eq!(scrubbed.less_request, sent != left, "{what}: {sent}");
            }
        }
    }

    #[test]
    fn keys_in_bytes_are_names() {
        let scrubbed = left(b"\x82\xc4\x08password\xa7hunter2\xc4\x04user\xa3ada");
        assert_eq!(scrubbed.request, b"\x82\xc4\x08password\xaa[redacted]\xc4\x04user\xa3ada");
    }

    #[test]
    fn answers_lose_what_repeats_a_hidden_argument() {
        let request = rmp_serde::to_vec_named(&serde_json::json!({ "password": ["hunter2", 4711] }));
        let answer = serde_json::json!({
            "message": "invalid arguments: user: Value error, hun... is like it; no hunter2",
            "type": "ValidationError",
            "details": [
                { "loc": ["user"], "msg": "short of 4711", "type": "value_error" },
                { "loc": ["who", 0, "password"], "msg": "Value error, hun... is like it", "type": "value_error" },
            ],
            "found": [4711, 47110, "x hunter2", "fine"],
        });
        let want = serde_json::json!({
            "message": "invalid arguments: user: [redacted]; no [redacted]",
            "type": "ValidationError",
            "details": [
                { "loc": ["user"], "msg": "short of [redacted]", "type": "value_error" },
                { "loc": ["who", 0, "password"], "msg": "[redacted]", "type": "value_error" },
            ],
            "found": ["[redacted]", 47110, "x [redacted]", "fine"],
        });
        let response = rmp_serde::to_vec_named(&answer).unwrap_or_default();
        let request = request.unwrap_or_default();
        let whole = Whole { response: &response, ..whole(&request) };
        let (scrubbed, _) = scrub(&["password"]).call(whole, &Naming::default());
        assert_eq!(rmp_serde::from_slice::<serde_json::Value>(&scrubbed.response).ok(), Some(want));
    }

    #[test]
    fn what_is_no_messagepack_leaves_nothing() {
        for bytes in [&b"\xc1"[..], b"\x92\x01", b"\xdf\xff\xff\xff\xff", b"\xa5abc", b"\x81\xc1"] {
            assert_eq!((left(bytes).request, left(bytes).response), (Vec::new(), Vec::new()));
        }
        let deep = left(&vec![0x91; 100_000]);
        assert_eq!((deep.request, deep.response), (Vec::new(), Vec::new()), "too deep");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let scrubbed = left(&bytes);
            prop_assert!(scrubbed.request.len() <= 16 * bytes.len() + 16);
            prop_assert!(scrubbed.response.len() <= 200 * bytes.len() + 16);
        }
    }
}
