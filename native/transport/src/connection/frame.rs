//! A frame that was received, and its attachments, which may be kept.

use std::ops::Range;
use std::sync::Arc;

use pycrust_protocol::attachments::lay_out;
use pycrust_protocol::header::HEADER_LEN;

use crate::connection::block::{Attachment, Piece};
use crate::connection::view::{InPort, View};

/// A received frame, for as long as whoever receives looks at it.
///
/// What is read of it is this process's own copy: whoever sent it can't change what was checked. Only attachments stay
/// where they are, of which nothing is checked.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    header: &'a [u8; HEADER_LEN],
    head: &'a [u8],
    sample: &'a [u8],
    /// The sample itself, if it may be kept.
    view: Option<&'a View>,
    /// Who counts copies that are made since no more samples may be kept.
    at_bound: Option<&'a InPort>,
}

impl<'a> Frame<'a> {
    /// A frame whose attachments are copied if they are kept.
    pub fn new(header: &'a [u8; HEADER_LEN], head: &'a [u8], sample: &'a [u8]) -> Self {
        Self { header, head, sample, view: None, at_bound: None }
    }

    /// A frame whose sample may be kept.
    pub(crate) fn viewed(header: &'a [u8; HEADER_LEN], head: &'a [u8], view: &'a View) -> Self {
        Self { view: Some(view), ..Self::new(header, head, view) }
    }

    /// A frame whose sample could be kept if there were not too many of those.
    pub(crate) fn at_bound(
        header: &'a [u8; HEADER_LEN],
        head: &'a [u8],
        sample: &'a [u8],
        port: &'a InPort,
    ) -> Self {
        Self { at_bound: Some(port), ..Self::new(header, head, sample) }
    }

    /// The fixed header.
    pub fn header(&self) -> &'a [u8; HEADER_LEN] {
        self.header
    }

    /// The bytes of the sample before its attachments, copied.
    pub fn head(&self) -> &'a [u8] {
        self.head
    }

    /// Bytes of the whole sample.
    pub fn sample_len(&self) -> usize {
        self.sample.len()
    }

    /// Keeps the attachments, which lie at these places of the sample: as a view of it, or copied where it is
    /// small or too many are kept.
    ///
    /// # Panics
    /// If a range is not inside the sample.
    pub fn attachments(&self, ranges: Box<[Range<usize>]>) -> Attachments {
        if ranges.is_empty() {
            return Attachments::default();
        }
        if let Some(view) = self.view {
            return Attachments::new(view.clone(), 0, ranges);
        }
        if let Some(port) = self.at_bound {
            port.count_copy();
        }
        // From the first to the last of them: what lies between keeps its alignment.
        let base = ranges.iter().map(|range| range.start).min().unwrap_or_default();
        let end = ranges.iter().map(|range| range.end).max().unwrap_or_default();
        Attachments::new(View::copy_of(&self.sample[base..end]), base, ranges)
    }
}

/// A frame's attachments; cheap to clone, and to have where there are none.
#[derive(Debug, Clone, Default)]
pub struct Attachments(Option<Arc<Kept>>);

/// Attachments that are kept.
#[derive(Debug)]
struct Kept {
    /// What they lie in.
    view: View,
    /// Where that begins in the sample.
    base: usize,
    /// Where they lie in the sample.
    ranges: Box<[Range<usize>]>,
}

impl Attachments {
    fn new(view: View, base: usize, ranges: Box<[Range<usize>]>) -> Self {
        Self(Some(Arc::new(Kept { view, base, ranges })))
    }

    /// No attachments.
    pub const fn none() -> Self {
        Self(None)
    }

    /// What attachments would arrive as, if they were copied.
    pub fn copies(attachments: &[Attachment]) -> Self {
        let Some((ranges, len)) = lay_out(0, attachments.iter().map(Attachment::len)) else {
            return Self::none();
        };
        if ranges.is_empty() {
            return Self::none();
        }
        let mut bytes = Piece::on_heap(len);
        for (attachment, range) in attachments.iter().zip(&ranges) {
            attachment.write(&mut bytes.bytes_mut()[range.clone()]);
        }
        Self::new(View::copy_of(bytes.bytes()), 0, ranges.into_boxed_slice())
    }

    /// Copies of these bytes, each an attachment.
    pub fn of(parts: &[&[u8]]) -> Self {
        let Some((ranges, len)) = lay_out(0, parts.iter().map(|part| part.len())) else {
            return Self::none();
        };
        if ranges.is_empty() {
            return Self::none();
        }
        let mut bytes = Piece::on_heap(len);
        for (part, range) in parts.iter().zip(&ranges) {
            bytes.bytes_mut()[range.clone()].copy_from_slice(part);
        }
        Self::new(View::copy_of(bytes.bytes()), 0, ranges.into_boxed_slice())
    }

    /// A copy on the heap, which keeps nothing in shared memory.
    #[must_use]
    pub fn copied(&self) -> Self {
        let views = (0..self.len()).filter_map(|number| self.get(number)).collect::<Vec<_>>();
        Self::of(&views.iter().map(|view| &**view).collect::<Vec<_>>())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.ranges.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One of them, by its number.
    pub fn get(&self, number: usize) -> Option<View> {
        let kept = self.0.as_ref()?;
        let range = kept.ranges.get(number)?;
        Some(kept.view.slice(range.start - kept.base..range.end - kept.base))
    }

    /// Bytes of them all.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.ranges.iter().map(ExactSizeIterator::len).sum())
    }

    /// Bytes of them that this process holds on its heap.
    pub fn copied_len(&self) -> usize {
        self.0.as_ref().filter(|kept| !kept.view.is_shared()).map_or(0, |kept| kept.view.len())
    }
}

impl PartialEq for Attachments {
    /// Whether they hold the same bytes.
    fn eq(&self, other: &Self) -> bool {
        let same = |number| self.get(number).as_deref() == other.get(number).as_deref();
        self.len() == other.len() && (0..self.len()).all(same)
    }
}

impl Eq for Attachments {}
