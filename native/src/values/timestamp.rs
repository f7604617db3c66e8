//! MessagePack's timestamp extension (type -1), `datetime` and `pycrust.Timestamp`.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type>: seconds since
//! 1970 in UTC and nanoseconds, in 4, 8 or 12 bytes. A `datetime` counts microseconds of the years 1 to 9999; what it
//! can't hold is a `pycrust.Timestamp`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyDelta, PyTzInfo};

/// Seconds and nanoseconds of an extension's bytes.
pub(crate) fn parts(data: &[u8]) -> Result<(i64, u32), String> {
    let (seconds, nanos) = if let Ok(raw) = <[u8; 4]>::try_from(data) {
        (i64::from(u32::from_be_bytes(raw)), 0)
    } else if let Ok(raw) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(raw);
        ((both & 0x3_ffff_ffff).cast_signed(), (both >> 34) as u32)
    } else if let Some((nanos, seconds)) = data.split_first_chunk()
        && let Ok(seconds) = seconds.try_into()
    {
        (i64::from_be_bytes(seconds), u32::from_be_bytes(*nanos))
    } else {
        return Err(format!("a timestamp of {} bytes, 4, 8 or 12 are allowed", data.len()));
    };
    if nanos > 999_999_999 {
        return Err(format!("a timestamp with {nanos} nanoseconds"));
    }
    Ok((seconds, nanos))
}

/// The aware UTC `datetime` of a moment, or a `Timestamp` where none is equal to it.
pub(crate) fn read(py: Python<'_>, seconds: i64, nanos: u32) -> PyResult<Bound<'_, PyAny>> {
    if nanos.is_multiple_of(1_000)
        && let Ok(moment) = moment(py, seconds, nanos)
    {
        return Ok(moment);
    }
    class(py)?.call1((seconds, nanos))
}

/// Appends the shortest form of an aware `datetime` or of a `Timestamp`; `false` if it is neither.
pub(crate) fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
    let py = value.py();
    if let Ok(moment) = value.cast::<PyDateTime>() {
        if value.getattr(pyo3::intern!(py, "tzinfo"))?.is_none() {
            return Ok(false);
        }
        let (seconds, nanos) = of_datetime(moment)?;
        put(seconds, nanos, out);
        return Ok(true);
    }
    if !value.get_type().is(class(py)?) {
        return Ok(false);
    }
    let seconds = value.getattr(pyo3::intern!(py, "seconds"))?.extract()?;
    put(seconds, value.getattr(pyo3::intern!(py, "nanoseconds"))?.extract()?, out);
    Ok(true)
}

fn of_datetime(moment: &Bound<'_, PyDateTime>) -> PyResult<(i64, u32)> {
    let py = moment.py();
    let delta = moment.as_any().sub(epoch(py)?)?;
    let days: i64 = delta.getattr(pyo3::intern!(py, "days"))?.extract()?;
    let rest: i64 = delta.getattr(pyo3::intern!(py, "seconds"))?.extract()?;
    let micros: u32 = delta.getattr(pyo3::intern!(py, "microseconds"))?.extract()?;
    let mut nanos = micros * 1_000;
    // A class derived from it may count finer, as that of pandas does.
    if !moment.is_exact_instance_of::<PyDateTime>()
        && let Some(finer) = moment.getattr_opt(pyo3::intern!(py, "nanosecond"))?
    {
        nanos += finer.extract::<u32>()?;
    }
    Ok((days * 86_400 + rest, nanos))
}

fn put(seconds: i64, nanos: u32, out: &mut Vec<u8>) {
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(short), _) if nanos == 0 => {
            out.extend_from_slice(&[0xd6, 0xff]);
            out.extend_from_slice(&short.to_be_bytes());
        }
        (_, Ok(unsigned)) if unsigned >> 34 == 0 => {
            out.extend_from_slice(&[0xd7, 0xff]);
            out.extend_from_slice(&((u64::from(nanos) << 34) | unsigned).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[0xc7, 12, 0xff]);
            out.extend_from_slice(&nanos.to_be_bytes());
            out.extend_from_slice(&seconds.to_be_bytes());
        }
    }
}

fn moment(py: Python<'_>, seconds: i64, nanos: u32) -> PyResult<Bound<'_, PyAny>> {
    let days = i32::try_from(seconds.div_euclid(86_400))?;
    let rest = seconds.rem_euclid(86_400) as i32;
    let delta = PyDelta::new(py, days, rest, (nanos / 1_000).cast_signed(), true)?;
    epoch(py)?.as_any().add(delta)
}

fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "pycrust.values.timestamp", "Timestamp")
}

fn epoch(py: Python<'_>) -> PyResult<&Bound<'_, PyDateTime>> {
    static EPOCH: PyOnceLock<Py<PyDateTime>> = PyOnceLock::new();
    let epoch = EPOCH.get_or_try_init(py, || {
        let utc = PyTzInfo::utc(py)?.to_owned();
        PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&utc)).map(Bound::unbind)
    })?;
    Ok(epoch.bind(py))
}
