//! Reads MessagePack from bytes that nobody has checked yet, borrowing from them.

use rmp::Marker;

use crate::bytes::length;
use crate::error::Malformed;

/// A position in bytes that came from the other side; every read is checked against what is left.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes from the next one to the end.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes that were read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(crate) fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Malformed> {
        let left = self.left();
        if len > left {
            return Err(Malformed::new(self.at, format!("{what} needs {len} bytes, {left} are left")));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn marker(&mut self, what: &str) -> Result<Marker, Malformed> {
        Ok(Marker::from_u8(self.take(1, what)?[0]))
    }

    /// A big-endian unsigned integer of `len` bytes, at most 8.
    pub(crate) fn be(&mut self, len: usize, what: &str) -> Result<u64, Malformed> {
        Ok(self.take(len, what)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(crate) fn array_of_three(&mut self) -> Result<(), Malformed> {
        let at = self.at;
        let len = match self.marker("the array")? {
            Marker::FixArray(len) => u64::from(len),
            Marker::Array16 => self.be(2, "the array")?,
            Marker::Array32 => self.be(4, "the array")?,
            other => return Err(Malformed::new(at, format!("expected an array of 3, found {other:?}"))),
        };
        if len == 3 {
            Ok(())
        } else {
            Err(Malformed::new(at, format!("expected an array of 3, found one of {len}")))
        }
    }

    pub(crate) fn map_len(&mut self, what: &str) -> Result<u64, Malformed> {
        let at = self.at;
        match self.marker(what)? {
            Marker::FixMap(len) => Ok(u64::from(len)),
            Marker::Map16 => self.be(2, what),
            Marker::Map32 => self.be(4, what),
            other => Err(Malformed::new(at, format!("{what} must be a map, found {other:?}"))),
        }
    }

    pub(crate) fn uint(&mut self, what: &str) -> Result<u64, Malformed> {
        let at = self.at;
        match self.marker(what)? {
            Marker::FixPos(value) => Ok(u64::from(value)),
            Marker::U8 => self.be(1, what),
            Marker::U16 => self.be(2, what),
            Marker::U32 => self.be(4, what),
            Marker::U64 => self.be(8, what),
            other => Err(Malformed::new(at, format!("{what} must be an unsigned integer, found {other:?}"))),
        }
    }

    pub(crate) fn bool(&mut self, what: &str) -> Result<bool, Malformed> {
        let at = self.at;
        match self.marker(what)? {
            Marker::True => Ok(true),
            Marker::False => Ok(false),
            other => Err(Malformed::new(at, format!("{what} must be a boolean, found {other:?}"))),
        }
    }

    /// The bytes of a string, not yet checked to be UTF-8.
    fn str_bytes(&mut self, what: &str) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let len = match self.marker(what)? {
            Marker::FixStr(len) => u64::from(len),
            Marker::Str8 => self.be(1, what)?,
            Marker::Str16 => self.be(2, what)?,
            Marker::Str32 => self.be(4, what)?,
            other => return Err(Malformed::new(at, format!("{what} must be a string, found {other:?}"))),
        };
        self.take(length(len), what)
    }

    pub(crate) fn str(&mut self, what: &str) -> Result<&'a str, Malformed> {
        let at = self.at;
        let bytes = self.str_bytes(what)?;
        utf8(bytes, at, what)
    }

    /// A string of 1 to `max` bytes; the length is checked first, so that a long one costs nothing.
    pub(crate) fn short_str(&mut self, max: usize, what: &str) -> Result<&'a str, Malformed> {
        let at = self.at;
        let bytes = self.str_bytes(what)?;
        if bytes.is_empty() || bytes.len() > max {
            let len = bytes.len();
            return Err(Malformed::new(at, format!("{what} has 1 to {max} bytes, this one has {len}")));
        }
        utf8(bytes, at, what)
    }

    pub(crate) fn bin(&mut self, what: &str) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let len = match self.marker(what)? {
            Marker::Bin8 => self.be(1, what)?,
            Marker::Bin16 => self.be(2, what)?,
            Marker::Bin32 => self.be(4, what)?,
            other => return Err(Malformed::new(at, format!("{what} must be binary, found {other:?}"))),
        };
        self.take(length(len), what)
    }

    pub(crate) fn end(&self, whole: &str) -> Result<(), Malformed> {
        match self.left() {
            0 => Ok(()),
            left => Err(Malformed::new(self.at, format!("{left} bytes follow {whole}"))),
        }
    }
}

pub(crate) fn utf8<'a>(bytes: &'a [u8], at: usize, what: &str) -> Result<&'a str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| Malformed::new(at, format!("{what} is not UTF-8: {error}")))
}
