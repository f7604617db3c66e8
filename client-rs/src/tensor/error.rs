//! Why an array can't be looked at as it was asked for.

use pycrust_protocol::tensor::DType;

/// An array is not what it is taken for.
///
/// # Examples
/// ```
/// use pycrust_client::{Tensor, TensorError};
///
/// let error = Tensor::new(&[2, 3], vec![0.0_f32; 5]).unwrap_err();
/// assert!(matches!(&error, TensorError::Shape { elements: 5, .. }), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorError {
    /// Its elements have another type.
    DType {
        /// The type that they have.
        found: DType,
        /// The type that was asked for.
        expected: DType,
    },
    /// They are not in native byte order, or the first dimension varies fastest:
    /// [`to_vec`](super::TensorView::to_vec) puts them in order.
    Order,
    /// There are more or fewer than the shape has.
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// How many elements there are.
        elements: usize,
    },
    /// Records have other fields, or have them elsewhere.
    Field {
        /// The first field that differs.
        field: String,
        /// How it does, after its name.
        reason: String,
    },
}

impl std::fmt::Display for TensorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DType { found, expected } => {
                write!(f, "an array of {}, not of {}", found.name(), expected.name())
            }
            Self::Order => f.write_str(
                "the array is big-endian, or its first dimension varies fastest: to_vec() puts it in order",
            ),
            Self::Field { field, reason } => write!(f, "the field `{field}` of the records {reason}"),
            Self::Shape { shape, elements } => write!(f, "{elements} elements for the shape {shape:?}"),
        }
    }
}

impl std::error::Error for TensorError {}
