//! The control messages: `(u64 id, str method, bin payload)` and `(u64 id, u8 status, bin payload)`.

use rmp::Marker;

use crate::code::Code;
use crate::error::Malformed;
use crate::limits::MAX_METHOD_LEN;
use crate::reader::Reader;

/// A request's control message, borrowed from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The caller's number for this call; its low 16 bits are the call's slot.
    pub id: u64,
    /// The handler to call.
    pub method: &'a str,
    /// The arguments as MessagePack.
    pub payload: &'a [u8],
}

/// A response's control message, borrowed from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The id of the request that this answers.
    pub id: u64,
    /// How the call ended.
    pub status: Code,
    /// The result as MessagePack; for an error, an [`ErrorPayload`](crate::ErrorPayload).
    pub payload: &'a [u8],
}

/// Appends a request's control message up to its payload, of which `payload_len` bytes must follow.
///
/// # Examples
/// ```
/// use pycrust_protocol::control::{Request, put_request_head};
///
/// let mut bytes = Vec::new();
/// put_request_head(&mut bytes, 7, "add", 2);
/// bytes.extend_from_slice(&[0x91, 0x05]); // [5]
/// assert_eq!(bytes, b"\x93\x07\xa3add\xc4\x02\x91\x05");
///
/// let request = Request::decode(&bytes)?;
/// assert_eq!((request.id, request.method, request.payload), (7, "add", &[0x91, 0x05][..]));
/// # Ok::<(), pycrust_protocol::Malformed>(())
/// ```
pub fn put_request_head(out: &mut Vec<u8>, id: u64, method: &str, payload_len: usize) {
    out.push(Marker::FixArray(3).to_u8());
    put_uint(out, id);
    put_str(out, method);
    put_bin_head(out, payload_len);
}

/// Appends a response's control message up to its payload, of which `payload_len` bytes must follow.
///
/// # Examples
/// ```
/// use pycrust_protocol::Code;
/// use pycrust_protocol::control::{Response, put_response_head};
///
/// let mut bytes = Vec::new();
/// put_response_head(&mut bytes, 7, Code::Ok, 1);
/// bytes.push(0x05);
///
/// let response = Response::decode(&bytes)?;
/// assert_eq!((response.status, response.payload), (Code::Ok, &[0x05][..]));
/// # Ok::<(), pycrust_protocol::Malformed>(())
/// ```
pub fn put_response_head(out: &mut Vec<u8>, id: u64, status: Code, payload_len: usize) {
    out.push(Marker::FixArray(3).to_u8());
    put_uint(out, id);
    put_uint(out, u64::from(u8::from(status)));
    put_bin_head(out, payload_len);
}

impl<'a> Request<'a> {
    /// Reads a request's control message; `bytes` must hold it and nothing else.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are anything but `(u64, str, bin)` or the method's name is too long.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.array_of_three()?;
        let id = reader.uint("the call id")?;
        let method = reader.short_str(MAX_METHOD_LEN, "the method's name")?;
        let payload = reader.bin("the payload")?;
        reader.end("the control message")?;
        Ok(Self { id, method, payload })
    }

    /// The call id of a control message that can't be decoded as a whole, if that much of it is sound: its
    /// caller can then be told.
    pub fn decode_id(bytes: &'a [u8]) -> Option<u64> {
        let mut reader = Reader::new(bytes);
        reader.array_of_three().ok()?;
        reader.uint("the call id").ok()
    }
}

impl<'a> Response<'a> {
    /// Reads a response's control message; `bytes` must hold it and nothing else.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are anything but `(u64, u8, bin)` with a status of 0 to 16.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.array_of_three()?;
        let id = reader.uint("the call id")?;
        let at = reader.at();
        let status = reader.uint("the status")?;
        let status = u8::try_from(status)
            .ok()
            .and_then(Code::from_u8)
            .ok_or_else(|| Malformed::new(at, format!("{status} is not a status code (0 to 16)")))?;
        let payload = reader.bin("the payload")?;
        reader.end("the control message")?;
        Ok(Self { id, status, payload })
    }
}

fn put_uint(out: &mut Vec<u8>, value: u64) {
    if let Ok(small) = u8::try_from(value) {
        if small >= 128 {
            out.push(Marker::U8.to_u8());
        }
        out.push(small);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(Marker::U16.to_u8());
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(Marker::U32.to_u8());
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(Marker::U64.to_u8());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    // A name beyond MAX_METHOD_LEN is still written as it is, for the other side to refuse by its length.
    let len = text.len();
    match u8::try_from(len) {
        Ok(len @ 0..32) => out.push(Marker::FixStr(len).to_u8()),
        Ok(len) => out.extend_from_slice(&[Marker::Str8.to_u8(), len]),
        Err(_) => {
            if let Ok(len) = u16::try_from(len) {
                out.push(Marker::Str16.to_u8());
                out.extend_from_slice(&len.to_be_bytes());
            } else {
                out.push(Marker::Str32.to_u8());
                out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn put_bin_head(out: &mut Vec<u8>, len: usize) {
    if let Ok(len) = u8::try_from(len) {
        out.push(Marker::Bin8.to_u8());
        out.push(len);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(Marker::Bin16.to_u8());
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(Marker::Bin32.to_u8());
        // Far beyond MAX_BODY_LEN: a length that was cut off instead would be believed.
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
}
