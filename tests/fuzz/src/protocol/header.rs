//! The fixed header.

use pycrust_protocol::header::{Common, HEADER_LEN, Header};
use pycrust_protocol::limits::{MAX_ATTACHMENTS, MAX_BODY_LEN, MAX_METADATA_LEN, PROTOCOL_VERSION};

/// Bytes that no field of a header of this kind has.
fn reserved(kind: u8, at: usize) -> bool {
    match kind {
        1 => matches!(at, 73..=75 | 84..=87 | 96..),
        2 => matches!(at, 44..=47 | 104..),
        3 => at >= 32,
        _ => at >= 56,
    }
}

/// What decodes is within the limits and encodes to the same bytes, but for reserved ones; what does not is refused at
/// a byte of the header.
pub fn header(data: &[u8]) {
    let mut raw = [0; HEADER_LEN];
    let len = data.len().min(HEADER_LEN);
    raw[..len].copy_from_slice(&data[..len]);
    // An input says how its version differs from ours, so that a corpus outlives a version.
    for (byte, ours) in raw[4..6].iter_mut().zip(PROTOCOL_VERSION.to_le_bytes()) {
        *byte ^= ours;
    }
    let sample_len = data.len();
    assert!(Common::head_len(&raw, sample_len) <= sample_len);
    let decoded = match Header::decode(&raw) {
        Ok(decoded) => decoded,
        Err(refused) => {
            assert!(refused.offset < HEADER_LEN && !refused.reason.is_empty(), "{refused}");
            return;
        }
    };
    let common = decoded.common();
    let parts = u64::from(common.body_len)
        + u64::from(common.metadata_len)
        + u64::from(common.reports) * 32
        + u64::from(common.attachments) * 16;
    assert!(parts <= MAX_BODY_LEN as u64, "{common:?}");
    assert!(common.metadata_len as usize <= MAX_METADATA_LEN);
    assert!(common.attachments as usize <= MAX_ATTACHMENTS);
    let again = match decoded {
        Header::Request(header) => {
            if let Some(expires) = header.expires_ns() {
                assert!(expires >= header.common.sent_ns, "a sum that wrapped");
            }
            header.encode()
        }
        Header::Response(header) => header.encode(),
        Header::Report(common) => common.encode_report(),
        Header::Credit(credit) => credit.encode(),
    };
    for at in 0..HEADER_LEN {
        if reserved(raw[6], at) {
            assert_eq!(again[at], 0, "byte {at} is reserved");
        } else {
            assert_eq!(again[at], raw[at], "byte {at} of {raw:x?}");
        }
    }
    assert_eq!(Header::decode(&again), Ok(decoded));
}
