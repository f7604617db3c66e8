//! Payloads: one MessagePack value each, from a side that may be wrong or hostile.

use crate::error::Malformed;
use crate::integer::{INTEGER_EXTENSION, Integer};
use crate::limits::MAX_DEPTH;
use crate::reader::{Reader, Shape, utf8};
use crate::tensor::{TENSOR_EXTENSION, Tensor};

/// Checks that `bytes` hold exactly one MessagePack value that may cross.
///
/// Every length is checked against the bytes that are left, strings are UTF-8, the only extensions are
/// the timestamp (type -1), the array (type 1) and the integer of 128 bits (type 2), and no value lies inside more than [`MAX_DEPTH`] arrays and maps. What
/// passes can be given to a recursive decoder.
///
/// # Errors
/// [`Malformed`] with the offset in `bytes` and the reason.
///
/// # Examples
/// ```
/// use pycrust_protocol::payload;
///
/// payload::check(&[0x92, 0x01, 0xa1, b'x'])?; // [1, "x"]
///
/// let cut = payload::check(&[0x92, 0x01]).unwrap_err();
/// assert_eq!((cut.offset, cut.reason.as_str()), (0, "2 elements are announced, 1 bytes are left"));
/// # Ok::<(), pycrust_protocol::Malformed>(())
/// ```
pub fn check(bytes: &[u8]) -> Result<(), Malformed> {
    check_within(bytes, 0)
}

/// Like [`check`], of a value that will lie inside `depth` arrays and maps.
pub(crate) fn check_within(bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    skip(&mut reader, depth)?;
    reader.end("the value")
}

/// Passes over one value inside `depth` arrays and maps, and checks it.
pub(crate) fn skip(reader: &mut Reader<'_>, depth: usize) -> Result<(), Malformed> {
    let at = reader.at();
    if depth > MAX_DEPTH {
        return Err(Malformed::new(at, format!("nested deeper than {MAX_DEPTH}")));
    }
    match reader.shape("a value")? {
        Shape::Nil | Shape::Bool(_) | Shape::Unsigned(_) | Shape::Signed(_) => Ok(()),
        Shape::Float(len) => reader.take(len, "a number").map(drop),
        Shape::Str(len) => {
            reader.take(len, "a string").and_then(|bytes| utf8(bytes, at, "a string")).map(drop)
        }
        Shape::Bin(len) => reader.take(len, "a binary").map(drop),
        Shape::Array(len) => elements(reader, at, len, depth),
        Shape::Map(len) => elements(reader, at, len.saturating_mul(2), depth),
        Shape::Extension(len) => extension(reader, at, len),
        Shape::Reserved => Err(Malformed::new(at, "0xc1 is no MessagePack")),
    }
}

/// The elements of an array, or the keys and values of a map.
fn elements(reader: &mut Reader<'_>, at: usize, count: usize, depth: usize) -> Result<(), Malformed> {
    let left = reader.left();
    if count > left {
        // Each element has a byte at least: who allocates by the announced count has been paid for it.
        return Err(Malformed::new(at, format!("{count} elements are announced, {left} bytes are left")));
    }
    (0..count).try_for_each(|_| skip(reader, depth + 1))
}

/// An array's descriptor, an integer, or a timestamp in its 32, 64 or 96-bit form:
/// <https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type>.
fn extension(reader: &mut Reader<'_>, at: usize, len: usize) -> Result<(), Malformed> {
    let kind = reader.take(1, "an extension's type")?[0].cast_signed();
    let data = reader.take(len, "an extension")?;
    if kind == TENSOR_EXTENSION {
        return Tensor::decode(data).map(drop).map_err(|error| Malformed::new(at, error.reason));
    }
    if kind == INTEGER_EXTENSION {
        return Integer::decode(data).map(drop).map_err(|reason| Malformed::new(at, reason));
    }
    if kind != -1 {
        let known = "only timestamps (-1), arrays (1) and integers (2) have a meaning";
        return Err(Malformed::new(at, format!("extension type {kind}, {known}")));
    }
    let nanoseconds = match *data {
        [_, _, _, _] => 0,
        [a, b, c, d, _, _, _, _] => u32::from_be_bytes([a, b, c, d]) >> 2,
        [a, b, c, d, ..] if len == 12 => u32::from_be_bytes([a, b, c, d]),
        _ => {
            return Err(Malformed::new(at, format!("a timestamp of {len} bytes, 4, 8 or 12 are allowed")));
        }
    };
    if nanoseconds > 999_999_999 {
        return Err(Malformed::new(at, format!("a timestamp with {nanoseconds} nanoseconds")));
    }
    Ok(())
}
