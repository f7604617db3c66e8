//! Records: elements of an array that have named fields, as a C struct or a row of NumPy's has.

use crate::error::Malformed;
use crate::limits::{MAX_FIELD_DIMENSIONS, MAX_FIELD_NAME_LEN, MAX_FIELDS, MAX_RECORD_LEN};
use crate::tensor::DType;

/// Bytes of a layout before its fields.
const FIXED_LEN: usize = 8;

/// Bytes of a field before the sizes of its dimensions and its name.
const FIELD_LEN: usize = 8;

/// Bits of a field's flags.
mod flags {
    /// Its numbers are big-endian.
    pub(super) const BIG_ENDIAN: u8 = 1 << 0;
    /// A string of bytes, filled up with zeros; its last dimension is how many there are.
    pub(super) const STRING: u8 = 1 << 1;
    /// Bits that have a meaning.
    pub(super) const KNOWN: u8 = BIG_ENDIAN | STRING;
}

/// One field of a record: a number, or as many as its dimensions say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name, which no other field of the record has.
    pub name: String,
    /// The type of its numbers.
    pub dtype: DType,
    /// They are big-endian.
    pub big_endian: bool,
    /// They are the bytes of a string that is filled up with zeros: `dtype` is [`DType::U8`], and the last dimension
    /// is how many bytes there are.
    pub string: bool,
    /// Where the first one begins in the record.
    pub offset: u32,
    /// Numbers in each dimension, the last one fastest; none for a single number.
    pub shape: Vec<u32>,
}

impl Field {
    /// Bytes that it takes; `None` if they have no number.
    pub fn len(&self) -> Option<u32> {
        let one = u32::try_from(self.dtype.size()).ok()?;
        self.shape.iter().try_fold(one, |bytes, size| bytes.checked_mul(*size))
    }

    /// Whether it takes no bytes, which no field of a [`Layout`] does.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What is wrong with it by itself, in a record of `item_size` bytes.
    fn flaw(&self, item_size: u32) -> Option<String> {
        let Self { name, dtype, shape, .. } = self;
        if name.is_empty() || name.len() > MAX_FIELD_NAME_LEN {
            let len = name.len();
            return Some(format!("a field with a name of {len} bytes, it has 1 to {MAX_FIELD_NAME_LEN}"));
        }
        if *dtype == DType::Record {
            return Some(format!("the field {name:?} is a record itself"));
        }
        if shape.len() > MAX_FIELD_DIMENSIONS {
            let dimensions = shape.len();
            return Some(format!(
                "the field {name:?} has {dimensions} dimensions, at most {MAX_FIELD_DIMENSIONS} are allowed"
            ));
        }
        if self.string && (*dtype != DType::U8 || shape.is_empty()) {
            return Some(format!("the field {name:?} is a string, but not of bytes in a dimension"));
        }
        let fits = self.len().filter(|len| *len > 0);
        let end = fits.and_then(|len| self.offset.checked_add(len)).filter(|end| *end <= item_size);
        if end.is_none() {
            let (numbers, offset) = (dtype.name(), self.offset);
            return Some(format!(
                "the field {name:?} of {numbers} in the shape {shape:?} at byte {offset} has no room in {item_size} bytes"
            ));
        }
        None
    }
}

/// What is in a record, and where: its size and its fields, of which no two share bytes. What lies between them means
/// nothing.
///
/// # Examples
/// ```
/// use pycrust_protocol::record::{Field, Layout};
/// use pycrust_protocol::tensor::DType;
///
/// let at = |name: &str, dtype, offset| Field {
///     name: name.into(), dtype, offset, big_endian: false, string: false, shape: vec![],
/// };
/// let layout = Layout::new(16, vec![at("time", DType::I64, 0), at("price", DType::F32, 8)])?;
/// assert_eq!((layout.item_size(), layout.fields().len()), (16, 2));
/// let apart = Layout::new(8, vec![at("time", DType::I64, 0), at("price", DType::F32, 4)]);
/// assert!(apart.unwrap_err().to_string().contains("share bytes"));
/// # Ok::<(), pycrust_protocol::record::Unfit>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    item_size: u32,
    fields: Vec<Field>,
}

/// A record that can't be described: which field is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unfit {
    /// The field's number.
    pub field: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Layout {
    /// Records of `item_size` bytes with these fields.
    ///
    /// # Errors
    /// [`Unfit`] for none or too many fields, too many bytes, a name that is empty, too long or there twice, a field that is no number,
    /// has too many dimensions, or lies outside the record or inside another.
    pub fn new(item_size: u32, fields: Vec<Field>) -> Result<Self, Unfit> {
        if fields.is_empty() || fields.len() > MAX_FIELDS {
            let reason = format!("a record of {} fields, it has 1 to {MAX_FIELDS}", fields.len());
            return Err(Unfit { field: 0, reason });
        }
        if item_size > MAX_RECORD_LEN {
            let reason = format!("records of {item_size} bytes, at most {MAX_RECORD_LEN} are allowed");
            return Err(Unfit { field: 0, reason });
        }
        for (number, field) in fields.iter().enumerate() {
            if let Some(reason) = field.flaw(item_size) {
                return Err(Unfit { field: number, reason });
            }
        }
        let mut order: Vec<_> = fields.iter().enumerate().collect();
        order.sort_unstable_by_key(|(_, field)| field.offset);
        for pair in order.windows(2) {
            let ((_, one), (number, other)) = (pair[0], pair[1]);
            if one.offset + one.len().unwrap_or_default() > other.offset {
                let reason = format!("the fields {:?} and {:?} share bytes", one.name, other.name);
                return Err(Unfit { field: number, reason });
            }
        }
        order.sort_by_key(|(_, field)| field.name.as_str());
        for pair in order.windows(2) {
            let ((_, one), (number, other)) = (pair[0], pair[1]);
            if one.name == other.name {
                let reason = format!("two fields have the name {:?}", one.name);
                return Err(Unfit { field: number, reason });
            }
        }
        Ok(Self { item_size, fields })
    }

    /// Bytes of a record, those between its fields included.
    pub fn item_size(&self) -> usize {
        self.item_size as usize
    }

    /// Its fields, in the order in which they were named.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Appends its form in an array's descriptor.
    #[expect(clippy::cast_possible_truncation, reason = "no layout has more of them than their numbers hold")]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.item_size.to_le_bytes());
        out.extend_from_slice(&(self.fields.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        for field in &self.fields {
            let mut bits = 0;
            if field.big_endian {
                bits |= flags::BIG_ENDIAN;
            }
            if field.string {
                bits |= flags::STRING;
            }
            let (dimensions, name) = (field.shape.len() as u8, field.name.len() as u8);
            out.extend_from_slice(&[field.dtype as u8, bits, dimensions, name]);
            out.extend_from_slice(&field.offset.to_le_bytes());
            for size in &field.shape {
                out.extend_from_slice(&size.to_le_bytes());
            }
            out.extend_from_slice(field.name.as_bytes());
        }
    }

    /// Reads its form in an array's descriptor: all of `data` from `start` on.
    pub(crate) fn decode(data: &[u8], start: usize) -> Result<Self, Malformed> {
        let mut at = start;
        let [a, b, c, d, low, high, reserved @ ..] = fixed::<FIXED_LEN>(data, &mut at)?;
        let (item_size, count) =
            (u32::from_le_bytes([a, b, c, d]), usize::from(u16::from_le_bytes([low, high])));
        if reserved != [0, 0] {
            return Err(Malformed::new(start + 6, "a reserved byte that is not 0"));
        }
        if count > MAX_FIELDS {
            let reason = format!("a record of {count} fields, it has 1 to {MAX_FIELDS}");
            return Err(Malformed::new(start + 4, reason));
        }
        let mut fields = Vec::new();
        let mut places = vec![start];
        for _ in 0..count {
            places.push(at);
            fields.push(field(data, &mut at)?);
        }
        if at != data.len() {
            return Err(Malformed::new(at, format!("{} bytes follow the last field", data.len() - at)));
        }
        // A record without any field has the place of the whole.
        let place = |unfit: &Unfit| if count == 0 { start + 4 } else { places[unfit.field + 1] };
        Self::new(item_size, fields).map_err(|unfit| Malformed::new(place(&unfit), unfit.reason))
    }
}

/// Reads one field.
fn field(data: &[u8], at: &mut usize) -> Result<Field, Malformed> {
    let start = *at;
    let [dtype, bits, dimensions, name_len, a, b, c, d] = fixed::<FIELD_LEN>(data, at)?;
    let Some(dtype) = DType::from_u8(dtype) else {
        return Err(Malformed::new(start, format!("a field of the unknown type {dtype}")));
    };
    if bits & !flags::KNOWN != 0 {
        return Err(Malformed::new(start + 1, format!("a field with the unknown flags {bits:#04x}")));
    }
    let (sizes, _) = take(data, at, usize::from(dimensions) * 4)?.as_chunks::<4>();
    let shape = sizes.iter().map(|size| u32::from_le_bytes(*size)).collect();
    let name_at = *at;
    let name = std::str::from_utf8(take(data, at, usize::from(name_len))?)
        .map_err(|error| Malformed::new(name_at, format!("a field's name that is not UTF-8: {error}")))?;
    Ok(Field {
        name: name.into(),
        dtype,
        big_endian: bits & flags::BIG_ENDIAN != 0,
        string: bits & flags::STRING != 0,
        offset: u32::from_le_bytes([a, b, c, d]),
        shape,
    })
}

/// The next `N` bytes.
fn fixed<const N: usize>(data: &[u8], at: &mut usize) -> Result<[u8; N], Malformed> {
    let mut out = [0; N];
    out.copy_from_slice(take(data, at, N)?);
    Ok(out)
}

/// The next `len` bytes.
fn take<'a>(data: &'a [u8], at: &mut usize, len: usize) -> Result<&'a [u8], Malformed> {
    let start = *at;
    let Some(taken) = data.get(start..start + len) else {
        let left = data.len() - start;
        return Err(Malformed::new(start, format!("{len} bytes of a record are missing, {left} are left")));
    };
    *at += len;
    Ok(taken)
}
