//! The arrays of a value on its way out.

use std::collections::HashMap;
use std::sync::Arc;

use pycrust_protocol::tensor::{DType, TENSOR_EXTENSION, Tensor};
use pycrust_transport::{Attachment, Source};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use rmp::encode as write;

use crate::values::memory::{Placed, Rooms};
use crate::values::records;
use crate::values::strided::Strided;

/// The arrays of one value, in the order of their attachments.
#[derive(Default)]
pub(crate) struct Attached {
    /// Where arrays of the answer may have been built.
    rooms: Option<Arc<Rooms>>,
    found: Vec<Found>,
    /// Numbers of attachments by where their bytes begin and how many there are: an array may be there twice.
    known: HashMap<(usize, usize), u32>,
}

/// One attachment.
enum Found {
    /// In a room.
    Placed(Placed),
    /// Somewhere else.
    Elsewhere(Arc<dyn Source>),
}

/// Bytes of a Python object, which are copied without the interpreter.
struct Exported {
    /// Keeps the bytes; taken when it is dropped.
    buffer: PyUntypedBuffer,
    start: usize,
    len: usize,
}

impl Source for Exported {
    fn len(&self) -> usize {
        self.len
    }

    fn write(&self, target: &mut [u8]) {
        debug_assert_eq!(self.buffer.len_bytes(), self.len, "an exporter keeps its size");
        let start = std::ptr::with_exposed_provenance::<u8>(self.start);
        // SAFETY: the export keeps this many bytes there. Python could write them meanwhile: raw bytes are
        // copied, and no reference to them is made.
        unsafe { target.as_mut_ptr().copy_from_nonoverlapping(start, target.len()) };
    }
}

impl Attached {
    /// For an answer whose arrays may have been built in place.
    pub(crate) fn with(rooms: Option<Arc<Rooms>>) -> Self {
        Self { rooms, ..Self::default() }
    }

    /// Writes an array's descriptor and keeps its bytes; `None` if the value is no array.
    pub(crate) fn put(&mut self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<Option<()>> {
        static DESCRIBE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = value.py();
        let described = DESCRIBE.import(py, "pycrust.arrays.outgoing", "describe")?.call1((value,))?;
        if described.is_none() {
            return Ok(None);
        }
        let (bytes, elements, shape, big_endian, column_major) =
            described.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Vec<u64>, bool, bool)>()?;
        let (dtype, layout) = match elements.cast::<PyString>() {
            Ok(name) => (records::dtype(name.to_str()?)?, None),
            Err(_) => (DType::Record, Some(Arc::new(records::layout(&elements)?))),
        };
        let attachment = self.attach(&bytes)?;
        let tensor = Tensor { dtype, layout, big_endian, column_major, attachment, shape };
        let mut data = Vec::new();
        tensor.put(&mut data);
        let written = write::write_ext_meta(out, data.len() as u32, TENSOR_EXTENSION);
        written.map_err(|error| PyValueError::new_err(error.to_string()))?;
        out.extend_from_slice(&data);
        Ok(Some(()))
    }

    /// Keeps the bytes of an object that exports them: the attachment's number.
    fn attach(&mut self, bytes: &Bound<'_, PyAny>) -> PyResult<u32> {
        let buffer = PyUntypedBuffer::get(bytes)?;
        if !buffer.is_c_contiguous() {
            let strided = Strided::new(buffer)
                .ok_or_else(|| PyValueError::new_err("an array whose elements are behind pointers"))?;
            self.found.push(Found::Elsewhere(Arc::new(strided)));
            return Ok((self.found.len() - 1) as u32);
        }
        let (start, len) = (buffer.buf_ptr().expose_provenance(), buffer.len_bytes());
        if let (Some(number), true) = (self.known.get(&(start, len)), len > 0) {
            return Ok(*number);
        }
        let placed = self.rooms.as_ref().and_then(|rooms| rooms.find(start, len));
        self.found.push(match placed {
            Some(placed) => {
                drop(buffer);
                Found::Placed(placed)
            }
            None => Found::Elsewhere(Arc::new(Exported { buffer, start, len })),
        });
        let number = (self.found.len() - 1) as u32;
        self.known.insert((start, len), number);
        Ok(number)
    }

    /// Whether there are no arrays.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
        self.known.clear();
    }

    /// The attachments. Python's references to the value must be gone, for what was built in place to be sent
    /// where it is.
    pub(crate) fn attachments(self) -> Vec<Attachment> {
        if let Some(rooms) = &self.rooms {
            rooms.clear();
        }
        self.found
            .into_iter()
            .map(|found| match found {
                Found::Placed(placed) => placed.attachment(),
                Found::Elsewhere(source) => Attachment::Source(source),
            })
            .collect()
    }
}
