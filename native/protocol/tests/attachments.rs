//! Tables of attachments from a side that may be wrong or hostile.

use proptest::collection::vec;
use proptest::prelude::*;
use pycrust_protocol::attachments::{ALIGNMENT, ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::header::Common;
use pycrust_protocol::limits::MAX_BODY_LEN;

/// A sample of `head_len` bytes, a table of these entries, and what makes up `len` bytes.
fn sample(head_len: usize, entries: &[(u64, u64)], len: usize) -> (Common, Vec<u8>) {
    let mut bytes = vec![0; head_len];
    for (offset, len) in entries {
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
    }
    bytes.resize(bytes.len().max(len), 0);
    let attachments = entries.len() as u32;
    (Common { body_len: head_len as u32, attachments, ..Common::default() }, bytes)
}

/// Numbers near those that matter, and any others.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0_u64..20).prop_map(|n| n * ALIGNMENT as u64),
        4 => 0_u64..1400,
        1 => any::<u64>(),
        1 => (0_u64..200).prop_map(|n| u64::MAX - n),
    ]
}

proptest! {
    #[test]
    fn what_is_laid_out_is_found_again(head_len in 0_usize..300, lens in vec(0_usize..500, 0..20)) {
        let table_end = head_len + lens.len() * ENTRY_LEN;
        let (ranges, len) = lay_out(table_end, lens.iter().copied()).expect("it fits");
        let mut bytes = vec![0; head_len];
        put_table(&mut bytes, &ranges);
        bytes.resize(len, 0);
        let common = Common {
            body_len: head_len as u32,
            attachments: lens.len() as u32,
            ..Common::default()
        };
        let found = common.attachments_in(&bytes, bytes.len()).expect("a sound table");
        prop_assert_eq!(&*found, &ranges[..]);
        prop_assert_eq!(found.iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), lens);
    }

    #[test]
    fn what_passes_lies_in_the_sample_and_shares_no_byte(
        head_len in 0_usize..200,
        entries in vec((number(), number()), 0..8),
        len in 0_usize..1400,
    ) {
        let (common, bytes) = sample(head_len, &entries, len);
        let Ok(ranges) = common.attachments_in(&bytes, bytes.len()) else { return Ok(()) };
        let mut taken = vec![false; bytes.len()];
        taken[..head_len + entries.len() * ENTRY_LEN].fill(true);
        for range in &ranges {
            prop_assert!(range.start % ALIGNMENT == 0 && range.end <= bytes.len());
            prop_assert!(range.start >= head_len + entries.len() * ENTRY_LEN);
            for byte in &mut taken[range.clone()] {
                prop_assert!(!std::mem::replace(byte, true), "a byte of two attachments");
            }
        }
    }

    #[test]
    fn what_is_sound_passes(head_len in 0_usize..200, lens in vec(0_usize..300, 1..8), seed in any::<u64>()) {
        // In any order: the table need not follow the sample.
        let table_end = head_len + lens.len() * ENTRY_LEN;
        let (mut ranges, len) = lay_out(table_end, lens.iter().copied()).expect("it fits");
        let turn = seed as usize % ranges.len();
        ranges.rotate_left(turn);
        let entries: Vec<_> =
            ranges.iter().map(|range| (range.start as u64, range.len() as u64)).collect();
        let (common, bytes) = sample(head_len, &entries, len);
        prop_assert_eq!(&*common.attachments_in(&bytes, bytes.len()).expect("a sound table"), &ranges[..]);
    }
}

#[test]
fn nothing_is_laid_out_past_the_largest_frame() {
    assert!(lay_out(0, [MAX_BODY_LEN]).is_some());
    assert!(lay_out(1, [MAX_BODY_LEN]).is_none());
    assert!(lay_out(0, [usize::MAX]).is_none());
    assert!(lay_out(usize::MAX, [1]).is_none());
}
