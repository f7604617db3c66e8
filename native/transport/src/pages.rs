//! Which pages of a sending port are known to be there.
//!
//! Asking the kernel costs time in proportion to the length, also if every page is there: a warm sample is sent
//! without asking.

use std::collections::HashMap;
use std::io;

use parking_lot::Mutex;

use crate::memory;

/// The pages of one sending port.
pub(crate) struct Pages {
    inner: Mutex<Inner>,
}

/// What the lock of [`Pages`] protects.
struct Inner {
    /// Bytes that are there from a sample's start on, by its address.
    there: HashMap<usize, usize>,
    /// The largest length that was asked for: a larger one may move the pool to other addresses.
    largest: usize,
}

impl Pages {
    /// Samples of `largest` bytes move nothing.
    pub(crate) fn new(largest: usize) -> Self {
        Self { inner: Mutex::new(Inner { there: HashMap::new(), largest }) }
    }

    /// Before a sample of `len` bytes is asked for: whether that may make a new segment.
    pub(crate) fn grows(&self, len: usize) -> bool {
        let mut inner = self.inner.lock();
        let grows = len > inner.largest;
        if grows {
            inner.largest = len;
            // Addresses that were known may soon be another segment's.
            inner.there.clear();
        }
        grows
    }

    /// Makes the pages of the first `len` bytes of a sample, as far as they are not known to be there.
    pub(crate) fn populate(&self, start: *const u8, len: usize) -> io::Result<()> {
        let known = self.inner.lock().there.get(&start.addr()).copied().unwrap_or(0);
        if known >= len {
            return Ok(());
        }
        let (from, missing) = (start.wrapping_add(known), len - known);
        memory::check_room(missing as u64)?;
        memory::populate(from, missing).inspect_err(|_| {
            // What could be had is of no use, and others need it.
            memory::give_back(from, missing);
        })?;
        self.inner.lock().there.insert(start.addr(), len);
        Ok(())
    }

    /// How many samples are known to have pages.
    pub(crate) fn warm(&self) -> usize {
        self.inner.lock().there.len()
    }

    /// Gives back the pages of a sample that is in nobody's use; how many bytes.
    pub(crate) fn give_back(&self, start: *const u8) -> usize {
        let mut inner = self.inner.lock();
        let Some(len) = inner.there.remove(&start.addr()) else { return 0 };
        memory::give_back(start, len)
    }
}
