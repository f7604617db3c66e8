//! Where a sample's parts and its attachments lie.

use std::ops::Range;

use pycrust_protocol::attachments::{ALIGNMENT, ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::header::Common;
use pycrust_protocol::limits::MAX_BODY_LEN;
use pycrust_protocol::report::{REPORT_LEN, Report};

use crate::cursor::Cursor;

/// A sample is cut where its header says, and its table is taken exactly if it keeps every rule.
pub fn sample(data: &[u8]) {
    let mut input = Cursor::new(data);
    let small =
        |input: &mut Cursor<'_>| if input.seldom() { input.word() as u32 } else { input.byte().into() };
    let common = Common {
        body_len: small(&mut input),
        metadata_len: small(&mut input),
        attachments: small(&mut input) / 8,
        reports: small(&mut input) / 16,
        ..Common::default()
    };
    let more = input.number();
    let sample = input.rest();
    let lens = [
        common.body_len as usize,
        common.metadata_len as usize,
        common.reports as usize * REPORT_LEN,
        common.attachments as usize * ENTRY_LEN,
    ];
    let announced = lens.iter().sum::<usize>();
    let Ok(parts) = common.split(sample) else {
        assert!(announced > sample.len());
        return;
    };
    assert!(announced <= sample.len());
    assert_eq!([parts.control, parts.metadata, parts.reports, parts.table].map(<[u8]>::len), lens);
    assert_eq!(
        [parts.control, parts.metadata, parts.reports, parts.table].concat(),
        sample[..announced],
        "the parts lie one behind the other"
    );
    assert_eq!(Report::read_all(parts.reports).count(), common.reports as usize);
    // The sample is as long as it is, or as long as somebody says.
    for sample_len in [sample.len(), usize::try_from(more).unwrap_or(usize::MAX)] {
        let ranges = common.attachments_in(sample, sample_len);
        let expected = expected(parts.table, announced, sample_len);
        assert_eq!(ranges.as_deref().ok(), expected.as_deref(), "{ranges:?}");
    }
}

/// The attachments of a table, by the rules as they are written down.
fn expected(table: &[u8], table_end: usize, sample_len: usize) -> Option<Vec<Range<usize>>> {
    let number = |raw: &[u8]| raw.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for entry in table.chunks(ENTRY_LEN) {
        let (start, len) = (number(&entry[..8]), number(&entry[8..]));
        let fits = start >= table_end as u128
            && start.is_multiple_of(ALIGNMENT as u128)
            && start + len <= sample_len as u128;
        if !fits {
            return None;
        }
        let range = start as usize..(start + len) as usize;
        let shares = |other: &Range<usize>| {
            !other.is_empty() && !range.is_empty() && range.start < other.end && other.start < range.end
        };
        if ranges.iter().any(shares) {
            return None;
        }
        ranges.push(range);
    }
    Some(ranges)
}

/// Attachments of any lengths lie where the receiver takes them, or are refused as too much.
pub fn layout(data: &[u8]) {
    let mut input = Cursor::new(data);
    let control_len = usize::from(input.byte());
    let mut lens = Vec::new();
    while !input.is_empty() && lens.len() < 512 {
        lens.push(usize::try_from(input.number()).unwrap_or(usize::MAX));
    }
    let head_len = control_len + lens.len() * ENTRY_LEN;
    let Some((ranges, len)) = lay_out(head_len, lens.iter().copied()) else {
        let least = lens.iter().fold(head_len, |sum, len| sum.saturating_add(*len));
        assert!(least.saturating_add(lens.len() * ALIGNMENT) > MAX_BODY_LEN, "{lens:?}");
        return;
    };
    assert!(len <= MAX_BODY_LEN);
    assert_eq!(ranges.iter().map(Range::len).collect::<Vec<_>>(), lens);
    let mut head = vec![0; control_len];
    put_table(&mut head, &ranges);
    let common = Common { body_len: control_len as u32, attachments: lens.len() as u32, ..Common::default() };
    assert_eq!(common.attachments_in(&head, len).as_deref(), Ok(&*ranges));
}

/// Reports are cut from any bytes, and written as they were read.
pub fn reports(data: &[u8]) {
    let read: Vec<Report> = Report::read_all(data).collect();
    assert_eq!(read.len(), data.len() / REPORT_LEN);
    let mut again = Vec::new();
    for report in &read {
        report.put(&mut again);
    }
    assert_eq!(Report::read_all(&again).collect::<Vec<_>>(), read);
    for (one, other) in data.chunks_exact(REPORT_LEN).zip(again.chunks_exact(REPORT_LEN)) {
        assert_eq!((&one[..29], &other[29..]), (&other[..29], &[0; 3][..]));
    }
}
