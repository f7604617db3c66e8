//! Taking fields out of payloads by their names, before anything is stored.

use pycrust_protocol::limits::MAX_DEPTH;

/// Stands where a field's value was, as MessagePack. `pycrust/redaction.py` writes the same text.
const REDACTED: &[u8] = b"\xaa[redacted]";

/// Which fields are not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Their names in lower case; `*` stands for any text.
    names: Vec<String>,
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

    fn hides(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return true };
        let name = name.to_lowercase();
        self.names.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }

    /// The payload without the fields: MessagePack values in a row. `parameters` are the names of the elements of
    /// an outermost array, which binds by position. Nothing is left of what is no MessagePack.
    pub(crate) fn payload(&self, payload: &[u8], parameters: &[String]) -> Vec<u8> {
        let mut walk = Walk { scrub: self, bytes: payload, at: 0, out: Vec::with_capacity(payload.len()) };
        while walk.at < payload.len() {
            if walk.value(0, parameters).is_none() {
                return Vec::new();
            }
        }
        walk.out
    }
}

/// Whether a pattern with `*` matches a whole text. Takes the product of their lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
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

struct Walk<'a> {
    scrub: &'a Scrub,
    bytes: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

/// What a value's first bytes say of the rest.
enum Shape {
    /// So many bytes follow.
    Bytes(usize),
    /// A text of so many bytes follows.
    Text(usize),
    /// So many values follow.
    Array(usize),
    /// So many keys and values follow.
    Map(usize),
}

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        let taken = self.take(bytes)?;
        Some(taken.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn shape(&mut self) -> Option<Shape> {
        let marker = self.number(1)?;
        Some(match marker {
            0x80..=0x8f => Shape::Map(marker & 0x0f),
            0x90..=0x9f => Shape::Array(marker & 0x0f),
            0xa0..=0xbf => Shape::Text(marker & 0x1f),
            0xc4..=0xc6 => Shape::Bytes(self.number(1 << (marker - 0xc4))?),
            0xc7..=0xc9 => Shape::Bytes(self.number(1 << (marker - 0xc7))? + 1),
            0xca | 0xce | 0xd2 => Shape::Bytes(4),
            0xcb | 0xcf | 0xd3 => Shape::Bytes(8),
            0xcc | 0xd0 => Shape::Bytes(1),
            0xcd | 0xd1 => Shape::Bytes(2),
            0xd4..=0xd8 => Shape::Bytes((1 << (marker - 0xd4)) + 1),
            0xd9..=0xdb => Shape::Text(self.number(1 << (marker - 0xd9))?),
            0xdc..=0xdd => Shape::Array(self.number(2 << (marker - 0xdc))?),
            0xde..=0xdf => Shape::Map(self.number(2 << (marker - 0xde))?),
            0xc1 => return None,
            _ => Shape::Bytes(0),
        })
    }

    /// Copies one value. The names belong to the elements of an array.
    fn value(&mut self, depth: usize, names: &[String]) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let from = self.at;
        match self.shape()? {
            Shape::Bytes(count) | Shape::Text(count) => {
                self.take(count)?;
                self.out.extend_from_slice(&self.bytes[from..self.at]);
            }
            Shape::Array(count) => {
                self.out.extend_from_slice(&self.bytes[from..self.at]);
                for position in 0..count {
                    let hidden = names.get(position).is_some_and(|name| self.scrub.hides(name.as_bytes()));
                    self.element(depth, hidden)?;
                }
            }
            Shape::Map(count) => {
                self.out.extend_from_slice(&self.bytes[from..self.at]);
                for _ in 0..count {
                    let key = self.at;
                    let hidden = match self.shape()? {
                        Shape::Text(len) => {
                            let name = self.take(len)?;
                            self.out.extend_from_slice(&self.bytes[key..self.at]);
                            self.scrub.hides(name)
                        }
                        _ => {
                            self.at = key;
                            self.value(depth + 1, &[])?;
                            false
                        }
                    };
                    self.element(depth, hidden)?;
                }
            }
        }
        Some(())
    }

    fn element(&mut self, depth: usize, hidden: bool) -> Option<()> {
        let written = self.out.len();
        self.value(depth + 1, &[])?;
        if hidden {
            self.out.truncate(written);
            self.out.extend_from_slice(REDACTED);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Login<'a> {
        user: &'a str,
        password: &'a str,
        more: Vec<(u64, f64, Option<bool>)>,
    }

    const LOGIN: Login<'static> = Login { user: "ada", password: "hunter2", more: Vec::new() };

    fn scrub() -> Scrub {
        Scrub::new(["PassWord".to_owned(), "*_token".to_owned()])
    }

    #[test]
    fn fields_go_by_name_wherever_they_are() {
        let payload = rmp_serde::to_vec_named(&[LOGIN, LOGIN]).unwrap_or_default();
        let scrubbed = scrub().payload(&payload, &[]);
        let want = Login { password: "[redacted]", ..LOGIN };
        let want2 = Login { password: "[redacted]", ..LOGIN };
        assert_eq!(scrubbed, rmp_serde::to_vec_named(&[want, want2]).unwrap_or_default());
    }

    #[test]
    fn positions_have_the_names_of_the_parameters() {
        let payload = rmp_serde::to_vec(&LOGIN).unwrap_or_default();
        let names = ["user", "password", "more"].map(str::to_owned);
        let want = Login { password: "[redacted]", ..LOGIN };
        assert_eq!(scrub().payload(&payload, &names), rmp_serde::to_vec(&want).unwrap_or_default());
        assert_eq!(scrub().payload(&payload, &[]), payload);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, matched) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("*b*", "abc", true),
            ("**x", "aaax", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_messagepack_leaves_nothing() {
        for bytes in [&b"\xc1"[..], b"\x92\x01", b"\xdf\xff\xff\xff\xff", b"\xa5abc", b"\x81\xc1"] {
            assert_eq!(scrub().payload(bytes, &[]), b"");
        }
        assert_eq!(scrub().payload(&vec![0x91; 100_000], &[]), b"", "too deep");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let scrubbed = scrub().payload(&bytes, &[]);
            prop_assert!(scrubbed.len() <= 16 * bytes.len() + 16);
        }
    }
}
