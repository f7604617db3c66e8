//! Python objects to MessagePack.

use pycrust_protocol::integer::{INTEGER_EXTENSION, INTEGER_LEN, Integer};
use pycrust_protocol::limits::MAX_DEPTH;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet, PyString,
    PyTuple,
};
use rmp::encode as write;

use crate::values::attached::Attached;
use crate::values::{plain, timestamp};

/// A value that can't cross: where it is and why.
pub(crate) struct Refused {
    /// Steps from the value inwards, innermost first while the error travels outwards.
    path: Vec<String>,
    reason: PyErr,
}

impl Refused {
    fn within(mut self, step: impl FnOnce() -> String) -> Self {
        self.path.push(step());
        self
    }
}

impl From<PyErr> for Refused {
    fn from(reason: PyErr) -> Self {
        Self { path: Vec::new(), reason }
    }
}

/// Where a value goes.
struct Out<'a> {
    bytes: &'a mut Vec<u8>,
    /// Where its arrays go, if it may have some.
    attached: Option<&'a mut Attached>,
}

/// Appends MessagePack of `value`, which has no arrays; leaves `out` as it was if that fails.
///
/// The error is a `TypeError` or `ValueError` that names the path to the value, `$` for the whole.
pub(crate) fn encode(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    encode_into(value, out, None)
}

/// The same of a value that may have arrays, which are left in `attached`.
pub(crate) fn encode_with(
    value: &Bound<'_, PyAny>,
    out: &mut Vec<u8>,
    attached: &mut Attached,
) -> PyResult<()> {
    encode_into(value, out, Some(attached))
}

fn encode_into(
    value: &Bound<'_, PyAny>,
    bytes: &mut Vec<u8>,
    attached: Option<&mut Attached>,
) -> PyResult<()> {
    if plain::put(value, bytes) {
        return Ok(());
    }
    let before = bytes.len();
    let mut out = Out { bytes, attached };
    put(value, &mut out, 0).map_err(|refused| {
        out.bytes.truncate(before);
        if let Some(attached) = &mut out.attached {
            attached.clear();
        }
        let path: String = refused.path.into_iter().rev().collect();
        let text = refused.reason.value(value.py()).to_string();
        let message = format!("can't serialise the value at ${path}: {text}");
        if refused.reason.is_instance_of::<PyTypeError>(value.py()) {
            PyTypeError::new_err(message)
        } else {
            PyValueError::new_err(message)
        }
    })
}

fn put(value: &Bound<'_, PyAny>, out: &mut Out<'_>, depth: usize) -> Result<(), Refused> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(format!(
            "nested deeper than {MAX_DEPTH} (does it contain itself?)"
        ))
        .into());
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        put_str(text, out.bytes)
    } else if let Ok(int) = value.cast_exact::<PyInt>() {
        put_int(int, out.bytes)
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        put_float(float.value(), out.bytes);
        Ok(())
    } else if value.is_none() {
        out.bytes.push(0xc0);
        Ok(())
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        out.bytes.push(if flag.is_true() { 0xc3 } else { 0xc2 });
        Ok(())
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        put_dict(dict, out, depth)
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        put_array(list.len(), list.iter(), out, depth)
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        put_array(tuple.len(), tuple.iter(), out, depth)
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        put_bin(bytes.as_bytes(), out.bytes)
    } else {
        put_other(value, out, depth)
    }
}

/// Rarer types: subclasses of the basic ones, other containers and buffers, and what Pydantic knows.
fn put_other(value: &Bound<'_, PyAny>, out: &mut Out<'_>, depth: usize) -> Result<(), Refused> {
    if timestamp::write(value, out.bytes)? {
        return Ok(());
    }
    let array = match &mut out.attached {
        Some(attached) => attached.put(value, out.bytes)?,
        None => None,
    };
    if array.is_some() {
        return Ok(());
    }
    let simpler = fallback(value)?;
    if let Some(simpler) = simpler {
        return put(&simpler, out, depth + 1);
    }
    if let Ok(text) = value.cast::<PyString>() {
        put_str(text, out.bytes)
    } else if let Ok(int) = value.cast::<PyInt>() {
        put_int(int, out.bytes)
    } else if let Ok(float) = value.cast::<PyFloat>() {
        put_float(float.value(), out.bytes);
        Ok(())
    } else if let Ok(dict) = value.cast::<PyDict>() {
        put_dict(dict, out, depth)
    } else if let Ok(list) = value.cast::<PyList>() {
        put_array(list.len(), list.iter(), out, depth)
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        put_array(tuple.len(), tuple.iter(), out, depth)
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        put_bin(bytes.as_bytes(), out.bytes)
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        put_bin(&bytes.to_vec(), out.bytes)
    } else if value.is_instance_of::<PyMemoryView>() {
        let bytes = value.call_method0("tobytes")?;
        put(&bytes, out, depth)
    } else if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        let items: Vec<_> = value.try_iter()?.collect::<PyResult<_>>()?;
        put_array(items.len(), items.into_iter(), out, depth)
    } else {
        Err(PyTypeError::new_err(refusal(value)?).into())
    }
}

/// Asks `pycrust.handlers.results.fallback` for a simpler value; `None` if it knows none.
fn fallback<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static FALLBACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let simpler = FALLBACK.import(value.py(), "pycrust.handlers.results", "fallback")?.call1((value,))?;
    Ok(if simpler.is(value) { None } else { Some(simpler) })
}

/// Why a value can't cross and what to send instead, by `pycrust.values.refusals.refusal`.
fn refusal(value: &Bound<'_, PyAny>) -> PyResult<String> {
    static REFUSAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    REFUSAL.import(value.py(), "pycrust.values.refusals", "refusal")?.call1((value,))?.extract()
}

fn put_str(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let text = text.to_str().map_err(|_| {
        PyValueError::new_err(
            "a str with surrogates has no UTF-8 form: send its .encode() with an error handler",
        )
    })?;
    let len = length(text.len(), "a str")?;
    fixed(write::write_str_len(out, len));
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put_bin(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    let len = length(bytes.len(), "bytes")?;
    fixed(write::write_bin_len(out, len));
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_int(int: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> Result<(), Refused> {
    if let Ok(value) = int.extract::<i64>() {
        fixed(write::write_sint(out, value));
    } else if let Ok(value) = int.extract::<u64>() {
        fixed(write::write_uint(out, value));
    } else if let Ok(value) = int.extract::<i128>() {
        put_large_int(Integer::Signed(value), out);
    } else if let Ok(value) = int.extract::<u128>() {
        put_large_int(Integer::Unsigned(value), out);
    } else {
        let reason = "an int outside -2**127 to 2**128 - 1 has no form: send it as str";
        return Err(PyValueError::new_err(reason).into());
    }
    Ok(())
}

fn put_large_int(value: Integer, out: &mut Vec<u8>) {
    fixed(write::write_ext_meta(out, INTEGER_LEN as u32, INTEGER_EXTENSION));
    out.extend_from_slice(&value.encode());
}

fn put_float(value: f64, out: &mut Vec<u8>) {
    out.push(0xcb);
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_array<'py>(
    len: usize,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    out: &mut Out<'_>,
    depth: usize,
) -> Result<(), Refused> {
    let announced = length(len, "a sequence")?;
    fixed(write::write_array_len(out.bytes, announced));
    let mut written = 0;
    for (index, item) in items.enumerate() {
        put(&item, out, depth + 1).map_err(|refused| refused.within(|| format!("[{index}]")))?;
        written += 1;
    }
    if written == len {
        Ok(())
    } else {
        Err(PyValueError::new_err("the sequence changed while it was read").into())
    }
}

fn put_dict(dict: &Bound<'_, PyDict>, out: &mut Out<'_>, depth: usize) -> Result<(), Refused> {
    let len = dict.len();
    let announced = length(len, "a dict")?;
    fixed(write::write_map_len(out.bytes, announced));
    let mut written = 0;
    // A copy of the items: serialising a value can run Python code, and that can change the dict.
    for (key, value) in dict.iter().collect::<Vec<_>>() {
        let step = || format!("[{}]", key.repr().map_or_else(|_| "?".into(), |text| text.to_string()));
        put(&key, out, depth + 1).map_err(|refused| refused.within(|| format!("{} (as a key)", step())))?;
        put(&value, out, depth + 1).map_err(|refused| refused.within(step))?;
        written += 1;
    }
    if written == len {
        Ok(())
    } else {
        Err(PyValueError::new_err("the dict changed while it was read").into())
    }
}

fn length(len: usize, what: &str) -> Result<u32, Refused> {
    u32::try_from(len)
        .map_err(|_| PyValueError::new_err(format!("{what} of {len} elements, 2**32 - 1 is the most")).into())
}

/// Writing into a `Vec` can't fail.
#[expect(clippy::needless_pass_by_value, reason = "it swallows a result that can't be an error")]
fn fixed<T, E>(written: Result<T, E>) {
    debug_assert!(written.is_ok(), "a Vec takes every byte");
}
