//! Where a sample's attachments lie: a table behind the reports, checked before anything in it is used.
//!
//! Attachments begin at multiples of [`ALIGNMENT`], in any order, and share no byte: so the bytes of all of
//! them together never exceed the sample that paid for them.

use std::ops::Range;

use crate::bytes::length;
use crate::error::Malformed;
use crate::header::Common;
use crate::limits::{MAX_ATTACHMENTS, MAX_BODY_LEN};

/// Attachments begin at multiples of this, from the start of the sample, which is itself so aligned.
pub const ALIGNMENT: usize = 64;

/// Bytes of one entry of the table: offset and length, each a little-endian `u64`.
pub const ENTRY_LEN: usize = 16;

/// Appends the table's bytes.
///
/// # Examples
/// ```
/// use pycrust_protocol::attachments::{ENTRY_LEN, lay_out, put_table};
///
/// let (ranges, len) = lay_out(70, [3, 0, 100]).expect("it fits");
/// assert_eq!((ranges, len), (vec![128..131, 192..192, 192..292], 292));
///
/// let mut table = Vec::new();
/// put_table(&mut table, &[64..67]);
/// assert_eq!(table.len(), ENTRY_LEN);
/// ```
pub fn put_table(out: &mut Vec<u8>, ranges: &[Range<usize>]) {
    for range in ranges {
        out.extend_from_slice(&(range.start as u64).to_le_bytes());
        out.extend_from_slice(&(range.len() as u64).to_le_bytes());
    }
}

/// Puts attachments of these lengths one behind the other after the first `head_len` bytes of a sample, which
/// are everything before the table and the table itself. Where each lies, and the length of the whole; `None`
/// if that is larger than a frame may be.
pub fn lay_out(head_len: usize, lens: impl IntoIterator<Item = usize>) -> Option<(Vec<Range<usize>>, usize)> {
    let mut end = head_len;
    let mut ranges = Vec::new();
    for len in lens {
        let start = end.checked_next_multiple_of(ALIGNMENT)?;
        end = start.checked_add(len)?;
        ranges.push(start..end);
    }
    (end <= MAX_BODY_LEN).then_some((ranges, end))
}

impl Common {
    /// Bytes of the attachments' table.
    pub fn table_len(&self) -> usize {
        self.attachments as usize * ENTRY_LEN
    }

    /// Where the attachments of a sample of `sample_len` bytes lie in it, by their numbers. `head` is what precedes
    /// them, or more: a copy of it, where the sample's own bytes could still be changed by whoever sent them.
    ///
    /// # Errors
    /// [`Malformed`] if the head ends before the table does, or an attachment does not lie behind the table,
    /// is not aligned, reaches past the sample's end, or shares bytes with another.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::header::Common;
    ///
    /// let mut sample = vec![0; 128];
    /// sample[..16].copy_from_slice(&[64, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    /// let common = Common { attachments: 1, ..Common::default() };
    /// assert_eq!(*common.attachments_in(&sample[..16], 128)?, [64..69]);
    /// assert!(common.attachments_in(&sample[..16], 68).is_err());
    /// # Ok::<(), pycrust_protocol::Malformed>(())
    /// ```
    pub fn attachments_in(&self, head: &[u8], sample_len: usize) -> Result<Box<[Range<usize>]>, Malformed> {
        if self.attachments == 0 {
            return Ok(Box::default());
        }
        let parts = self.split(head)?;
        let table_end = length(self.announced());
        let table_start = table_end - parts.table.len();
        let (entries, _) = parts.table.as_chunks::<ENTRY_LEN>();
        let mut ranges = Vec::with_capacity(entries.len());
        for (number, entry) in entries.iter().enumerate() {
            let at = table_start + number * ENTRY_LEN;
            ranges.push(
                range(entry, table_end, sample_len)
                    .map_err(|reason| Malformed::new(at, format!("attachment {number} {reason}")))?,
            );
        }
        let mut order: Vec<_> = (0..ranges.len()).filter(|number| !ranges[*number].is_empty()).collect();
        order.sort_unstable_by_key(|number| ranges[*number].start);
        for pair in order.windows(2) {
            if ranges[pair[0]].end > ranges[pair[1]].start {
                let at = table_start + pair[1] * ENTRY_LEN;
                let reason = format!("attachments {} and {} share bytes", pair[0], pair[1]);
                return Err(Malformed::new(at, reason));
            }
        }
        Ok(ranges.into_boxed_slice())
    }

    /// Checks the count of attachments, for a frame of this kind.
    pub(crate) fn check_attachments(&self, may_have_some: bool) -> Result<(), Malformed> {
        let count = self.attachments;
        if count != 0 && !may_have_some {
            return Err(Malformed::new(16, "only requests and responses have attachments"));
        }
        if count as usize > MAX_ATTACHMENTS {
            let reason = format!("{count} attachments, at most {MAX_ATTACHMENTS} are allowed");
            return Err(Malformed::new(16, reason));
        }
        Ok(())
    }
}

/// Reads one entry.
fn range(entry: &[u8; ENTRY_LEN], table_end: usize, sample_len: usize) -> Result<Range<usize>, String> {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&entry[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (offset, len) = (number(0), number(8));
    let end = offset.checked_add(len).filter(|end| *end <= sample_len as u64);
    let Some(end) = end else {
        return Err(format!("has {len} bytes at {offset}, the sample has {sample_len}"));
    };
    if offset < table_end as u64 {
        return Err(format!("begins at {offset}, inside the table and what is before it"));
    }
    if !offset.is_multiple_of(ALIGNMENT as u64) {
        return Err(format!("begins at {offset}, which is no multiple of {ALIGNMENT}"));
    }
    Ok(length(offset)..length(end))
}
