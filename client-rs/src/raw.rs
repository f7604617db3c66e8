//! MessagePack as it is.

mod from;
mod json;
mod passing;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::hash::{Hash, Hasher};

use pycrust_protocol::Code;
use pycrust_protocol::tensor::Tensor as Descriptor;
use pycrust_transport::{Attachments, View};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::Error;
use crate::options::Encoding;
use crate::tensor::carried;

use self::walk::walk;

/// Nothing, as MessagePack.
const NIL: u8 = 0xc0;

/// A value as MessagePack, whatever it is: of a handler without types, of one that is only passed on, or of one whose type
/// is found out first.
///
/// It is an argument or a result, and stands anywhere inside of them; what came goes out again byte for byte. Where serde
/// reads a value before it knows for whom (untagged and internally tagged enums, flattened fields), bytes become a list
/// of numbers and a moment becomes text, as for `serde_json::Value`. To other formats than this crate's it is what
/// [`json`](Self::json) shows.
///
/// Arrays ([`Tensor`](crate::Tensor), [`TensorView`](crate::TensorView)) travel beside MessagePack: a `Raw` keeps those of
/// its value, passes them on, and gives [`read`](Self::read) a copy of them. [`bytes`](Self::bytes) alone don't have them.
///
/// Two are equal if their bytes and arrays are: 1 is not 1.0, and a map's entries have an order.
///
/// # Examples
/// ```
/// use pycrust_client::Raw;
///
/// let raw = Raw::of(&("BUND", 2.5))?;
/// assert_eq!(raw.bytes(), b"\x92\xa4BUND\xcb\x40\x04\0\0\0\0\0\0");
/// assert_eq!(raw.read::<(String, f64)>()?, ("BUND".into(), 2.5));
/// assert_eq!(raw.json(), serde_json::json!(["BUND", 2.5]));
/// assert_eq!(Raw::from_bytes(raw.bytes().to_vec())?, raw);
///
/// let list = Raw::from(vec![1.into(), "two".into(), Raw::from(None::<bool>)]);
/// assert_eq!(format!("{list:?}"), r#"[1,"two",null]"#);
/// # Ok::<(), pycrust_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Raw {
    /// One value, well formed.
    bytes: Vec<u8>,
    /// The arrays in it, by the numbers that it has for them.
    arrays: Vec<View>,
}

impl Raw {
    /// A value as it would be sent.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it can't be encoded; the message names the place.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let (written, mut arrays) =
            carried::collecting(|| codec::write(&mut bytes, value, Encoding::default()));
        written.map_err(|error| {
            let name = std::any::type_name::<T>();
            wrong(format!("a value of type {name} can't be encoded: {error}"))
        })?;
        let mut kept = Attachments::none();
        // Nothing is sent, so nothing can go wrong.
        let _ = arrays.send(true, |attachments| {
            kept = Attachments::copies(attachments);
            Ok(())
        });
        let arrays = (0..kept.len()).filter_map(|number| kept.get(number)).collect();
        Ok(Self { bytes, arrays })
    }

    /// A value from its MessagePack, which is checked.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is not one value, well formed and in less than 128 arrays and maps, or if it stands for
    /// arrays, which travel beside MessagePack: [`Raw::of`] keeps those.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let mut at = 0;
        let mut has_arrays = false;
        walk(&bytes, &mut at, |_| has_arrays = true).map_err(|error| wrong(error.to_string()))?;
        if at < bytes.len() {
            return Err(wrong(format!("{} bytes follow the value", bytes.len() - at)));
        }
        if has_arrays {
            let reason = "an array's elements travel beside its MessagePack, so these bytes don't have them: make the \
                          value of the array itself, with Raw::of";
            return Err(wrong(reason));
        }
        Ok(Self { bytes, arrays: Vec::new() })
    }

    /// What came, with the arrays that came beside it.
    fn captured(bytes: &[u8]) -> Result<Self, codec::Error> {
        let mut places = Vec::new();
        walk(bytes, &mut 0, |place| places.push(place))?;
        let mut raw = Self { bytes: bytes.to_vec(), arrays: Vec::new() };
        let mut numbers = Vec::new();
        for place in places {
            let mut descriptor = Descriptor::decode(&raw.bytes[place.clone()]).map_err(codec::Error::new)?;
            let came = descriptor.attachment;
            let known = numbers.iter().position(|number| *number == came);
            if known.is_none() {
                let array = carried::attached(came);
                let reason =
                    || codec::Error::new(format!("an array in attachment {came}, which did not come"));
                raw.arrays.push(array.ok_or_else(reason)?);
                numbers.push(came);
            }
            descriptor.attachment = known.unwrap_or(numbers.len() - 1) as u32;
            raw.put(place.start, &descriptor);
        }
        Ok(raw)
    }

    /// Overwrites the description of an array.
    fn put(&mut self, at: usize, descriptor: &Descriptor) {
        let mut data = Vec::new();
        descriptor.put(&mut data);
        self.bytes[at..at + data.len()].copy_from_slice(&data);
    }

    /// The value as a type.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is something else; the message names the place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let parts: Vec<&[u8]> = self.arrays.iter().map(|array| &**array).collect();
        carried::giving(&Attachments::of(&parts), || codec::read(&self.bytes)).map_err(|error| {
            let name = std::any::type_name::<T>();
            wrong(format!("the value is no {name}: {error}"))
        })
    }

    /// The MessagePack.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The MessagePack, by value.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether it is nothing.
    pub fn is_nil(&self) -> bool {
        self.bytes == [NIL]
    }
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::new(Code::InvalidArgument, reason)
}

impl Default for Raw {
    /// Nothing: `None`.
    fn default() -> Self {
        Self { bytes: vec![NIL], arrays: Vec::new() }
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        let same = |(left, right): (&View, &View)| **left == **right;
        self.bytes == other.bytes
            && self.arrays.len() == other.arrays.len()
            && self.arrays.iter().zip(&other.arrays).all(same)
    }
}

impl Eq for Raw {}

impl Hash for Raw {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for Raw {
    /// What [`json`](Self::json) shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.json(), f)
    }
}
