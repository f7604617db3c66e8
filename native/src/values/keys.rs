//! Keys of maps, made once: the same few names come with every call.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Longer keys are made anew.
const LONGEST: usize = 32;
/// Places; a power of two.
const PLACES: usize = 512;

thread_local! {
    /// A key in the place that its bytes hash to; the last one counts.
    static KEYS: RefCell<Vec<Option<Known>>> = const { RefCell::new(Vec::new()) };
}

/// A key and its bytes.
struct Known {
    bytes: [u8; LONGEST],
    len: usize,
    key: Py<PyString>,
}

/// The string with these bytes; an error if they are not UTF-8.
pub(crate) fn key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if bytes.len() > LONGEST {
        return PyString::from_bytes(py, bytes);
    }
    let place = hash(bytes) as usize % PLACES;
    let known = KEYS.with_borrow(|keys| {
        let known = keys.get(place)?.as_ref()?;
        (known.bytes[..known.len] == *bytes).then(|| known.key.bind(py).clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let made = PyString::from_bytes(py, bytes)?;
    let mut known = Known { bytes: [0; LONGEST], len: bytes.len(), key: made.clone().unbind() };
    known.bytes[..bytes.len()].copy_from_slice(bytes);
    // Dropped outside: freeing an object may run code that comes back here.
    let _before = KEYS.with_borrow_mut(|keys| {
        if keys.is_empty() {
            keys.resize_with(PLACES, || None);
        }
        keys[place].replace(known)
    });
    Ok(made)
}

/// FNV-1a: a multiplication a byte, and keys are short.
fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ hash >> 32
}
