//! MessagePack's timestamp extension (type -1) and `datetime`.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type>: seconds since
//! 1970 in UTC and nanoseconds, in 4, 8 or 12 bytes. A `datetime` counts microseconds.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyDelta, PyTzInfo};

/// The aware UTC `datetime` of an extension's bytes; what is below a microsecond is dropped.
pub(crate) fn read<'py>(py: Python<'py>, data: &[u8]) -> Result<Bound<'py, PyAny>, String> {
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
    moment(py, seconds, nanos)
        .map_err(|_| format!("a timestamp of {seconds} s is outside datetime's years 1 to 9999"))
}

/// Appends the shortest form of an aware `datetime`.
pub(crate) fn write(moment: &Bound<'_, PyDateTime>, out: &mut Vec<u8>) -> PyResult<()> {
    let py = moment.py();
    let delta = moment.as_any().sub(epoch(py)?)?;
    let days: i64 = delta.getattr("days")?.extract()?;
    let rest: i64 = delta.getattr("seconds")?.extract()?;
    let micros: u32 = delta.getattr("microseconds")?.extract()?;
    let (seconds, nanos) = (days * 86_400 + rest, micros * 1_000);
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
    Ok(())
}

fn moment(py: Python<'_>, seconds: i64, nanos: u32) -> PyResult<Bound<'_, PyAny>> {
    let days = i32::try_from(seconds.div_euclid(86_400))?;
    let rest = seconds.rem_euclid(86_400) as i32;
    let delta = PyDelta::new(py, days, rest, (nanos / 1_000).cast_signed(), true)?;
    epoch(py)?.as_any().add(delta)
}

fn epoch(py: Python<'_>) -> PyResult<&Bound<'_, PyDateTime>> {
    static EPOCH: PyOnceLock<Py<PyDateTime>> = PyOnceLock::new();
    let epoch = EPOCH.get_or_try_init(py, || {
        let utc = PyTzInfo::utc(py)?.to_owned();
        PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&utc)).map(Bound::unbind)
    })?;
    Ok(epoch.bind(py))
}
