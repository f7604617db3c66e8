//! The control messages: `(u64 id, str method, bin payload)` and `(u64 id, u8 status, bin payload)`.

use rmp::Marker;

use crate::code::Code;
use crate::error::Malformed;
use crate::limits::MAX_METHOD_LEN;

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
pub fn put_request_head(out: &mut Vec<u8>, id: u64, method: &str, payload_len: usize) {
    out.push(Marker::FixArray(3).to_u8());
    put_uint(out, id);
    put_str(out, method);
    put_bin_head(out, payload_len);
}

/// Appends a response's control message up to its payload, of which `payload_len` bytes must follow.
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
        let mut reader = Reader { bytes, at: 0 };
        reader.array_of_three()?;
        let id = reader.uint("the call id")?;
        let method = reader.str("the method")?;
        if method.is_empty() || method.len() > MAX_METHOD_LEN {
            let len = method.len();
            return Err(Malformed::new(
                reader.at,
                format!("a method name has 1 to {MAX_METHOD_LEN} bytes, this one has {len}"),
            ));
        }
        let payload = reader.bin("the payload")?;
        reader.end()?;
        Ok(Self { id, method, payload })
    }
}

impl<'a> Response<'a> {
    /// Reads a response's control message; `bytes` must hold it and nothing else.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are anything but `(u64, u8, bin)` with a status of 0 to 16.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes, at: 0 };
        reader.array_of_three()?;
        let id = reader.uint("the call id")?;
        let at = reader.at;
        let status = reader.uint("the status")?;
        let status = u8::try_from(status)
            .ok()
            .and_then(Code::from_u8)
            .ok_or_else(|| Malformed::new(at, format!("{status} is not a status code (0 to 16)")))?;
        let payload = reader.bin("the payload")?;
        reader.end()?;
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

fn put_str(out: &mut Vec<u8>, text: &str) {
    // A method name: MAX_METHOD_LEN keeps it far below what 16 bits count.
    let len = text.len() as u16;
    if len < 32 {
        out.push(Marker::FixStr(len as u8).to_u8());
    } else if let Ok(len) = u8::try_from(len) {
        out.push(Marker::Str8.to_u8());
        out.push(len);
    } else {
        out.push(Marker::Str16.to_u8());
        out.extend_from_slice(&len.to_be_bytes());
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
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Malformed> {
        let left = self.bytes.len() - self.at;
        if len > left {
            return Err(Malformed::new(self.at, format!("{what} needs {len} bytes, {left} are left")));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn marker(&mut self, what: &str) -> Result<Marker, Malformed> {
        Ok(Marker::from_u8(self.take(1, what)?[0]))
    }

    fn be(&mut self, len: usize, what: &str) -> Result<u64, Malformed> {
        Ok(self.take(len, what)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn array_of_three(&mut self) -> Result<(), Malformed> {
        let len = match self.marker("the array")? {
            Marker::FixArray(len) => u64::from(len),
            Marker::Array16 => self.be(2, "the array")?,
            Marker::Array32 => self.be(4, "the array")?,
            other => return Err(Malformed::new(0, format!("expected an array of 3, found {other:?}"))),
        };
        if len == 3 {
            Ok(())
        } else {
            Err(Malformed::new(0, format!("expected an array of 3, found one of {len}")))
        }
    }

    fn uint(&mut self, what: &str) -> Result<u64, Malformed> {
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

    fn str(&mut self, what: &str) -> Result<&'a str, Malformed> {
        let at = self.at;
        let len = match self.marker(what)? {
            Marker::FixStr(len) => u64::from(len),
            Marker::Str8 => self.be(1, what)?,
            Marker::Str16 => self.be(2, what)?,
            Marker::Str32 => self.be(4, what)?,
            other => return Err(Malformed::new(at, format!("{what} must be a string, found {other:?}"))),
        };
        let bytes = self.take(len as usize, what)?;
        std::str::from_utf8(bytes)
            .map_err(|error| Malformed::new(at, format!("{what} is not UTF-8: {error}")))
    }

    fn bin(&mut self, what: &str) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let len = match self.marker(what)? {
            Marker::Bin8 => self.be(1, what)?,
            Marker::Bin16 => self.be(2, what)?,
            Marker::Bin32 => self.be(4, what)?,
            other => return Err(Malformed::new(at, format!("{what} must be binary, found {other:?}"))),
        };
        self.take(len as usize, what)
    }

    fn end(&self) -> Result<(), Malformed> {
        let left = self.bytes.len() - self.at;
        if left == 0 {
            Ok(())
        } else {
            Err(Malformed::new(self.at, format!("{left} bytes follow the control message")))
        }
    }
}
