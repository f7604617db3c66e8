//! MessagePack to Python objects.
//!
//! The bytes come from the other side: every length is checked against what is left before anything
//! is allocated for it, nesting and the number of values are bounded, and so is what hashing costs. Other threads get the
//! interpreter now and then.

use std::collections::HashMap;
use std::fmt::Display;

use pycrust_protocol::integer::{INTEGER_EXTENSION, Integer};
use pycrust_protocol::limits::{MAX_DEPTH, MAX_VALUES};
use pycrust_protocol::tensor::{TENSOR_EXTENSION, Tensor};
use pycrust_transport::Attachments;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use rmp::Marker;

use crate::values::memory::Buffer;
use crate::values::{keys, records, timestamp};

/// Values that are read before other threads get the interpreter: some milliseconds.
const TURN: usize = 1 << 15;

/// Keys of one map that may have the same hash. Python randomises the hashes of texts and bytes only: of tuples and large
/// integers a caller can make up any number with one hash, and each would be compared with all before it.
const MAX_EQUAL_HASHES: u32 = 64;

/// Why a payload gave no object.
pub(crate) enum DecodeError {
    /// The bytes are not what they should be: the offset and the reason.
    Malformed(usize, String),
    /// The interpreter refused, for want of memory, say.
    Python(PyErr),
}

impl From<PyErr> for DecodeError {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<DecodeError> for PyErr {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(at, reason) => {
                PyValueError::new_err(format!("malformed MessagePack at byte {at}: {reason}"))
            }
            DecodeError::Python(error) => error,
        }
    }
}

impl From<PyErr> for Box<DecodeError> {
    fn from(error: PyErr) -> Self {
        Self::new(DecodeError::Python(error))
    }
}

/// Boxed on the way: a result that fits into registers is what makes many small values quick.
type Decoded<'py> = Result<Bound<'py, PyAny>, Box<DecodeError>>;

/// What is read, in the end.
type Read<'py> = Result<Bound<'py, PyAny>, DecodeError>;

/// Reads the one value that `bytes` holds, which has no arrays.
pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Read<'py> {
    decode_with(py, bytes, &Attachments::none())
}

/// Reads the one value that `bytes` holds, whose arrays are in these attachments.
pub(crate) fn decode_with<'py>(py: Python<'py>, bytes: &[u8], attachments: &Attachments) -> Read<'py> {
    decode_from(Decoder::new(py, bytes, attachments, false))
}

/// Reads the one value that `bytes` holds, of a record: arrays that were not kept are `pycrust.arrays.absent.Absent`.
pub(crate) fn decode_kept<'py>(py: Python<'py>, bytes: &[u8], arrays: &Attachments) -> Read<'py> {
    decode_from(Decoder::new(py, bytes, arrays, arrays.is_empty()))
}

fn decode_from<'py>(mut decoder: Decoder<'_, 'py>) -> Read<'py> {
    let bytes = decoder.bytes;
    let value = decoder.value(0, false).map_err(|error| *error)?;
    match bytes.len() - decoder.at {
        0 => Ok(value),
        left => Err(*decoder.refuse(decoder.at, format_args!("{left} bytes follow the value"))),
    }
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    bytes: &'a [u8],
    at: usize,
    /// Items of the arrays that are being read, the innermost last.
    items: Vec<Bound<'py, PyAny>>,
    attachments: &'a Attachments,
    /// Whether the arrays are missing.
    absent: bool,
    /// Values that may still be read in this turn.
    turn: usize,
    /// Turns that may still follow.
    turns: usize,
}

impl<'a, 'py> Decoder<'a, 'py> {
    fn new(py: Python<'py>, bytes: &'a [u8], attachments: &'a Attachments, absent: bool) -> Self {
        let (turn, turns) = (TURN, MAX_VALUES / TURN);
        Self { py, bytes, at: 0, items: Vec::new(), attachments, absent, turn, turns }
    }

    /// Lets other threads have the interpreter, unless there have been too many values.
    #[cold]
    fn next_turn(&mut self) -> Result<(), Box<DecodeError>> {
        self.turns -= 1;
        if self.turns == 0 {
            let reason = format_args!("more than {MAX_VALUES} values; many numbers belong in an array");
            return Err(self.refuse(self.at, reason));
        }
        self.turn = TURN;
        self.py.detach(|| ());
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads as the decoder's verdict")]
    #[expect(clippy::unnecessary_box_returns, reason = "see `Decoded`")]
    #[cold]
    fn refuse(&self, at: usize, reason: impl Display) -> Box<DecodeError> {
        Box::new(DecodeError::Malformed(at, reason.to_string()))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Box<DecodeError>> {
        let left = self.bytes.len() - self.at;
        if len > left {
            return Err(self.refuse(self.at, format_args!("{len} bytes are announced, {left} are left")));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Box<DecodeError>> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One value; as a map's key (`hashable`), an array becomes a tuple.
    #[inline]
    fn value(&mut self, depth: usize, hashable: bool) -> Decoded<'py> {
        let at = self.at;
        if depth > MAX_DEPTH {
            return Err(self.refuse(at, format_args!("nested deeper than {MAX_DEPTH}")));
        }
        self.turn -= 1;
        if self.turn == 0 {
            self.next_turn()?;
        }
        let marker = Marker::from_u8(self.fixed::<1>()?[0]);
        match marker {
            Marker::FixPos(value) => Ok(self.int(value)),
            Marker::FixNeg(value) => Ok(self.int(value)),
            Marker::Null => Ok(self.py.None().into_bound(self.py)),
            Marker::True | Marker::False => {
                Ok(PyBool::new(self.py, marker == Marker::True).to_owned().into_any())
            }
            Marker::FixStr(len) => self.str(at, usize::from(len)),
            Marker::FixArray(len) => self.array(at, usize::from(len), depth, hashable),
            Marker::FixMap(len) => self.map(at, usize::from(len), depth, hashable),
            Marker::Reserved => Err(self.refuse(at, "0xc1 is no MessagePack")),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let len = self.len(marker, Marker::Bin8, Marker::Bin16)?;
                self.bin(len)
            }
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let len = self.len(marker, Marker::Str8, Marker::Str16)?;
                self.str(at, len)
            }
            Marker::Array16 | Marker::Array32 => {
                let len = self.len(marker, Marker::Null, Marker::Array16)?;
                self.array(at, len, depth, hashable)
            }
            Marker::Map16 | Marker::Map32 => {
                let len = self.len(marker, Marker::Null, Marker::Map16)?;
                self.map(at, len, depth, hashable)
            }
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let len = self.len(marker, Marker::Ext8, Marker::Ext16)?;
                self.ext(at, len)
            }
            Marker::FixExt1 => self.ext(at, 1),
            Marker::FixExt2 => self.ext(at, 2),
            Marker::FixExt4 => self.ext(at, 4),
            Marker::FixExt8 => self.ext(at, 8),
            Marker::FixExt16 => self.ext(at, 16),
            number => self.number(number),
        }
    }

    /// The length behind a marker: one byte for `short`, two for `middle`, four for any other.
    fn len(&mut self, marker: Marker, short: Marker, middle: Marker) -> Result<usize, Box<DecodeError>> {
        if marker == short {
            Ok(usize::from(self.fixed::<1>()?[0]))
        } else if marker == middle {
            Ok(usize::from(u16::from_be_bytes(self.fixed()?)))
        } else {
            Ok(u32::from_be_bytes(self.fixed()?) as usize)
        }
    }

    fn number(&mut self, marker: Marker) -> Decoded<'py> {
        Ok(match marker {
            Marker::U8 => {
                let raw = self.fixed()?;
                self.int(u8::from_be_bytes(raw))
            }
            Marker::U16 => {
                let raw = self.fixed()?;
                self.int(u16::from_be_bytes(raw))
            }
            Marker::U32 => {
                let raw = self.fixed()?;
                self.int(u32::from_be_bytes(raw))
            }
            Marker::U64 => {
                let raw = self.fixed()?;
                self.int(u64::from_be_bytes(raw))
            }
            Marker::I8 => {
                let raw = self.fixed()?;
                self.int(i8::from_be_bytes(raw))
            }
            Marker::I16 => {
                let raw = self.fixed()?;
                self.int(i16::from_be_bytes(raw))
            }
            Marker::I32 => {
                let raw = self.fixed()?;
                self.int(i32::from_be_bytes(raw))
            }
            Marker::I64 => {
                let raw = self.fixed()?;
                self.int(i64::from_be_bytes(raw))
            }
            Marker::F32 => {
                let raw = self.fixed()?;
                self.float(f64::from(f32::from_be_bytes(raw)))
            }
            _ => {
                let raw = self.fixed()?;
                self.float(f64::from_be_bytes(raw))
            }
        })
    }

    fn int<T>(&self, value: T) -> Bound<'py, PyAny>
    where
        T: IntoPyObject<'py, Target = PyInt, Output = Bound<'py, PyInt>, Error = std::convert::Infallible>,
    {
        let Ok(int) = value.into_pyobject(self.py);
        int.into_any()
    }

    fn float(&self, value: f64) -> Bound<'py, PyAny> {
        PyFloat::new(self.py, value).into_any()
    }

    fn str(&mut self, at: usize, len: usize) -> Decoded<'py> {
        let bytes = self.take(len)?;
        let text = PyString::from_bytes(self.py, bytes).map_err(|error| self.no_text(at, bytes, error))?;
        Ok(text.into_any())
    }

    /// Why bytes are no string: only then they are looked at by themselves.
    #[expect(clippy::unnecessary_box_returns, reason = "see `Decoded`")]
    #[cold]
    fn no_text(&self, at: usize, bytes: &[u8], error: PyErr) -> Box<DecodeError> {
        match std::str::from_utf8(bytes) {
            Err(error) => self.refuse(at, format_args!("a string that is not UTF-8: {error}")),
            Ok(_) => error.into(),
        }
    }

    /// A map's key, which is mostly a short string.
    fn key(&mut self, depth: usize) -> Decoded<'py> {
        let at = self.at;
        if let Some(marker @ 0xa0..0xc0) = self.bytes.get(at) {
            self.at += 1;
            let bytes = self.take(usize::from(marker & 0x1f))?;
            let key = keys::key(self.py, bytes).map_err(|error| self.no_text(at, bytes, error))?;
            return Ok(key.into_any());
        }
        self.value(depth, true)
    }

    fn bin(&mut self, len: usize) -> Decoded<'py> {
        Ok(PyBytes::new(self.py, self.take(len)?).into_any())
    }

    /// Refuses a container that announces more elements than bytes are left to hold them.
    fn paid_for(&self, at: usize, len: usize, bytes_each: usize) -> Result<(), Box<DecodeError>> {
        let left = self.bytes.len() - self.at;
        if len > left / bytes_each {
            return Err(self.refuse(at, format_args!("{len} elements are announced, {left} bytes are left")));
        }
        Ok(())
    }

    fn array(&mut self, at: usize, len: usize, depth: usize, hashable: bool) -> Decoded<'py> {
        self.paid_for(at, len, 1)?;
        let first = self.items.len();
        for _ in 0..len {
            let item = self.value(depth + 1, hashable)?;
            self.items.push(item);
        }
        let items = self.items.drain(first..);
        if hashable {
            Ok(PyTuple::new(self.py, items)?.into_any())
        } else {
            Ok(PyList::new(self.py, items)?.into_any())
        }
    }

    fn map(&mut self, at: usize, len: usize, depth: usize, hashable: bool) -> Decoded<'py> {
        if hashable {
            return Err(self.refuse(at, "a map can't be the key of a map in Python"));
        }
        self.paid_for(at, len, 2)?;
        let dict = PyDict::new(self.py);
        let mut hashes: Option<HashMap<isize, u32>> = None;
        for _ in 0..len {
            let from = self.at;
            let key = self.key(depth + 1)?;
            if may_collide(self.bytes[from]) {
                let equal = hashes.get_or_insert_default().entry(key.hash()?).or_insert(0);
                *equal += 1;
                if *equal > MAX_EQUAL_HASHES {
                    let reason = format_args!("more than {MAX_EQUAL_HASHES} keys of a map have one hash");
                    return Err(self.refuse(from, reason));
                }
            }
            let value = self.value(depth + 1, false)?;
            dict.set_item(key, value)?;
        }
        Ok(dict.into_any())
    }

    fn ext(&mut self, at: usize, len: usize) -> Decoded<'py> {
        let kind = i8::from_be_bytes(self.fixed()?);
        let data = self.take(len)?;
        if kind == TENSOR_EXTENSION {
            return self.tensor(at, data);
        }
        if kind == INTEGER_EXTENSION {
            return match Integer::decode(data).map_err(|reason| self.refuse(at, reason))? {
                Integer::Signed(value) => Ok(self.int(value)),
                Integer::Unsigned(value) => Ok(self.int(value)),
            };
        }
        if kind != -1 {
            let known = "only timestamps (-1), arrays (1) and integers (2) have a meaning";
            return Err(self.refuse(at, format_args!("extension type {kind}, {known}")));
        }
        let (seconds, nanos) = timestamp::parts(data).map_err(|reason| self.refuse(at, reason))?;
        Ok(timestamp::read(self.py, seconds, nanos)?)
    }

    /// An array, as `pycrust.arrays.incoming.view` makes it of the attachment.
    fn tensor(&self, at: usize, data: &[u8]) -> Decoded<'py> {
        static VIEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let tensor = Tensor::decode(data).map_err(|error| self.refuse(at, error.reason))?;
        let number = tensor.attachment;
        if self.absent {
            static ABSENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let elements = self.elements(&tensor)?;
            let shape = PyTuple::new(self.py, tensor.shape)?;
            let absent = ABSENT.import(self.py, "pycrust.arrays.absent", "absent")?;
            return Ok(absent.call1((elements, shape))?);
        }
        let Some(bytes) = self.attachments.get(number as usize) else {
            let count = self.attachments.len();
            return Err(self.refuse(at, format_args!("an array in attachment {number}, there are {count}")));
        };
        if tensor.len() != Some(bytes.len()) {
            let (name, shape, len) = (tensor.dtype.name(), &tensor.shape, bytes.len());
            let reason = format_args!("an array of {name} of the shape {shape:?} in {len} bytes");
            return Err(self.refuse(at, reason));
        }
        let elements = self.elements(&tensor)?;
        let Tensor { big_endian, column_major, shape, .. } = tensor;
        let shape = PyTuple::new(self.py, shape)?;
        let view = VIEW.import(self.py, "pycrust.arrays.incoming", "view")?;
        let buffer = Bound::new(self.py, Buffer(bytes))?;
        Ok(view.call1((buffer, elements, shape, big_endian, column_major))?)
    }

    /// What an array's elements are: a name, or of records what is in them.
    fn elements(&self, tensor: &Tensor) -> Decoded<'py> {
        match &tensor.layout {
            Some(layout) => Ok(records::to_python(self.py, layout)?),
            None => Ok(PyString::new(self.py, tensor.dtype.name()).into_any()),
        }
    }
}

/// Whether a key that begins so is one whose hash a caller can choose: an array or an extension.
fn may_collide(first: u8) -> bool {
    matches!(first, 0x90..=0x9f | 0xc7..=0xc9 | 0xd4..=0xd8 | 0xdc..=0xdd)
}
