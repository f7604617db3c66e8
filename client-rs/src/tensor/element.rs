//! Types of elements.

use std::sync::Arc;

use bytemuck::Pod;
use half::{bf16, f16};
use pycrust_protocol::record::Layout;
use pycrust_protocol::tensor::DType;

use super::record::{self, Record};

/// A type that arrays are made of: a number, or a [`Record`].
///
/// # Examples
/// ```
/// use pycrust_client::{DType, Element, Tensor};
///
/// fn zeros<T: Element>(len: usize) -> Tensor<T> {
///     vec![T::zeroed(); len].into()
/// }
/// assert_eq!(f32::DTYPE, DType::F32);
/// assert_eq!(zeros::<u8>(3).as_slice(), [0, 0, 0]);
/// ```
pub trait Element: Pod + Send + Sync + sealed::Sealed {
    /// Its number on the wire.
    const DTYPE: DType;

    /// What is in a record; `None` for a number.
    fn layout() -> Option<Arc<Layout>> {
        None
    }

    /// The same element with its bytes in the other order.
    #[must_use]
    fn swapped(self) -> Self;
}

impl<T: Record> sealed::Sealed for T {}

impl<T: Record> Element for T {
    const DTYPE: DType = DType::Record;

    fn layout() -> Option<Arc<Layout>> {
        Some(Arc::clone(<T as Record>::layout()))
    }

    fn swapped(self) -> Self {
        record::swapped(self)
    }
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty, $dtype:ident, $swap:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;

            fn swapped(self) -> Self {
                let swap: fn($type) -> $type = $swap;
                swap(self)
            }
        }
    )*};
}

elements! {
    u8, U8, |value| value;
    i8, I8, |value| value;
    u16, U16, u16::swap_bytes;
    i16, I16, i16::swap_bytes;
    u32, U32, u32::swap_bytes;
    i32, I32, i32::swap_bytes;
    u64, U64, u64::swap_bytes;
    i64, I64, i64::swap_bytes;
    f16, F16, |value| Self::from_bits(value.to_bits().swap_bytes());
    bf16, BF16, |value| Self::from_bits(value.to_bits().swap_bytes());
    f32, F32, |value| Self::from_bits(value.to_bits().swap_bytes());
    f64, F64, |value| Self::from_bits(value.to_bits().swap_bytes());
}
