//! Which pages of a sending port are known to be there.
//!
//! Asking the kernel costs time in proportion to the length, also if every page is there: a warm sample is sent
//! without asking.

use std::collections::HashMap;
use std::io;

use crate::memory::{cgroup, reserve};
use crate::sync::Mutex;

/// The pages of one sending port.
pub(crate) struct Pages {
    inner: Mutex<Inner>,
}

/// What the lock of [`Pages`] protects.
struct Inner {
    /// Bytes that are there from a sample's start on, by its address.
    there: HashMap<usize, usize>,
    /// The largest sample that was had: a larger one may move the pool to other addresses.
    largest: usize,
    /// How often that has happened.
    generation: u64,
}

impl Pages {
    /// Samples of `largest` bytes move nothing.
    pub(crate) fn new(largest: usize) -> Self {
        Self { inner: Mutex::new(Inner { there: HashMap::new(), largest, generation: 0 }) }
    }

    /// Whether a sample of `len` bytes may make a new segment.
    pub(crate) fn grows(&self, len: usize) -> bool {
        len > self.inner.lock().largest
    }

    /// A sample of `len` bytes was had: the generation that it belongs to.
    pub(crate) fn had(&self, len: usize) -> u64 {
        let mut inner = self.inner.lock();
        if len > inner.largest {
            inner.largest = len;
            inner.generation += 1;
            // Addresses that were known may soon be another segment's.
            inner.there.clear();
        }
        inner.generation
    }

    /// Makes the pages of the first `len` bytes of a sample, as far as they are not known to be there.
    pub(crate) fn populate(&self, start: *const u8, len: usize, generation: u64) -> io::Result<()> {
        let known = {
            let inner = self.inner.lock();
            let known = inner.there.get(&start.addr()).copied().unwrap_or(0);
            if inner.generation == generation { known } else { 0 }
        };
        if known >= len {
            return Ok(());
        }
        let (from, missing) = (start.wrapping_add(known), len - known);
        reserve::check_room(missing as u64)?;
        cgroup::check(missing as u64)?;
        reserve::populate(from, missing).inspect_err(|_| {
            // What could be had is of no use, and others need it.
            reserve::give_back(from, missing);
        })?;
        let mut inner = self.inner.lock();
        // A sample of an older segment keeps that alive; once it is freed, its addresses may be another's.
        if inner.generation == generation {
            inner.there.insert(start.addr(), len);
        }
        Ok(())
    }

    /// How many samples are known to have pages.
    pub(crate) fn warm(&self) -> usize {
        self.inner.lock().there.len()
    }

    /// Gives back the pages of a sample that is in nobody's use; how many bytes. `None` if it is not known to have
    /// any.
    pub(crate) fn give_back(&self, start: *const u8) -> Option<usize> {
        let len = self.inner.lock().there.remove(&start.addr())?;
        Some(reserve::give_back(start, len))
    }
}
