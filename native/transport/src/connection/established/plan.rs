//! Where a frame's parts and attachments go in its sample.

use std::ops::Range;

use pycrust_protocol::attachments::{ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::limits::{MAX_ATTACHMENTS, MAX_BODY_LEN};

use crate::connection::block::Attachment;
use crate::error::SendError;
use crate::memory::reserve::{OWN_PAGES, PAGE, place};

/// The layout of one frame.
pub(super) struct Plan {
    /// Bytes of everything before the table.
    head_len: usize,
    /// Where the attachments go, by their numbers.
    ranges: Vec<Range<usize>>,
    /// Bytes of the sample.
    len: usize,
    /// Attachments that begin at a page of their own, if they can.
    large: usize,
}

impl Plan {
    /// One behind the other. Nothing is allocated for a frame without attachments.
    pub(super) fn new(head_len: usize, attachments: &[Attachment]) -> Result<Self, SendError> {
        let too_large = |len| SendError::TooLarge { len, max: MAX_BODY_LEN };
        if attachments.len() > MAX_ATTACHMENTS {
            let reason = format!("{} arrays in one frame, {MAX_ATTACHMENTS} are the most", attachments.len());
            return Err(SendError::Failed(reason));
        }
        let table_end = head_len + attachments.len() * ENTRY_LEN;
        match lay_out(table_end, attachments.iter().map(Attachment::len)) {
            Some((ranges, len)) => {
                let large = ranges.iter().filter(|range| range.len() >= OWN_PAGES).count();
                Ok(Self { head_len, ranges, len, large })
            }
            None => {
                let lens = attachments.iter().map(Attachment::len);
                Err(too_large(lens.fold(table_end, usize::saturating_add)))
            }
        }
    }

    /// Bytes of a sample in which large attachments find pages of their own, wherever it begins.
    pub(super) fn room(&self) -> usize {
        let pages = if self.large > 0 { (self.large + 1) * PAGE } else { 0 };
        Some(self.len + pages).filter(|room| *room <= MAX_BODY_LEN).unwrap_or(self.len)
    }

    /// The same frame in a sample of `len` bytes that begins at `address`: large attachments on pages of their
    /// own, if there is room for that.
    pub(super) fn at(self, address: usize, len: usize) -> Self {
        if len == self.len {
            return self;
        }
        let mut end = self.head_len + self.ranges.len() * ENTRY_LEN;
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let Some(range) = place(address, end, range.len(), len) else { return self };
            end = range.end;
            ranges.push(range);
        }
        Self { ranges, len, ..self }
    }

    /// Around attachments that lie at these places of a sample of `len` bytes at `address` already; those
    /// without a place are put behind `used`. `None` if that has no room.
    pub(super) fn around(
        head_len: usize,
        used: usize,
        (address, len): (usize, usize),
        places: impl Iterator<Item = Result<Range<usize>, usize>>,
    ) -> Option<Self> {
        let mut end = used;
        let mut ranges = Vec::new();
        for given in places {
            let range = match given {
                Ok(range) => range,
                Err(bytes) => {
                    let found = place(address, end, bytes, len)?;
                    end = found.end;
                    found
                }
            };
            ranges.push(range);
        }
        let first = ranges.iter().map(|range| range.start).min().unwrap_or(len);
        let fits = head_len + ranges.len() * ENTRY_LEN <= first && end <= len;
        fits.then_some(Self { head_len, ranges, len, large: 0 })
    }

    /// Bytes of the sample.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes from the start of the sample that are used.
    pub(super) fn end(&self) -> usize {
        self.ranges.iter().map(|range| range.end).max().unwrap_or(self.len)
    }

    /// Writes parts and table.
    pub(super) fn fill_head(&self, parts: &[&[u8]], target: &mut [u8]) {
        let mut at = 0;
        for part in parts {
            target[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        if !self.ranges.is_empty() {
            let mut table = Vec::with_capacity(self.ranges.len() * ENTRY_LEN);
            put_table(&mut table, &self.ranges);
            target[self.head_len..self.head_len + table.len()].copy_from_slice(&table);
        }
    }

    /// Writes one attachment.
    pub(super) fn fill_attachment(&self, number: usize, attachment: &Attachment, target: &mut [u8]) {
        attachment.write(&mut target[self.ranges[number].clone()]);
    }

    /// Writes everything.
    pub(super) fn fill(&self, parts: &[&[u8]], attachments: &[Attachment], target: &mut [u8]) {
        self.fill_head(parts, target);
        for (number, attachment) in attachments.iter().enumerate() {
            self.fill_attachment(number, attachment, target);
        }
    }
}
