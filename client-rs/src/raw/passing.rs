//! How a [`Raw`] passes through serde.
//!
//! The codec knows its name and takes or gives the bytes as they are. Elsewhere, also where serde keeps what it has read
//! until it knows for whom, it is rebuilt value by value.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pycrust_protocol::tensor::{TENSOR_EXTENSION, Tensor as Descriptor};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_bytes::Bytes;

use super::Raw;
use super::walk::walk;
use crate::codec::{self, EXTENSION, RAW, Token, token};
use crate::tensor::arrays::Array;
use crate::tensor::carried;

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, &Content(self))
    }
}

/// What is in it.
struct Content<'a>(&'a Raw);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if codec::wants_verbatim() {
            serializer.serialize_bytes(&self.0.to_send().map_err(S::Error::custom)?)
        } else {
            self.0.json().serialize(serializer)
        }
    }
}

impl Raw {
    /// The bytes, with the numbers that the arrays have in what this thread is encoding.
    fn to_send(&self) -> Result<Cow<'_, [u8]>, codec::Error> {
        if self.arrays.is_empty() {
            return Ok(Cow::Borrowed(&self.bytes));
        }
        let mut sent = Self { bytes: self.bytes.clone(), arrays: Vec::new() };
        let attach = |array: &pycrust_transport::View| {
            let number = carried::attach(|| Array::Source(Arc::new(array.clone())));
            number.ok_or_else(|| codec::Error::new("an array can be serialised in a call's arguments only"))
        };
        let numbers = self.arrays.iter().map(attach).collect::<Result<Vec<_>, _>>()?;
        let mut places = Vec::new();
        walk(&self.bytes, &mut 0, |place| places.push(place))?;
        for place in places {
            let mut descriptor = Descriptor::decode(&self.bytes[place.clone()]).map_err(codec::Error::new)?;
            // As many as there are arrays, from 0, since it was made.
            descriptor.attachment = numbers.get(descriptor.attachment as usize).copied().unwrap_or_default();
            sent.put(place.start, &descriptor);
        }
        Ok(Cow::Owned(sent.bytes))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, Verbatim)
    }
}

/// Takes the bytes from the codec.
struct Verbatim;

impl<'de> Visitor<'de> for Verbatim {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Raw, E> {
        Raw::captured(bytes).map_err(E::custom)
    }

    /// From anything else.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(Rebuild)
    }
}

/// Builds it from what it is made of.
struct Rebuild;

fn rebuilt<T: Serialize + ?Sized, E: de::Error>(value: &T) -> Result<Raw, E> {
    Raw::of(value).map_err(|error| E::custom(error.message()))
}

macro_rules! scalars {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<Raw, E> {
            rebuilt(&value)
        })*
    };
}

impl<'de> Visitor<'de> for Rebuild {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalars! {
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f32: f32,
        visit_f64: f64, visit_char: char, visit_str: &str,
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Raw, E> {
        rebuilt(Bytes::new(bytes))
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items: Vec<Raw> = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        // The codec gives bytes as such in one case only: an extension that it knows nothing to make of.
        match array(&items) {
            Some(array) => Raw::captured(&array).map_err(de::Error::custom),
            None => rebuilt(&items),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        rebuilt(&Entries(entries))
    }
}

/// The extension that stands for an array, if these are its type and its bytes.
fn array(items: &[Raw]) -> Option<Vec<u8>> {
    let [kind, data] = items else { return None };
    let kind = kind.read::<i8>().ok().filter(|kind| *kind == TENSOR_EXTENSION)?;
    let Ok(Token::Bin(data)) = token(&data.bytes, &mut 0) else { return None };
    let mut extension = Vec::new();
    let pair = Extension(kind, Bytes::new(data));
    codec::write(&mut extension, &pair, crate::options::Encoding::default()).ok()?;
    Some(extension)
}

struct Extension<'a>(i8, &'a Bytes);

impl Serialize for Extension<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(EXTENSION, &(self.0, self.1))
    }
}

/// The entries of a map, in their order.
struct Entries(Vec<(Raw, Raw)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
