//! Elements with fields: structs of plain old data, and what is said of them.
//!
//! ```
//! use bytemuck::{Pod, Zeroable};
//! use pycrust_client::Record;
//!
//! #[derive(Clone, Copy, Pod, Zeroable, Record)]
//! #[repr(C)]
//! struct Fill { price: f64, size: u32, side: u32 }
//!
//! // A field for each of the struct's, where it lies.
//! let layout = Fill::layout();
//! let fields: Vec<_> = layout.fields().iter().map(|field| (&*field.name, field.offset)).collect();
//! assert_eq!((layout.item_size(), fields), (16, vec![("price", 0), ("size", 8), ("side", 12)]));
//! ```

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytemuck::Pod;
use half::{bf16, f16};
use pycrust_protocol::limits::MAX_FIELD_DIMENSIONS;
/// # Examples
/// ```
/// # use bytemuck::{Pod, Zeroable};
/// use pycrust_client::{DType, Record};
///
/// #[derive(Clone, Copy, Pod, Zeroable, Record)]
/// #[repr(C)]
/// struct Pose { at: i64, position: [f64; 3] }
///
/// let position = &Pose::layout().fields()[1];
/// assert_eq!((position.dtype, position.offset, &*position.shape), (DType::F64, 8, &[3][..]));
/// ```
pub use pycrust_protocol::record::Field;
pub use pycrust_protocol::record::Layout;
use pycrust_protocol::tensor::DType;

use super::element::Element;
use super::error::TensorError;

/// A struct whose bytes cross as they are, as one element of an array: `#[derive(Record)]`.
///
/// Python has a NumPy array with a structured type of it, whose fields are arrays over the same memory:
/// `ticks["price"].mean()`. Fields are integers and floats of 8 to 64 bits, `half`'s, and arrays of these; one that is
/// a `bool` in Python is a `u8`.
///
/// The struct is `#[repr(C)]`, so that the order of its fields is known, and [`Pod`] by bytemuck's derive, so that its
/// bytes may be looked at: it has no gaps. Where C would leave one, the largest fields go first, or a field marked
/// `#[record(padding)]` fills it. To NumPy that is a gap, as `np.dtype([…], align=True)` has it: what comes back in one
/// means nothing, and is zero in copies. A field has another name there with `#[record(rename = "…")]`.
///
/// # Examples
/// ```no_run
/// use bytemuck::{Pod, Zeroable};
/// use pycrust_client::{Record, RpcClient, Tensor};
///
/// #[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
/// #[repr(C)]
/// struct Tick {
///     at: i64,
///     price: f64,
///     size: u32,
///     side: u8,
///     #[record(padding)]
///     gap: [u8; 3],
/// }
///
/// # async fn trade(client: RpcClient) -> anyhow::Result<()> {
/// let mut ticks = client.allocate::<Tick>(&[1000]).await?;
/// ticks.as_mut_slice()[0] = Tick { at: 1, price: 99.5, size: 10, side: 1, gap: [0; 3] };
/// let fills: Tensor<Tick> = client.call("match_orders", &(&ticks,)).await?;
/// println!("{:?}", fills.as_slice()[0]);
/// # Ok(())
/// # }
/// ```
///
/// A gap that nothing fills does not compile, nor does a struct without `#[repr(C)]`, or a field that is no number:
///
/// ```compile_fail
/// # use bytemuck::{Pod, Zeroable};
/// #[derive(Clone, Copy, Pod, Zeroable, pycrust_client::Record)]
/// #[repr(C)]
/// struct Gap { at: i64, side: u8 }
/// ```
/// ```compile_fail
/// # use bytemuck::{Pod, Zeroable};
/// #[derive(Clone, Copy, Pod, Zeroable, pycrust_client::Record)]
/// #[repr(transparent)]
/// struct NoOrder { at: i64 }
/// ```
/// ```compile_fail
/// # use bytemuck::{Pod, Zeroable};
/// # #[derive(Clone, Copy, Pod, Zeroable)]
/// # #[repr(C)]
/// # struct Inner { x: f32 }
/// #[derive(Clone, Copy, Pod, Zeroable, pycrust_client::Record)]
/// #[repr(C)]
/// struct Nested { inner: Inner }
/// ```
pub trait Record: Pod + Send + Sync {
    /// What is in one.
    fn layout() -> &'static Arc<Layout>;
}

/// Types that fields of a record have.
///
/// # Examples
/// ```
/// use pycrust_client::DType;
/// use pycrust_client::record::RecordField;
///
/// // Four numbers, 32 bits each.
/// assert_eq!(<[f32; 4] as RecordField>::DTYPE, DType::F32);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a field of a record",
    note = "fields are u8 to u64, i8 to i64, f32, f64, half's f16 and bf16, and arrays of these; instead of a bool \
            write a u8, instead of a record its fields"
)]
pub trait RecordField: Pod {
    /// The type of its numbers.
    const DTYPE: DType;
    /// How many there are.
    const SHAPE: Shape;
}

/// The sizes of a field's dimensions.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    sizes: [u32; MAX_FIELD_DIMENSIONS],
    count: usize,
}

impl Shape {
    const NUMBER: Self = Self { sizes: [0; MAX_FIELD_DIMENSIONS], count: 0 };

    /// `len` of these.
    const fn times(self, len: usize) -> Self {
        assert!(len > 0, "a field of a record has at least one number");
        assert!(len <= u32::MAX as usize, "a field of a record has less than 2^32 numbers");
        assert!(self.count < MAX_FIELD_DIMENSIONS, "a field of a record has at most 8 dimensions");
        let mut sizes = [0; MAX_FIELD_DIMENSIONS];
        sizes[0] = len as u32;
        let mut at = 0;
        while at < self.count {
            sizes[at + 1] = self.sizes[at];
            at += 1;
        }
        Self { sizes, count: self.count + 1 }
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl RecordField for $type {
            const DTYPE: DType = <$type as Element>::DTYPE;
            const SHAPE: Shape = Shape::NUMBER;
        }
    )*};
}

numbers!(u8 i8 u16 i16 u32 i32 u64 i64 f16 bf16 f32 f64);

impl<T: RecordField, const N: usize> RecordField for [T; N] {
    const DTYPE: DType = T::DTYPE;
    const SHAPE: Shape = T::SHAPE.times(N);
}

/// What `#[derive(Record)]` says of a field.
#[doc(hidden)]
#[derive(Debug)]
pub struct Part {
    name: &'static str,
    dtype: DType,
    shape: Shape,
    offset: usize,
}

/// Where `#[derive(Record)]` keeps what it said.
#[doc(hidden)]
pub type Once = OnceLock<Arc<Layout>>;

/// A field of this type at this offset.
#[doc(hidden)]
pub const fn part<T: RecordField>(name: &'static str, offset: usize) -> Part {
    Part { name, dtype: T::DTYPE, shape: T::SHAPE, offset }
}

/// What is in a record of these fields.
///
/// # Panics
/// If they are not a struct's: what `#[derive(Record)]` gives is.
#[doc(hidden)]
pub fn layout<T: Record>(parts: &[Part]) -> Arc<Layout> {
    let field = |part: &Part| Field {
        name: part.name.into(),
        dtype: part.dtype,
        big_endian: cfg!(target_endian = "big") && part.dtype.swapped() > 1,
        string: false,
        offset: part.offset as u32,
        shape: part.shape.sizes[..part.shape.count].to_vec(),
    };
    #[expect(clippy::expect_used, reason = "the macro has refused whatever else there could be")]
    let layout = Layout::new(size_of::<T>() as u32, parts.iter().map(field).collect())
        .expect("the fields of a struct, which share no bytes");
    Arc::new(layout)
}

/// Whether records that came have the fields of this one, wherever they are in them.
///
/// # Errors
/// [`TensorError::Field`] for the first one that differs.
pub(super) fn fits(expected: &Layout, found: &Layout) -> Result<(), TensorError> {
    let differs =
        |field: &Field, reason: String| Err(TensorError::Field { field: field.name.clone(), reason });
    for field in expected.fields() {
        let Some(other) = found.fields().iter().find(|other| other.name == field.name) else {
            return differs(field, "is missing".into());
        };
        // A byte each, 0 or 1.
        let dtype =
            if other.dtype == DType::Bool && field.dtype == DType::U8 { DType::U8 } else { other.dtype };
        if (dtype, &other.shape) != (field.dtype, &field.shape) {
            return differs(field, format!("is {}, not {}", text(other), text(field)));
        }
    }
    match found.fields().iter().find(|other| expected.fields().iter().all(|field| field.name != other.name)) {
        Some(other) => differs(other, format!("is not expected: it came with {}", text(other))),
        None => Ok(()),
    }
}

fn text(field: &Field) -> String {
    field.shape.iter().rev().fold(field.dtype.name().into(), |inner, size| format!("[{inner}; {size}]"))
}

/// Whether records that [fit](fits) have their fields where this one has them, too.
///
/// # Errors
/// [`TensorError::Field`] for the first one that differs; [`TensorError::Order`] if one has another order of bytes.
pub(super) fn lies(expected: &Layout, found: &Layout) -> Result<(), TensorError> {
    for (field, other) in pairs(expected, found) {
        if field.offset != other.offset {
            let reason = format!(
                "begins at byte {}, not {}: to_vec() puts the fields in their places",
                other.offset, field.offset
            );
            return Err(TensorError::Field { field: field.name.clone(), reason });
        }
        if is_swapped(other) {
            return Err(TensorError::Order);
        }
    }
    if expected.item_size() == found.item_size() {
        return Ok(());
    }
    let last = expected.fields().last().map(|field| field.name.clone()).unwrap_or_default();
    let (bytes, wanted) = (found.item_size(), expected.item_size());
    let reason =
        format!("is the last of {bytes} bytes, not {wanted}: to_vec() puts the fields in their places");
    Err(TensorError::Field { field: last, reason })
}

/// Whether a field's bytes are not in the order of this machine.
pub(super) fn is_swapped(field: &Field) -> bool {
    field.big_endian != cfg!(target_endian = "big") && field.dtype.swapped() > 1
}

fn pairs<'a>(expected: &'a Layout, found: &'a Layout) -> impl Iterator<Item = (&'a Field, &'a Field)> {
    let other = |field: &Field| found.fields().iter().find(|other| other.name == field.name);
    expected.fields().iter().filter_map(move |field| Some((field, other(field)?)))
}

/// Records that [fit](fits): where they are if they may be taken for these, otherwise copies with each field in its
/// place.
pub(super) fn arranged<'a, T: Element>(expected: &Layout, found: &Layout, bytes: &'a [u8]) -> Cow<'a, [T]> {
    if lies(expected, found).is_ok() {
        return Cow::Borrowed(bytemuck::cast_slice(bytes));
    }
    let pairs: Vec<_> = pairs(expected, found).collect();
    let arrange = |record: &[u8]| {
        let mut element = T::zeroed();
        let target = bytemuck::bytes_of_mut(&mut element);
        for (field, other) in &pairs {
            let len = field.len().unwrap_or_default() as usize;
            let (from, to) = (other.offset as usize, field.offset as usize);
            let place = &mut target[to..to + len];
            place.copy_from_slice(&record[from..from + len]);
            if is_swapped(other) {
                place.chunks_exact_mut(field.dtype.swapped()).for_each(<[u8]>::reverse);
            }
        }
        element
    };
    Cow::Owned(bytes.chunks_exact(found.item_size()).map(arrange).collect())
}

/// Fills the gaps of copies with zeros: NumPy leaves there whatever was in the memory, and who compares two of these
/// structs compares what fills their gaps, too.
pub(super) fn clear_gaps<T: Element>(layout: &Layout, elements: &mut [T]) {
    let mut taken: Vec<_> = layout
        .fields()
        .iter()
        .map(|field| (field.offset, field.offset + field.len().unwrap_or_default()))
        .collect();
    taken.sort_unstable();
    taken.push((layout.item_size() as u32, 0));
    let starts = std::iter::once(0).chain(taken.iter().map(|(_, end)| *end));
    let gaps: Vec<_> = starts
        .zip(&taken)
        .map(|(end, (next, _))| end as usize..*next as usize)
        .filter(|gap| !gap.is_empty())
        .collect();
    if gaps.is_empty() {
        return;
    }
    for element in elements {
        let bytes = bytemuck::bytes_of_mut(element);
        for gap in &gaps {
            bytes[gap.clone()].fill(0);
        }
    }
}

/// A record with the bytes of its numbers in the other order.
pub(super) fn swapped<T: Record>(mut record: T) -> T {
    let bytes = bytemuck::bytes_of_mut(&mut record);
    for field in T::layout().fields() {
        let start = field.offset as usize;
        let place = &mut bytes[start..start + field.len().unwrap_or_default() as usize];
        place.chunks_exact_mut(field.dtype.swapped()).for_each(<[u8]>::reverse);
    }
    record
}
