//! What the protocol says of MessagePack, from `rmpv`'s reading of it: another reader, written by others.

use std::collections::HashSet;

use rmpv::Value;

/// Arrays and maps that a value may lie inside, from `SPEC.md`.
const DEPTH: usize = 128;

/// Far deeper than what may cross, and no deeper than a test's stack.
const RMPV_DEPTH: usize = 600;

/// The value at the start of `bytes`, and how many bytes it takes. `rmpv` reads the byte that means nothing as nil.
pub fn first(bytes: &[u8]) -> Option<(Value, usize)> {
    let mut left = bytes;
    let value = rmpv::decode::read_value_with_max_depth(&mut left, RMPV_DEPTH).ok()?;
    Some((value, bytes.len() - left.len()))
}

/// The one value that `bytes` are.
pub fn whole(bytes: &[u8]) -> Option<Value> {
    first(bytes).filter(|(_, len)| *len == bytes.len()).map(|(value, _)| value)
}

/// Whether a value may cross that lies inside `depth` arrays and maps.
pub fn crosses(value: &Value, depth: usize) -> bool {
    depth <= DEPTH
        && match value {
            Value::String(text) => text.as_str().is_some(),
            Value::Array(items) => items.iter().all(|item| crosses(item, depth + 1)),
            Value::Map(entries) => {
                entries.iter().all(|(key, value)| crosses(key, depth + 1) && crosses(value, depth + 1))
            }
            Value::Ext(kind, data) => extension(*kind, data),
            _ => true,
        }
}

fn extension(kind: i8, data: &[u8]) -> bool {
    match kind {
        -1 => moment(data),
        1 => tensor(data).is_some(),
        2 => integer(data),
        _ => false,
    }
}

/// A timestamp of MessagePack's specification.
fn moment(data: &[u8]) -> bool {
    let nanoseconds = |raw: &[u8]| raw.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    match data.len() {
        4 => true,
        8 => nanoseconds(&data[..4]) / 4 < 1_000_000_000,
        12 => nanoseconds(&data[..4]) < 1_000_000_000,
        _ => false,
    }
}

/// 17 bytes, of -2^127 to 2^128 - 1.
pub fn integer(data: &[u8]) -> bool {
    data.len() == 17 && (data[0] == 0 || data[0] == 0xff && data[1] >= 0x80)
}

/// Bytes of a number, by its type.
const SIZES: [u128; 16] = [0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 8, 16];

/// The type of elements that have fields.
const RECORD: u8 = 16;

/// What an array's elements take, from its descriptor, if it is one.
pub fn tensor(data: &[u8]) -> Option<usize> {
    if data.len() < 8 || data[1] > 3 || data[2] > 64 || data[3] != 0 {
        return None;
    }
    let (shape, rest) = data[8..].split_at_checked(usize::from(data[2]) * 8)?;
    let size = match data[0] {
        RECORD if data[1] & 1 == 0 => record(rest)?,
        kind => *SIZES.get(usize::from(kind)).filter(|size| **size > 0 && rest.is_empty())?,
    };
    let sizes: Vec<u128> = shape
        .chunks(8)
        .map(|raw| raw.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte)))
        .collect();
    if sizes.contains(&0) {
        return Some(0);
    }
    // Each factor is below 2^64 and the product is given up at 2^63: it can't pass 2^128.
    let bytes =
        sizes.iter().try_fold(size, |bytes, size| (bytes * size <= i64::MAX as u128).then_some(bytes * size));
    bytes.and_then(|bytes| usize::try_from(bytes).ok())
}

/// The bytes of a record, from what is said of its fields, if that is what it is.
fn record(data: &[u8]) -> Option<u128> {
    let (head, mut left) = data.split_at_checked(8)?;
    let number = |raw: &[u8]| raw.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    let (size, count) = (number(&head[..4]), number(&head[4..6]));
    if head[6..] != [0, 0] || count == 0 || count > 1024 || size > 1 << 30 {
        return None;
    }
    let (mut taken, mut names) = (Vec::new(), HashSet::new());
    for _ in 0..count {
        let (field, behind) = left.split_at_checked(8)?;
        let (shape, behind) = behind.split_at_checked(usize::from(field[2]) * 4)?;
        let (name, behind) = behind.split_at_checked(usize::from(field[3]))?;
        left = behind;
        let one = *SIZES.get(usize::from(field[0])).filter(|size| **size > 0)?;
        let strings = field[1] & 2 == 0 || (field[0] == 2 && field[2] > 0);
        if field[1] > 3 || field[2] > 8 || !strings || name.is_empty() {
            return None;
        }
        // Given up at 2^30: it can't pass 2^64.
        let len = shape.chunks(4).map(number).try_fold(one, |len, size| {
            let len = len * size;
            (1..=1 << 30).contains(&len).then_some(len)
        })?;
        let start = number(&field[4..]);
        if start + len > size || !names.insert(std::str::from_utf8(name).ok()?) {
            return None;
        }
        taken.push(start..start + len);
    }
    taken.sort_by_key(|bytes| bytes.start);
    let apart = taken.windows(2).all(|pair| pair[0].end <= pair[1].start);
    (apart && left.is_empty()).then_some(size)
}

/// Whether two values are the same; a float is what its bits are.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits(),
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same(&one.0, &other.0) && same(&one.1, &other.1))
        }
        _ => one == other,
    }
}
