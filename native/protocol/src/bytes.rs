//! Little-endian fields at fixed offsets of a fixed-size array.

use crate::header::HEADER_LEN;

/// The bytes of a header. Every offset below is a constant of the caller's, inside them.
pub(crate) type Raw = [u8; HEADER_LEN];

/// A length that came over the wire; what no memory can hold is more than there is, on a machine of 32 bits, too.
pub(crate) fn length(sent: u64) -> usize {
    usize::try_from(sent).unwrap_or(usize::MAX)
}

pub(crate) fn array<const N: usize>(raw: &Raw, at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

pub(crate) fn u16_at(raw: &Raw, at: usize) -> u16 {
    u16::from_le_bytes(array(raw, at))
}

pub(crate) fn u32_at(raw: &Raw, at: usize) -> u32 {
    u32::from_le_bytes(array(raw, at))
}

pub(crate) fn u64_at(raw: &Raw, at: usize) -> u64 {
    u64::from_le_bytes(array(raw, at))
}

pub(crate) fn put<const N: usize>(raw: &mut Raw, at: usize, value: [u8; N]) {
    raw[at..at + N].copy_from_slice(&value);
}
