//! Arrays that this process owns.

use std::sync::Arc;

use pycrust_transport::Source;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::element::Element;
use super::error::TensorError;
use super::view::TensorView;
use super::wire;

/// An array of this process's own: of arguments, copied once when it is sent, or copied out of a result.
///
/// It may lie anywhere in a serde type; a clone shares the elements.
///
/// # Examples
/// ```no_run
/// use pycrust_client::{RpcClient, Tensor};
///
/// #[derive(serde::Serialize)]
/// struct Observation {
///     image: Tensor<u8>,
///     state: Tensor<f64>,
/// }
///
/// # async fn act(client: RpcClient) -> anyhow::Result<()> {
/// let image = Tensor::new(&[224, 224, 3], vec![0_u8; 224 * 224 * 3])?;
/// let observation = Observation { image, state: Tensor::from(vec![0.0; 7]) };
/// let action: Tensor<f32> = client.call("policy", &observation).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<T: Element> {
    shape: Vec<usize>,
    elements: Arc<Vec<T>>,
}

impl<T: Element> Tensor<T> {
    /// An array of these elements, the last dimension fastest.
    ///
    /// # Errors
    /// [`TensorError::Shape`] if there are more or fewer than the shape has.
    pub fn new(shape: &[usize], elements: Vec<T>) -> Result<Self, TensorError> {
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        if count != Some(elements.len()) {
            return Err(TensorError::Shape { shape: shape.into(), elements: elements.len() });
        }
        Ok(Self { shape: shape.into(), elements: Arc::new(elements) })
    }

    /// Elements in each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, the last dimension fastest.
    pub fn as_slice(&self) -> &[T] {
        &self.elements
    }

    /// The elements, to be changed; copied first if a clone shares them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        Arc::<Vec<T>>::make_mut(&mut self.elements)
    }

    /// The elements; copied if a clone shares them.
    pub fn into_vec(self) -> Vec<T> {
        Arc::unwrap_or_clone(self.elements)
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    /// One dimension.
    fn from(elements: Vec<T>) -> Self {
        Self { shape: vec![elements.len()], elements: Arc::new(elements) }
    }
}

impl<T: Element> From<&[T]> for Tensor<T> {
    fn from(elements: &[T]) -> Self {
        elements.to_vec().into()
    }
}

/// Elements that are copied when they are sent.
struct Elements<T>(Arc<Vec<T>>);

impl<T: Element> Source for Elements<T> {
    fn len(&self) -> usize {
        size_of_val(&self.0[..])
    }

    fn write(&self, target: &mut [u8]) {
        target.copy_from_slice(bytemuck::cast_slice(&self.0));
    }
}

impl<T: Element> Serialize for Tensor<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements = || Arc::new(Elements(Arc::clone(&self.elements))) as Arc<dyn Source>;
        wire::serialize(serializer, wire::Elements::of::<T>(), &self.shape, elements)
    }
}

impl<'de, T: Element> Deserialize<'de> for Tensor<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let view = TensorView::deserialize(deserializer)?;
        let elements = view.to_vec().map_err(serde::de::Error::custom)?;
        Ok(Self { shape: view.shape().into(), elements: Arc::new(elements) })
    }
}

#[cfg(feature = "ndarray")]
impl<T: Element, D: ndarray::Dimension> From<ndarray::Array<T, D>> for Tensor<T> {
    /// Without a copy if the last dimension varies fastest.
    fn from(array: ndarray::Array<T, D>) -> Self {
        let shape = array.shape().to_vec();
        let elements = if array.is_standard_layout() {
            let (elements, offset) = array.into_raw_vec_and_offset();
            match offset {
                None | Some(0) if elements.len() == shape.iter().product::<usize>() => elements,
                offset => {
                    let start = offset.unwrap_or(0);
                    elements[start..start + shape.iter().product::<usize>()].to_vec()
                }
            }
        } else {
            array.iter().copied().collect()
        };
        Self { shape, elements: Arc::new(elements) }
    }
}

#[cfg(feature = "ndarray")]
impl<T: Element> Tensor<T> {
    /// The elements as `ndarray`'s view.
    ///
    /// # Errors
    /// None in practice: the shape is checked when the tensor is made.
    pub fn as_ndarray(&self) -> Result<ndarray::ArrayViewD<'_, T>, TensorError> {
        ndarray::ArrayViewD::from_shape(ndarray::IxDyn(&self.shape), self.as_slice())
            .map_err(|_| TensorError::Shape { shape: self.shape.clone(), elements: self.elements.len() })
    }
}
