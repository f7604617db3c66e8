//! One head of MessagePack: a scalar, or how long what follows is.

use pycrust_protocol::integer::INTEGER_EXTENSION;
use pycrust_protocol::tensor::TENSOR_EXTENSION;
use rmp::Marker;
use serde::de::Unexpected;

use super::MOMENT;
use super::error::Error;

/// What stands at a position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'de> {
    Nil,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    F32(f32),
    F64(f64),
    Str(&'de str),
    Bin(&'de [u8]),
    Array(usize),
    Map(usize),
    Ext(i8, &'de [u8]),
}

impl Token<'_> {
    /// In serde's words.
    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match *self {
            Self::Nil => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(value),
            Self::Signed(value) => Unexpected::Signed(value),
            Self::Unsigned(value) => Unexpected::Unsigned(value),
            Self::F32(value) => Unexpected::Float(value.into()),
            Self::F64(value) => Unexpected::Float(value),
            Self::Str(text) => Unexpected::Str(text),
            Self::Bin(bytes) => Unexpected::Bytes(bytes),
            Self::Array(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
            Self::Ext(MOMENT, _) => Unexpected::Other("a timestamp"),
            Self::Ext(TENSOR_EXTENSION, _) => {
                Unexpected::Other("an array of numbers (`TensorView` reads it)")
            }
            Self::Ext(INTEGER_EXTENSION, _) => Unexpected::Other("an integer beyond 64 bits"),
            Self::Ext(..) => Unexpected::Other("an extension"),
        }
    }
}

/// Reads the token at `at`, and moves `at` behind it.
pub(super) fn token<'de>(bytes: &'de [u8], at: &mut usize) -> Result<Token<'de>, Error> {
    let marker = Marker::from_u8(take(bytes, at, 1)?[0]);
    Ok(match marker {
        Marker::FixPos(value) => Token::Unsigned(value.into()),
        Marker::FixNeg(value) => Token::Signed(value.into()),
        Marker::Null => Token::Nil,
        Marker::True => Token::Bool(true),
        Marker::False => Token::Bool(false),
        Marker::U8 => Token::Unsigned(uint(bytes, at, 1)?),
        Marker::U16 => Token::Unsigned(uint(bytes, at, 2)?),
        Marker::U32 => Token::Unsigned(uint(bytes, at, 4)?),
        Marker::U64 => Token::Unsigned(uint(bytes, at, 8)?),
        Marker::I8 => Token::Signed((uint(bytes, at, 1)? as u8).cast_signed().into()),
        Marker::I16 => Token::Signed((uint(bytes, at, 2)? as u16).cast_signed().into()),
        Marker::I32 => Token::Signed((uint(bytes, at, 4)? as u32).cast_signed().into()),
        Marker::I64 => Token::Signed(uint(bytes, at, 8)?.cast_signed()),
        Marker::F32 => Token::F32(f32::from_bits(uint(bytes, at, 4)? as u32)),
        Marker::F64 => Token::F64(f64::from_bits(uint(bytes, at, 8)?)),
        Marker::FixStr(len) => text(bytes, at, len.into())?,
        Marker::Str8 => length(bytes, at, 1).and_then(|len| text(bytes, at, len))?,
        Marker::Str16 => length(bytes, at, 2).and_then(|len| text(bytes, at, len))?,
        Marker::Str32 => length(bytes, at, 4).and_then(|len| text(bytes, at, len))?,
        Marker::Bin8 => length(bytes, at, 1).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::Bin16 => length(bytes, at, 2).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::Bin32 => length(bytes, at, 4).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::FixArray(len) => Token::Array(len.into()),
        Marker::Array16 => Token::Array(length(bytes, at, 2)?),
        Marker::Array32 => Token::Array(length(bytes, at, 4)?),
        Marker::FixMap(len) => Token::Map(len.into()),
        Marker::Map16 => Token::Map(length(bytes, at, 2)?),
        Marker::Map32 => Token::Map(length(bytes, at, 4)?),
        Marker::FixExt1 => extension(bytes, at, 1)?,
        Marker::FixExt2 => extension(bytes, at, 2)?,
        Marker::FixExt4 => extension(bytes, at, 4)?,
        Marker::FixExt8 => extension(bytes, at, 8)?,
        Marker::FixExt16 => extension(bytes, at, 16)?,
        Marker::Ext8 => length(bytes, at, 1).and_then(|len| extension(bytes, at, len))?,
        Marker::Ext16 => length(bytes, at, 2).and_then(|len| extension(bytes, at, len))?,
        Marker::Ext32 => length(bytes, at, 4).and_then(|len| extension(bytes, at, len))?,
        Marker::Reserved => return Err(Error::new("malformed MessagePack: 0xc1 has no meaning")),
    })
}

#[inline]
fn take<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<&'de [u8], Error> {
    let taken = bytes.get(*at..).and_then(|left| left.get(..len));
    let Some(taken) = taken else {
        let left = bytes.len().saturating_sub(*at);
        return Err(Error::new(format_args!(
            "malformed MessagePack: {len} bytes are announced, {left} are left"
        )));
    };
    *at += len;
    Ok(taken)
}

#[inline]
fn uint(bytes: &[u8], at: &mut usize, len: usize) -> Result<u64, Error> {
    Ok(take(bytes, at, len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn length(bytes: &[u8], at: &mut usize, len: usize) -> Result<usize, Error> {
    uint(bytes, at, len).map(|len| len as usize)
}

fn text<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<Token<'de>, Error> {
    let text = std::str::from_utf8(take(bytes, at, len)?);
    text.map(Token::Str).map_err(|error| Error::new(format_args!("a string that is not UTF-8: {error}")))
}

fn extension<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<Token<'de>, Error> {
    let kind = take(bytes, at, 1)?[0].cast_signed();
    Ok(Token::Ext(kind, take(bytes, at, len)?))
}
