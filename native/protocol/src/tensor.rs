//! Arrays in a body: a MessagePack extension that says which attachment holds the elements, and what they are.

use std::sync::Arc;

use crate::error::Malformed;
use crate::limits::MAX_DIMENSIONS;
use crate::record::Layout;

/// The type of the MessagePack extension that stands for an array.
pub const TENSOR_EXTENSION: i8 = 1;

/// Bytes of a descriptor before its shape.
const FIXED_LEN: usize = 8;

/// Bits of a descriptor's flags.
mod flags {
    /// The elements are big-endian.
    pub(super) const BIG_ENDIAN: u8 = 1 << 0;
    /// The first dimension varies fastest (Fortran's order), not the last.
    pub(super) const COLUMN_MAJOR: u8 = 1 << 1;
    /// Bits that have a meaning.
    pub(super) const KNOWN: u8 = BIG_ENDIAN | COLUMN_MAJOR;
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DType {
    /// One byte, 0 or 1.
    Bool = 1,
    /// Unsigned, 8 bits.
    U8 = 2,
    /// Signed, 8 bits.
    I8 = 3,
    /// Unsigned, 16 bits.
    U16 = 4,
    /// Signed, 16 bits.
    I16 = 5,
    /// Unsigned, 32 bits.
    U32 = 6,
    /// Signed, 32 bits.
    I32 = 7,
    /// Unsigned, 64 bits.
    U64 = 8,
    /// Signed, 64 bits.
    I64 = 9,
    /// IEEE 754 binary16.
    F16 = 10,
    /// The upper half of a binary32.
    BF16 = 11,
    /// IEEE 754 binary32.
    F32 = 12,
    /// IEEE 754 binary64.
    F64 = 13,
    /// Two binary32, real and imaginary.
    C64 = 14,
    /// Two binary64, real and imaginary.
    C128 = 15,
    /// Several of them with names: a [`Layout`] says which.
    Record = 16,
}

/// Every type of elements, with the name that NumPy and PyTorch give it.
pub const DTYPES: [(DType, &str); 16] = [
    (DType::Bool, "bool"),
    (DType::U8, "uint8"),
    (DType::I8, "int8"),
    (DType::U16, "uint16"),
    (DType::I16, "int16"),
    (DType::U32, "uint32"),
    (DType::I32, "int32"),
    (DType::U64, "uint64"),
    (DType::I64, "int64"),
    (DType::F16, "float16"),
    (DType::BF16, "bfloat16"),
    (DType::F32, "float32"),
    (DType::F64, "float64"),
    (DType::C64, "complex64"),
    (DType::C128, "complex128"),
    (DType::Record, "record"),
];

impl DType {
    /// The type with this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        number.checked_sub(1).and_then(|at| DTYPES.get(usize::from(at))).map(|(dtype, _)| *dtype)
    }

    /// Its name in NumPy and PyTorch; a record's is `record`.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::tensor::DType;
    ///
    /// assert_eq!((DType::BF16.name(), DType::named("bfloat16")), ("bfloat16", Some(DType::BF16)));
    /// ```
    pub fn name(self) -> &'static str {
        DTYPES[self as usize - 1].1
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        DTYPES.iter().find(|(_, known)| *known == name).map(|(dtype, _)| *dtype)
    }

    /// Bytes of one element; of a record none, since its [`Layout`] says how many there are.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 8,
            Self::C128 => 16,
            Self::Record => 0,
        }
    }

    /// Bytes whose order the flag for big-endian elements is about: half an element, of a complex one.
    pub fn swapped(self) -> usize {
        match self {
            Self::C64 | Self::C128 => self.size() / 2,
            _ => self.size(),
        }
    }
}

/// An array in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The type of its elements.
    pub dtype: DType,
    /// What is in an element that is a record; of other elements `None`.
    pub layout: Option<Arc<Layout>>,
    /// The elements are big-endian; of a record, each field says so for itself.
    pub big_endian: bool,
    /// The first dimension varies fastest, not the last.
    pub column_major: bool,
    /// The attachment that holds the elements, and nothing else.
    pub attachment: u32,
    /// Elements in each dimension; none for a single element.
    pub shape: Vec<u64>,
}

impl Tensor {
    /// Bytes of its elements; `None` if no attachment could hold them.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::tensor::bytes_of;
    ///
    /// assert_eq!(bytes_of(4, &[3, 224, 224]), Some(602_112));
    /// assert_eq!((bytes_of(4, &[]), bytes_of(4, &[0, u64::MAX, u64::MAX])), (Some(4), Some(0)));
    /// assert_eq!(bytes_of(1, &[1 << 40, 1 << 40]), None);
    /// ```
    pub fn len(&self) -> Option<usize> {
        bytes_of(self.item_size(), &self.shape)
    }

    /// Bytes of one element.
    pub fn item_size(&self) -> usize {
        self.layout.as_ref().map_or(self.dtype.size(), |layout| layout.item_size())
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Appends the extension's data.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut bits = 0;
        if self.big_endian {
            bits |= flags::BIG_ENDIAN;
        }
        if self.column_major {
            bits |= flags::COLUMN_MAJOR;
        }
        // More than any reader takes, and refused as such.
        let dimensions = u8::try_from(self.shape.len()).unwrap_or(u8::MAX);
        out.extend_from_slice(&[self.dtype as u8, bits, dimensions, 0]);
        out.extend_from_slice(&self.attachment.to_le_bytes());
        for size in &self.shape {
            out.extend_from_slice(&size.to_le_bytes());
        }
        if let Some(layout) = &self.layout {
            layout.put(out);
        }
    }

    /// Reads the extension's data.
    ///
    /// # Errors
    /// [`Malformed`], with the offset in `data`, for an unknown type or flag, too many dimensions, a length
    /// that is not theirs, records that can't be, or a shape that no attachment could hold.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::tensor::{DType, Tensor};
    ///
    /// let tensor = Tensor {
    ///     dtype: DType::F32,
    ///     layout: None,
    ///     big_endian: false,
    ///     column_major: false,
    ///     attachment: 0,
    ///     shape: vec![2, 3],
    /// };
    /// let mut data = Vec::new();
    /// tensor.put(&mut data);
    /// assert_eq!(Tensor::decode(&data)?, tensor);
    /// # Ok::<(), pycrust_protocol::Malformed>(())
    /// ```
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let Some((fixed, shape)) = data.split_first_chunk::<FIXED_LEN>() else {
            let reason = format!("an array's descriptor of {} bytes, {FIXED_LEN} are the least", data.len());
            return Err(Malformed::new(0, reason));
        };
        let [dtype, bits, dimensions, reserved, a, b, c, d] = *fixed;
        let Some(dtype) = DType::from_u8(dtype) else {
            return Err(Malformed::new(0, format!("elements of the unknown type {dtype}")));
        };
        if bits & !flags::KNOWN != 0 {
            return Err(Malformed::new(
                1,
                format!("an array's descriptor with the unknown flags {bits:#04x}"),
            ));
        }
        let dimensions = usize::from(dimensions);
        if dimensions > MAX_DIMENSIONS {
            let reason = format!("an array of {dimensions} dimensions, at most {MAX_DIMENSIONS} are allowed");
            return Err(Malformed::new(2, reason));
        }
        if reserved != 0 {
            return Err(Malformed::new(3, "a reserved byte that is not 0"));
        }
        let needed = dimensions * 8;
        let record = dtype == DType::Record;
        if shape.len() < needed || (shape.len() > needed && !record) {
            let found = shape.len();
            return Err(Malformed::new(
                FIXED_LEN,
                format!("a shape of {found} bytes, {dimensions} dimensions have {needed}"),
            ));
        }
        if record && bits & flags::BIG_ENDIAN != 0 {
            return Err(Malformed::new(1, "big-endian records: each of their fields says so for itself"));
        }
        let layout = record.then(|| Layout::decode(data, FIXED_LEN + needed)).transpose()?.map(Arc::new);
        let (sizes, _) = shape[..needed].as_chunks::<8>();
        let shape: Vec<_> = sizes.iter().map(|size| u64::from_le_bytes(*size)).collect();
        let item_size = layout.as_ref().map_or(dtype.size(), |layout| layout.item_size());
        if bytes_of(item_size, &shape).is_none() {
            return Err(Malformed::new(FIXED_LEN, format!("an array of the shape {shape:?} is too large")));
        }
        Ok(Self {
            dtype,
            layout,
            big_endian: bits & flags::BIG_ENDIAN != 0,
            column_major: bits & flags::COLUMN_MAJOR != 0,
            attachment: u32::from_le_bytes([a, b, c, d]),
            shape,
        })
    }
}

/// Bytes of an array whose elements have `item_size` each; `None` if no attachment could hold them.
pub fn bytes_of(item_size: usize, shape: &[u64]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let elements = shape.iter().try_fold(1_u64, |count, size| count.checked_mul(*size))?;
    let bytes = elements.checked_mul(item_size as u64)?;
    usize::try_from(bytes).ok().filter(|bytes| isize::try_from(*bytes).is_ok())
}
