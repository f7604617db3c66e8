//! Arrays that came, where they are.

use std::borrow::Cow;

use bytes::Bytes;
use pycrust_protocol::record::Layout;
use pycrust_protocol::tensor::{DType, Tensor as Descriptor};
use pycrust_transport::View;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::element::Element;
use super::error::TensorError;
use super::{record, wire};

/// An array of a result, read where it is: in shared memory, if it is large. A clone is another view of it.
///
/// It keeps its memory for as long as it lives, also beyond the connection, and may go from thread to thread. A
/// client that keeps more than 64 results is given copies of further ones.
///
/// # Examples
/// ```no_run
/// use pycrust_client::{RpcClient, TensorView};
///
/// # async fn act(client: RpcClient, image: pycrust_client::Tensor<u8>) -> anyhow::Result<()> {
/// let action: TensorView = client.call("policy", &(image,)).await?;
/// println!("{:?} {:?}", action.shape(), action.as_slice::<f32>()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TensorView {
    descriptor: Descriptor,
    shape: Vec<usize>,
    bytes: View,
}

impl TensorView {
    /// Elements in each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements; what is in a record is its [`layout`](Self::layout).
    pub fn dtype(&self) -> DType {
        self.descriptor.dtype
    }

    /// What is in an element that is a record; `None` for a number.
    pub fn layout(&self) -> Option<&Layout> {
        self.descriptor.layout.as_deref()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.descriptor.item_size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it is in shared memory; a small one is not.
    pub fn is_shared(&self) -> bool {
        self.bytes.is_shared()
    }

    /// Whether the elements are in native byte order, the last dimension fastest.
    pub fn is_standard(&self) -> bool {
        self.is_native() && (!self.descriptor.column_major || self.shape.len() < 2)
    }

    /// Whether the elements are in native byte order.
    fn is_native(&self) -> bool {
        match self.layout() {
            Some(layout) => !layout.fields().iter().any(record::is_swapped),
            None => self.descriptor.big_endian == cfg!(target_endian = "big") || self.dtype().swapped() == 1,
        }
    }

    /// The elements, where they are.
    ///
    /// # Errors
    /// [`TensorError`] if they have another type or are not in order; for a record, if its fields are elsewhere.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        self.check::<T>()?;
        self.check_places::<T>()?;
        if self.is_standard() { Ok(bytemuck::cast_slice(&self.bytes)) } else { Err(TensorError::Order) }
    }

    /// A copy of the elements, in native byte order, the last dimension fastest; of records, each field in its place.
    ///
    /// # Errors
    /// [`TensorError`] if they have another type, records other fields.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        self.check::<T>()?;
        let raw = match (T::layout(), self.layout()) {
            (Some(expected), Some(found)) => record::arranged(&expected, found, &self.bytes),
            _ => Cow::Borrowed(bytemuck::cast_slice(&self.bytes)),
        };
        let mut elements: Vec<T> =
            if self.descriptor.column_major { by_rows(&raw, &self.shape) } else { raw.into_owned() };
        if let Some(layout) = T::layout() {
            record::clear_gaps(&layout, &mut elements);
        }
        if self.layout().is_none() && self.descriptor.big_endian != cfg!(target_endian = "big") {
            for element in &mut elements {
                *element = element.swapped();
            }
        }
        Ok(elements)
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes as they came, without a copy.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.bytes)
    }

    fn check<T: Element>(&self) -> Result<(), TensorError> {
        if let (Some(expected), Some(found)) = (T::layout(), self.layout()) {
            return record::fits(&expected, found);
        }
        match self.dtype() {
            found if found == T::DTYPE => Ok(()),
            // A byte each, 0 or 1.
            DType::Bool if T::DTYPE == DType::U8 => Ok(()),
            found => Err(TensorError::DType { found, expected: T::DTYPE }),
        }
    }

    /// Whether records have their fields where `T` has them.
    fn check_places<T: Element>(&self) -> Result<(), TensorError> {
        match (T::layout(), self.layout()) {
            (Some(expected), Some(found)) => record::lies(&expected, found),
            _ => Ok(()),
        }
    }
}

/// The elements of an array whose first dimension varies fastest, with the last one fastest.
fn by_rows<T: Element>(raw: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for size in shape {
        strides.push(stride);
        stride *= size;
    }
    let mut at = vec![0; shape.len()];
    let mut ordered = Vec::with_capacity(raw.len());
    for _ in 0..raw.len() {
        ordered.push(raw[at.iter().zip(&strides).map(|(at, stride)| at * stride).sum::<usize>()]);
        for dimension in (0..shape.len()).rev() {
            at[dimension] += 1;
            if at[dimension] < shape[dimension] {
                break;
            }
            at[dimension] = 0;
        }
    }
    ordered
}

impl<'de> Deserialize<'de> for TensorView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (descriptor, bytes) = wire::deserialize(deserializer)?;
        let shape = descriptor.shape.iter().map(|size| *size as usize).collect();
        Ok(Self { descriptor, shape, bytes })
    }
}

impl Serialize for TensorView {
    /// Sends it on: copied once.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.is_standard() {
            return Err(serde::ser::Error::custom(TensorError::Order));
        }
        let elements = wire::Elements { dtype: self.dtype(), layout: self.descriptor.layout.clone() };
        wire::serialize(serializer, elements, &self.shape, || std::sync::Arc::new(self.bytes.clone()))
    }
}

#[cfg(feature = "ndarray")]
impl TensorView {
    /// The elements as `ndarray`'s view, where they are.
    ///
    /// # Errors
    /// [`TensorError`] if they have another type or are not in native byte order.
    pub fn as_ndarray<T: Element>(&self) -> Result<ndarray::ArrayViewD<'_, T>, TensorError> {
        use ndarray::ShapeBuilder;
        self.check::<T>()?;
        self.check_places::<T>()?;
        if !self.is_native() {
            return Err(TensorError::Order);
        }
        let shape = ndarray::IxDyn(&self.shape).set_f(self.descriptor.column_major);
        let elements: &[T] = bytemuck::cast_slice(&self.bytes);
        ndarray::ArrayViewD::from_shape(shape, elements)
            .map_err(|_| TensorError::Shape { shape: self.shape.clone(), elements: elements.len() })
    }
}
