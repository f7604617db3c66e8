//! What travels beside a request or an answer: names with texts or bytes.

use crate::error::Malformed;
use crate::limits::MAX_METADATA_LEN;
use crate::reader::{Reader, Shape, utf8};

/// Checks that `bytes` are nothing, or one MessagePack map from strings to strings or binary.
///
/// # Errors
/// [`Malformed`] with the offset in `bytes` and the reason.
///
/// # Examples
/// ```
/// use pycrust_protocol::metadata;
///
/// metadata::check(b"\x81\xa4user\xa3ada")?; // {"user": "ada"}
/// metadata::check(b"")?;
/// assert_eq!(metadata::check(b"\x81\xa4user\x07").unwrap_err().offset, 6);
/// # Ok::<(), pycrust_protocol::Malformed>(())
/// ```
pub fn check(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.is_empty() {
        return Ok(());
    }
    if bytes.len() > MAX_METADATA_LEN {
        let reason = format!("metadata of {} bytes, at most {MAX_METADATA_LEN} are allowed", bytes.len());
        return Err(Malformed::new(MAX_METADATA_LEN, reason));
    }
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.map_len("the metadata")? {
        reader.str("a name of the metadata")?;
        let at = reader.at();
        match reader.shape("a value of the metadata")? {
            Shape::Str(len) => {
                utf8(reader.take(len, "a value of the metadata")?, at, "a value of the metadata")?;
            }
            Shape::Bin(len) => drop(reader.take(len, "a value of the metadata")?),
            other => {
                let reason = format!("a value of the metadata must be a string or binary, found {other}");
                return Err(Malformed::new(at, reason));
            }
        }
    }
    reader.end("the metadata")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_with_texts_or_bytes_pass() {
        for bytes in [&b""[..], b"\x80", b"\x81\xa1a\xa1b", b"\x82\xa1a\xc4\x02\xff\xfe\xa0\xd9\x01x"] {
            assert_eq!(check(bytes), Ok(()));
        }
        for bytes in [
            &b"\xc0"[..],
            b"\x90",
            b"\x81\xa1a",
            b"\x81\xa1a\xc0",
            b"\x81\xa1a\x80",
            b"\x81\x01\xa1b",
            b"\x81\xa1\xff\xa1b",
            b"\x81\xa1a\xa1\xff",
            b"\x80\x80",
            b"\xdf\xff\xff\xff\xff",
            b"\x81\xa1a\xc6\xff\xff\xff\xff",
        ] {
            assert!(check(bytes).is_err(), "{bytes:x?}");
        }
        assert!(check(&vec![0x80; MAX_METADATA_LEN + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
