//! Trace context as text: W3C's `traceparent`, <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::str::FromStr;

use crate::header::TraceContext;

/// A `traceparent` that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, neither of the first two all zero"
)]
pub struct InvalidTrace;

impl FromStr for TraceContext {
    type Err = InvalidTrace;

    /// Reads a `traceparent`. Of later versions only what version 00 has is read, as the standard asks.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::header::TraceContext;
    ///
    /// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let context: TraceContext = text.parse()?;
    /// assert_eq!((context.trace_id[0], context.flags), (0x4b, 1));
    /// assert_eq!(context.to_string(), text);
    /// # Ok::<(), pycrust_protocol::trace::InvalidTrace>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let mut parts = text.split('-');
        let mut part = |len: usize| parts.next().filter(|part| part.len() == len).ok_or(InvalidTrace);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let version = u8::from_str_radix(lower(version)?, 16).map_err(|_| InvalidTrace)?;
        if version == 0xff || version == 0 && parts.next().is_some() {
            return Err(InvalidTrace);
        }
        let trace = u128::from_str_radix(lower(trace)?, 16).map_err(|_| InvalidTrace)?;
        let span = u64::from_str_radix(lower(span)?, 16).map_err(|_| InvalidTrace)?;
        let flags = u8::from_str_radix(lower(flags)?, 16).map_err(|_| InvalidTrace)?;
        if trace == 0 || span == 0 {
            return Err(InvalidTrace);
        }
        Ok(Self { trace_id: trace.to_be_bytes(), span_id: span.to_be_bytes(), flags })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// The digits, if all are lower-case hexadecimal ones: the standard takes no others, and Rust takes a sign.
fn lower(digits: &str) -> Result<&str, InvalidTrace> {
    digits
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        .then_some(digits)
        .ok_or(InvalidTrace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(good.parse::<TraceContext>().is_ok());
        let later = format!("cc{}-what-comes", &good[2..]);
        assert!(later.parse::<TraceContext>().is_ok(), "a later version may have more");
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-more"),
            &good.replace("00-", "ff-"),
            &good.to_uppercase(),
            &good.replace("4bf9", "+bf9"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTrace), "{bad}");
        }
    }
}
