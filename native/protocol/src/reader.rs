//! Reads MessagePack from bytes that nobody has checked yet, borrowing from them.

use std::fmt;

use rmp::Marker;

use crate::bytes::length;
use crate::error::Malformed;

/// What a value's first bytes say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A whole number in one of the formats of those without a sign.
    Unsigned(u64),
    /// A whole number in one of the formats of those with a sign; it may be positive all the same.
    Signed(i64),
    /// A number with a point, in so many bytes that follow.
    Float(usize),
    /// A text of so many bytes that follow.
    Str(usize),
    /// So many bytes that follow.
    Bin(usize),
    /// So many values follow.
    Array(usize),
    /// So many keys follow, each with its value.
    Map(usize),
    /// An extension's type follows, and so many bytes.
    Extension(usize),
    /// The one byte that begins no value.
    Reserved,
}

impl Shape {
    /// The whole number that it is.
    pub fn number(self) -> Option<i128> {
        match self {
            Self::Unsigned(value) => Some(value.into()),
            Self::Signed(value) => Some(value.into()),
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) => "an unsigned integer",
            Self::Signed(_) => "a signed integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Bin(_) => "binary",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Extension(_) => "an extension",
            Self::Reserved => "0xc1, which is no MessagePack",
        })
    }
}

/// A position in bytes that came from the other side; every read is checked against what is left.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back to `at`, an earlier [`at`](Self::at).
    pub fn rewind(&mut self, at: usize) {
        self.at = self.at.min(at);
    }

    /// Bytes from the next one to the end.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The bytes that were read since `start`, an earlier [`at`](Self::at).
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// The next `len` bytes, which are `what`.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Malformed> {
        let left = self.left();
        if len > left {
            return Err(Malformed::new(self.at, format!("{what} needs {len} bytes, {left} are left")));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// A big-endian unsigned integer of `len` bytes, at most 8.
    fn be(&mut self, len: usize, what: &str) -> Result<u64, Malformed> {
        Ok(self.take(len, what)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The same of a signed one, in two's complement.
    fn signed(&mut self, len: usize, what: &str) -> Result<Shape, Malformed> {
        let unused = 64 - 8 * len;
        Ok(Shape::Signed((self.be(len, what)? << unused).cast_signed() >> unused))
    }

    fn len(&mut self, bytes: usize, what: &str) -> Result<usize, Malformed> {
        self.be(bytes, what).map(length)
    }

    /// What the next value's first bytes say of it.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes end before they have said it.
    #[inline]
    pub fn shape(&mut self, what: &str) -> Result<Shape, Malformed> {
        Ok(match Marker::from_u8(self.take(1, what)?[0]) {
            Marker::Null => Shape::Nil,
            Marker::False => Shape::Bool(false),
            Marker::True => Shape::Bool(true),
            Marker::FixPos(value) => Shape::Unsigned(u64::from(value)),
            Marker::U8 => Shape::Unsigned(self.be(1, what)?),
            Marker::U16 => Shape::Unsigned(self.be(2, what)?),
            Marker::U32 => Shape::Unsigned(self.be(4, what)?),
            Marker::U64 => Shape::Unsigned(self.be(8, what)?),
            Marker::FixNeg(value) => Shape::Signed(i64::from(value)),
            Marker::I8 => self.signed(1, what)?,
            Marker::I16 => self.signed(2, what)?,
            Marker::I32 => self.signed(4, what)?,
            Marker::I64 => self.signed(8, what)?,
            Marker::F32 => Shape::Float(4),
            Marker::F64 => Shape::Float(8),
            Marker::FixStr(len) => Shape::Str(usize::from(len)),
            Marker::Str8 => Shape::Str(self.len(1, what)?),
            Marker::Str16 => Shape::Str(self.len(2, what)?),
            Marker::Str32 => Shape::Str(self.len(4, what)?),
            Marker::Bin8 => Shape::Bin(self.len(1, what)?),
            Marker::Bin16 => Shape::Bin(self.len(2, what)?),
            Marker::Bin32 => Shape::Bin(self.len(4, what)?),
            Marker::FixArray(len) => Shape::Array(usize::from(len)),
            Marker::Array16 => Shape::Array(self.len(2, what)?),
            Marker::Array32 => Shape::Array(self.len(4, what)?),
            Marker::FixMap(len) => Shape::Map(usize::from(len)),
            Marker::Map16 => Shape::Map(self.len(2, what)?),
            Marker::Map32 => Shape::Map(self.len(4, what)?),
            Marker::FixExt1 => Shape::Extension(1),
            Marker::FixExt2 => Shape::Extension(2),
            Marker::FixExt4 => Shape::Extension(4),
            Marker::FixExt8 => Shape::Extension(8),
            Marker::FixExt16 => Shape::Extension(16),
            Marker::Ext8 => Shape::Extension(self.len(1, what)?),
            Marker::Ext16 => Shape::Extension(self.len(2, what)?),
            Marker::Ext32 => Shape::Extension(self.len(4, what)?),
            Marker::Reserved => Shape::Reserved,
        })
    }

    pub(crate) fn array_of_three(&mut self) -> Result<(), Malformed> {
        let at = self.at;
        match self.shape("the array")? {
            Shape::Array(3) => Ok(()),
            Shape::Array(len) => {
                Err(Malformed::new(at, format!("expected an array of 3, found one of {len}")))
            }
            other => Err(Malformed::new(at, format!("expected an array of 3, found {other}"))),
        }
    }

    pub(crate) fn map_len(&mut self, what: &str) -> Result<usize, Malformed> {
        let at = self.at;
        match self.shape(what)? {
            Shape::Map(len) => Ok(len),
            other => Err(Malformed::new(at, format!("{what} must be a map, found {other}"))),
        }
    }

    pub(crate) fn uint(&mut self, what: &str) -> Result<u64, Malformed> {
        let at = self.at;
        match self.shape(what)? {
            Shape::Unsigned(value) => Ok(value),
            other => Err(Malformed::new(at, format!("{what} must be an unsigned integer, found {other}"))),
        }
    }

    pub(crate) fn bool(&mut self, what: &str) -> Result<bool, Malformed> {
        let at = self.at;
        match self.shape(what)? {
            Shape::Bool(value) => Ok(value),
            other => Err(Malformed::new(at, format!("{what} must be a boolean, found {other}"))),
        }
    }

    /// The bytes of a string, not yet checked to be UTF-8.
    fn str_bytes(&mut self, what: &str) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        match self.shape(what)? {
            Shape::Str(len) => self.take(len, what),
            other => Err(Malformed::new(at, format!("{what} must be a string, found {other}"))),
        }
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
        match self.shape(what)? {
            Shape::Bin(len) => self.take(len, what),
            other => Err(Malformed::new(at, format!("{what} must be binary, found {other}"))),
        }
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
