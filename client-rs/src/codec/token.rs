//! One head of MessagePack: a scalar, or how long what follows is.

use pycrust_protocol::integer::INTEGER_EXTENSION;
use pycrust_protocol::tensor::TENSOR_EXTENSION;
use rmp::Marker;
use serde::de::Unexpected;

use super::MOMENT;
use super::error::Error;

/// What stands at a position.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Token<'de> {
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
#[inline]
pub(crate) fn token<'de>(bytes: &'de [u8], at: &mut usize) -> Result<Token<'de>, Error> {
    let [marker] = fixed(bytes, at)?;
    let marker = Marker::from_u8(marker);
    Ok(match marker {
        Marker::FixPos(value) => Token::Unsigned(value.into()),
        Marker::FixNeg(value) => Token::Signed(value.into()),
        Marker::Null => Token::Nil,
        Marker::True => Token::Bool(true),
        Marker::False => Token::Bool(false),
        Marker::U8 => Token::Unsigned(u8::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::U16 => Token::Unsigned(u16::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::U32 => Token::Unsigned(u32::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::U64 => Token::Unsigned(u64::from_be_bytes(fixed(bytes, at)?)),
        Marker::I8 => Token::Signed(i8::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::I16 => Token::Signed(i16::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::I32 => Token::Signed(i32::from_be_bytes(fixed(bytes, at)?).into()),
        Marker::I64 => Token::Signed(i64::from_be_bytes(fixed(bytes, at)?)),
        Marker::F32 => Token::F32(f32::from_be_bytes(fixed(bytes, at)?)),
        Marker::F64 => Token::F64(f64::from_be_bytes(fixed(bytes, at)?)),
        Marker::FixStr(len) => text(bytes, at, len.into())?,
        Marker::Str8 => length1(bytes, at).and_then(|len| text(bytes, at, len))?,
        Marker::Str16 => length2(bytes, at).and_then(|len| text(bytes, at, len))?,
        Marker::Str32 => length4(bytes, at).and_then(|len| text(bytes, at, len))?,
        Marker::Bin8 => length1(bytes, at).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::Bin16 => length2(bytes, at).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::Bin32 => length4(bytes, at).and_then(|len| take(bytes, at, len)).map(Token::Bin)?,
        Marker::FixArray(len) => Token::Array(len.into()),
        Marker::Array16 => Token::Array(length2(bytes, at)?),
        Marker::Array32 => Token::Array(length4(bytes, at)?),
        Marker::FixMap(len) => Token::Map(len.into()),
        Marker::Map16 => Token::Map(length2(bytes, at)?),
        Marker::Map32 => Token::Map(length4(bytes, at)?),
        Marker::FixExt1 => extension(bytes, at, 1)?,
        Marker::FixExt2 => extension(bytes, at, 2)?,
        Marker::FixExt4 => extension(bytes, at, 4)?,
        Marker::FixExt8 => extension(bytes, at, 8)?,
        Marker::FixExt16 => extension(bytes, at, 16)?,
        Marker::Ext8 => length1(bytes, at).and_then(|len| extension(bytes, at, len))?,
        Marker::Ext16 => length2(bytes, at).and_then(|len| extension(bytes, at, len))?,
        Marker::Ext32 => length4(bytes, at).and_then(|len| extension(bytes, at, len))?,
        Marker::Reserved => return Err(Error::new("malformed MessagePack: 0xc1 has no meaning")),
    })
}

#[inline]
fn take<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<&'de [u8], Error> {
    let Some(taken) = bytes.get(*at..).and_then(|left| left.get(..len)) else {
        return Err(cut(len, bytes.len().saturating_sub(*at)));
    };
    *at += len;
    Ok(taken)
}

#[cold]
fn cut(len: usize, left: usize) -> Error {
    Error::new(format_args!("malformed MessagePack: {len} bytes are announced, {left} are left"))
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], Error> {
    let left = bytes.get(*at..).unwrap_or_default();
    let Some(taken) = left.first_chunk() else { return Err(cut(N, left.len())) };
    *at += N;
    Ok(*taken)
}

fn length1(bytes: &[u8], at: &mut usize) -> Result<usize, Error> {
    fixed(bytes, at).map(|len| u8::from_be_bytes(len).into())
}

fn length2(bytes: &[u8], at: &mut usize) -> Result<usize, Error> {
    fixed(bytes, at).map(|len| u16::from_be_bytes(len).into())
}

fn length4(bytes: &[u8], at: &mut usize) -> Result<usize, Error> {
    fixed(bytes, at).map(|len| u32::from_be_bytes(len) as usize)
}

fn text<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<Token<'de>, Error> {
    let text = std::str::from_utf8(take(bytes, at, len)?);
    text.map(Token::Str).map_err(|error| Error::new(format_args!("a string that is not UTF-8: {error}")))
}

fn extension<'de>(bytes: &'de [u8], at: &mut usize, len: usize) -> Result<Token<'de>, Error> {
    let kind = i8::from_be_bytes(fixed(bytes, at)?);
    Ok(Token::Ext(kind, take(bytes, at, len)?))
}
