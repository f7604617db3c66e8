//! The quick way to MessagePack, for values of Python's own basic types: no Python code runs, so nothing can change
//! meanwhile.

use std::ptr;

use pycrust_protocol::limits::MAX_DEPTH;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{Borrowed, ffi};

/// Appends MessagePack of `value`. `false` if it is not as simple as that: then `out` is as it was, and
/// [`encode`](crate::values::encode) knows what to do or what to say.
pub(crate) fn put(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let done = put_value(value, out, 0);
    if !done {
        out.truncate(before);
    }
    done
}

/// Inlined into the loops over containers, whose items are mostly numbers and strings.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: a fifth of the time of a list of numbers")]
fn put_value(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> bool {
    if let Ok(text) = value.cast_exact::<PyString>() {
        put_str(text, out)
    } else if let Ok(int) = value.cast_exact::<PyInt>() {
        put_int(int, out)
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        put_marked(0xcb, float.value().to_be_bytes(), out);
        true
    } else {
        put_rarer(value, out, depth)
    }
}

#[inline(never)]
fn put_rarer(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        put_len(dict.len(), [0x80, 0xde, 0xdf], out)
            && entries(dict)
                .all(|(key, value)| put_value(&key, out, depth + 1) && put_value(&value, out, depth + 1))
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        put_len(list.len(), [0x90, 0xdc, 0xdd], out)
            && borrowed(list).all(|item| put_value(&item, out, depth + 1))
    } else if value.is_none() {
        out.push(0xc0);
        true
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        out.push(if flag.is_true() { 0xc3 } else { 0xc2 });
        true
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        put_len(tuple.len(), [0x90, 0xdc, 0xdd], out)
            && tuple.iter_borrowed().all(|item| put_value(&item, out, depth + 1))
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        put_bin(bytes.as_bytes(), out)
    } else {
        false
    }
}

/// A list's items without a count of references for each: no Python code runs meanwhile, and this module keeps
/// the interpreter lock, so that nothing can take them out of the list.
fn borrowed<'a, 'py>(list: &'a Bound<'py, PyList>) -> impl Iterator<Item = Borrowed<'a, 'py, PyAny>> {
    (0..list.len()).map(|index| {
        // SAFETY: the index is within the list, whose items are objects that it keeps alive.
        unsafe { Borrowed::from_ptr(list.py(), ffi::PyList_GET_ITEM(list.as_ptr(), index.cast_signed())) }
    })
}

/// A dict's items in the same way.
fn entries<'a, 'py>(
    dict: &'a Bound<'py, PyDict>,
) -> impl Iterator<Item = (Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a dict, and room for what is next in it, which are objects that it keeps alive.
        unsafe {
            (ffi::PyDict_Next(dict.as_ptr(), &raw mut at, &raw mut key, &raw mut value) != 0)
                .then(|| (Borrowed::from_ptr(dict.py(), key), Borrowed::from_ptr(dict.py(), value)))
        }
    })
}

/// The shortest form of a signed integer: its low bytes, in the range that each arm names.
#[expect(clippy::cast_sign_loss, reason = "two's complement is what MessagePack wants")]
fn put_int(int: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> bool {
    let mut overflow = 0;
    // SAFETY: an int, and room for the answer; of an int it raises nothing.
    let int = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
    if overflow != 0 {
        return false;
    }
    match int {
        -32..=127 => out.push(int as u8),
        128..=0xff => put_marked(0xcc, [int as u8], out),
        0x100..=0xffff => put_marked(0xcd, (int as u16).to_be_bytes(), out),
        0x1_0000..=0xffff_ffff => put_marked(0xce, (int as u32).to_be_bytes(), out),
        0x1_0000_0000.. => put_marked(0xcf, int.to_be_bytes(), out),
        -0x80..=-33 => put_marked(0xd0, [int as u8], out),
        -0x8000..=-0x81 => put_marked(0xd1, (int as u16).to_be_bytes(), out),
        -0x8000_0000..=-0x8001 => put_marked(0xd2, (int as u32).to_be_bytes(), out),
        _ => put_marked(0xd3, int.to_be_bytes(), out),
    }
    true
}

fn put_str(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> bool {
    let Ok(text) = text.to_str() else { return false };
    match text.len() {
        len @ 0..32 => out.push(0xa0 | len as u8),
        len @ 32..0x100 => put_marked(0xd9, [len as u8], out),
        len @ 0x100..0x1_0000 => put_marked(0xda, (len as u16).to_be_bytes(), out),
        len => match u32::try_from(len) {
            Ok(len) => put_marked(0xdb, len.to_be_bytes(), out),
            Err(_) => return false,
        },
    }
    out.extend_from_slice(text.as_bytes());
    true
}

fn put_bin(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    match bytes.len() {
        len @ 0..0x100 => put_marked(0xc4, [len as u8], out),
        len @ 0x100..0x1_0000 => put_marked(0xc5, (len as u16).to_be_bytes(), out),
        len => match u32::try_from(len) {
            Ok(len) => put_marked(0xc6, len.to_be_bytes(), out),
            Err(_) => return false,
        },
    }
    out.extend_from_slice(bytes);
    true
}

/// A container's length: with its first marker up to 15, then with two bytes, then with four.
fn put_len(len: usize, [short, middle, long]: [u8; 3], out: &mut Vec<u8>) -> bool {
    match len {
        0..16 => out.push(short | len as u8),
        16..0x1_0000 => put_marked(middle, (len as u16).to_be_bytes(), out),
        _ => match u32::try_from(len) {
            Ok(len) => put_marked(long, len.to_be_bytes(), out),
            Err(_) => return false,
        },
    }
    true
}

/// A marker and what belongs to it, in one step.
fn put_marked<const N: usize>(marker: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    // The largest of them, cut: lengths that the compiler knows.
    let mut all = [0; 9];
    all[0] = marker;
    all[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&all[..=N]);
}
