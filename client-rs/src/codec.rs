//! Rust values to MessagePack and back, as Pydantic writes and reads them.
//!
//! It is serde's human-readable form, so that a UUID, an address or a date is the text that Python knows; bytes stay
//! bytes, moments are MessagePack's timestamps, and integers of 128 bits an extension of the protocol. Where a value
//! can't be written or read, the error names the path to it.

mod calendar;
mod error;
mod forms;
mod reader;
#[cfg(test)]
mod tests;
mod token;
mod writer;

pub(crate) use calendar::write_moment;
pub(crate) use error::Error;
pub(crate) use forms::{TIMESTAMP, moment_text, parse_moment};
pub(crate) use token::{Token, token};

use std::cell::Cell;

use serde::Serialize;
use serde::de::Deserialize;

use crate::options::Encoding;

/// Type of MessagePack's timestamp extension.
pub(crate) const MOMENT: i8 = -1;
/// The name by which `rmp_serde` and its friends know an extension.
pub(crate) const EXTENSION: &str = "_ExtStruct";
/// The name by which this codec knows a value that is MessagePack already.
pub(crate) const RAW: &str = "pycrust_client::Raw";

thread_local! {
    /// Whether the writer is just asking such a value for its bytes.
    static VERBATIM: Cell<bool> = const { Cell::new(false) };
    /// Room for the fields of structs that are written as arrays, so that warm calls allocate none.
    static FIELDS: Cell<Vec<writer::Field>> = const { Cell::new(Vec::new()) };
}

/// Asks for the bytes of a value that is MessagePack already.
fn verbatim<T>(ask: impl FnOnce() -> T) -> T {
    VERBATIM.set(true);
    let given = ask();
    VERBATIM.set(false);
    given
}

/// Whether this codec asks, as the first thing that it does; any other serializer wants the value.
pub(crate) fn wants_verbatim() -> bool {
    VERBATIM.take()
}

/// Appends MessagePack of `value`.
pub(crate) fn write<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    encoding: Encoding,
) -> Result<(), Error> {
    if encoding == Encoding::Map {
        return value.serialize(&mut writer::Writer::new(out, None));
    }
    let mut fields = FIELDS.try_with(Cell::take).unwrap_or_default();
    let written = value.serialize(&mut writer::Writer::new(out, Some(&mut fields)));
    fields.clear();
    // A thread that is ending has no place for it any more.
    let _ = FIELDS.try_with(|kept| kept.set(fields));
    written
}

/// Reads the one value that `bytes` holds.
pub(crate) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = reader::Reader::new(bytes);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}
