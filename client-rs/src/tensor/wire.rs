//! How arrays pass through serde: as an extension of MessagePack, whose bytes travel beside it.

use std::fmt;
use std::sync::Arc;

use pycrust_protocol::record::Layout;
use pycrust_protocol::tensor::{DType, TENSOR_EXTENSION, Tensor as Descriptor};
use pycrust_transport::{Source, View};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::{Error as _, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use crate::codec::EXTENSION;
use crate::tensor::arrays::{Array, Home};
use crate::tensor::carried;
use crate::tensor::element::Element;

/// What an array is made of.
pub(super) struct Elements {
    pub(super) dtype: DType,
    /// What is in a record; `None` for a number.
    pub(super) layout: Option<Arc<Layout>>,
}

impl Elements {
    /// Elements of this type.
    pub(super) fn of<T: Element>() -> Self {
        Self { dtype: T::DTYPE, layout: T::layout() }
    }
}

/// Writes an array of native order whose last dimension varies fastest.
pub(super) fn serialize<S: Serializer>(
    serializer: S,
    elements: Elements,
    shape: &[usize],
    source: impl FnOnce() -> Arc<dyn Source>,
) -> Result<S::Ok, S::Error> {
    let attachment = carried::attach(|| Array::Source(source())).ok_or_else(nowhere)?;
    describe(serializer, elements, shape, attachment)
}

/// Writes an array that was built in place.
pub(super) fn serialize_built<S: Serializer>(
    serializer: S,
    elements: Elements,
    shape: &[usize],
    home: &Home,
) -> Result<S::Ok, S::Error> {
    let gone = |_| {
        S::Error::custom(
            "this array was sent with an earlier call, and its memory went along: allocate another one for each call, \
             or write it again, all of it, through as_mut_slice()",
        )
    };
    let attachment = carried::attach_built(home).ok_or_else(nowhere)?.map_err(gone)?;
    describe(serializer, elements, shape, attachment)
}

fn nowhere<E: serde::ser::Error>() -> E {
    E::custom("an array can be serialised in a call's arguments only")
}

fn describe<S: Serializer>(
    serializer: S,
    elements: Elements,
    shape: &[usize],
    attachment: u32,
) -> Result<S::Ok, S::Error> {
    let shape = shape.iter().map(|size| *size as u64).collect();
    let Elements { dtype, layout } = elements;
    // Of a record, each field says it for itself.
    let big_endian = cfg!(target_endian = "big") && layout.is_none();
    let descriptor = Descriptor { dtype, layout, big_endian, column_major: false, attachment, shape };
    let mut data = Vec::new();
    descriptor.put(&mut data);
    serializer.serialize_newtype_struct(EXTENSION, &(TENSOR_EXTENSION, Bytes::new(&data)))
}

/// Reads an array: what it is, and its bytes.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(Descriptor, View), D::Error> {
    deserializer.deserialize_newtype_struct(EXTENSION, Extension)
}

struct Extension;

impl<'de> Visitor<'de> for Extension {
    type Value = (Descriptor, View);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let (kind, data): (i8, ByteBuf) = de::Deserialize::deserialize(deserializer)?;
        found(kind, &data)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let missing = || de::Error::custom("an extension without its type or data");
        let kind: i8 = seq.next_element()?.ok_or_else(missing)?;
        let data: ByteBuf = seq.next_element()?.ok_or_else(missing)?;
        found(kind, &data)
    }
}

fn found<E: de::Error>(kind: i8, data: &[u8]) -> Result<(Descriptor, View), E> {
    if kind != TENSOR_EXTENSION {
        return Err(E::custom(format!("an extension of type {kind}, an array has {TENSOR_EXTENSION}")));
    }
    let descriptor = Descriptor::decode(data).map_err(E::custom)?;
    let number = descriptor.attachment;
    let bytes = carried::attached(number)
        .ok_or_else(|| E::custom(format!("an array in attachment {number}, which did not come")))?;
    if descriptor.len() != Some(bytes.len()) {
        let (name, shape, len) = (descriptor.dtype.name(), &descriptor.shape, bytes.len());
        return Err(E::custom(format!("an array of {name} of the shape {shape:?} in {len} bytes")));
    }
    Ok((descriptor, bytes))
}
