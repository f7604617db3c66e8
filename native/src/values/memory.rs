//! Memory of arrays as Python sees it: views of what came, and room for what is built in place.

use std::ffi::c_int;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pycrust_engine::CallContext;
use pycrust_protocol::limits::MAX_BODY_LEN;
use pycrust_transport::{self as transport, Attachment, Block, Connection, Piece, Source, View};
use pyo3::prelude::*;
use pyo3::{PyClass, ffi};

/// A block has room for this many arrays like its first: they are sent where they are only if they lie in one
/// block, and what is not used takes no memory.
const ARRAYS_PER_BLOCK: usize = 4;

/// The least that a block has room for.
const LEAST_BLOCK: usize = 1 << 20;

/// Bytes that came; read-only. They stay for as long as anything refers to this object.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Buffer(pub(crate) View);

#[pymethods]
impl Buffer {
    /// Whether the bytes are in shared memory, not copied.
    #[getter]
    fn shared(&self) -> bool {
        self.0.is_shared()
    }

    /// The same bytes as memory that may be written, without a copy; what is written stays in this process.
    fn private(&self) -> Option<Private> {
        self.0.private().map(Private)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    // SAFETY: Python calls it with a view to fill, which keeps this object alive.
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 gives it by value")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = &slf.get().0;
        // SAFETY: as above; the bytes stay where they are for as long as this object lives.
        unsafe { fill(&slf, view, bytes.as_ptr().cast_mut(), bytes.len(), true, flags) }
    }

    fn __repr__(&self) -> String {
        format!("<{} bytes, {}>", self.0.len(), if self.0.is_shared() { "shared" } else { "copied" })
    }
}

/// Bytes that came, which may be written: whoever sent them does not see it. They stay for as long as anything
/// refers to this object.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Private(transport::Private);

#[pymethods]
impl Private {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    // SAFETY: Python calls it with a view to fill, which keeps this object alive.
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 gives it by value")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = &slf.get().0;
        // SAFETY: as above; the bytes stay where they are and are Python's to write for as long as this lives.
        unsafe { fill(&slf, view, bytes.start().as_ptr(), bytes.len(), false, flags) }
    }
}

/// Bytes that a handler writes its answer into; sent where they are once nothing else refers to them.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Room(Arc<Piece>);

#[pymethods]
impl Room {
    /// Whether the bytes are in shared memory; otherwise they are copied when they are sent.
    #[getter]
    fn shared(&self) -> bool {
        self.0.is_shared()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    // SAFETY: Python calls it with a view to fill, which keeps this object alive.
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 gives it by value")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let piece = &slf.get().0;
        // SAFETY: as above; the bytes stay where they are and are Python's to write for as long as this lives.
        unsafe { fill(&slf, view, piece.start().as_ptr(), piece.len(), false, flags) }
    }
}

/// Describes bytes to Python.
///
/// # Safety
/// `view` is to be filled, and the bytes live as long as `owner`.
unsafe fn fill<T: PyClass>(
    owner: &Bound<'_, T>,
    view: *mut ffi::Py_buffer,
    start: *mut u8,
    len: usize,
    read_only: bool,
    flags: c_int,
) -> PyResult<()> {
    let len = len.cast_signed();
    // SAFETY: as the caller promises.
    match unsafe {
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start.cast(), len, c_int::from(read_only), flags)
    } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(owner.py())),
    }
}

/// What was asked for while one call ran.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Where the next one comes from.
    block: Option<Block>,
    /// What was given.
    given: Vec<Arc<Piece>>,
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `len` bytes for the answer to a call.
    pub(crate) fn take(&self, py: Python<'_>, context: &CallContext<Connection>, len: usize) -> Room {
        // Detached: the first block of a connection waits for the caller to open it.
        let piece = Arc::new(py.detach(|| {
            let mut inner = self.lock();
            let in_place = |block: &Block| block.take(len).ok().flatten();
            inner.block.as_ref().and_then(in_place).unwrap_or_else(|| {
                let size = len.saturating_mul(ARRAYS_PER_BLOCK).clamp(LEAST_BLOCK, MAX_BODY_LEN);
                inner.block = context.block(size).ok();
                inner.block.as_ref().and_then(in_place).unwrap_or_else(|| Piece::on_heap(len))
            })
        }));
        self.lock().given.push(Arc::clone(&piece));
        Room(piece)
    }

    /// The piece that holds these bytes, and where in it they are.
    pub(crate) fn find(&self, start: usize, len: usize) -> Option<Placed> {
        let inner = self.lock();
        inner.given.iter().find_map(|piece| {
            let offset = start.checked_sub(piece.start().as_ptr().addr())?;
            let end = offset.checked_add(len).filter(|end| *end <= piece.len())?;
            Some(Placed { piece: Arc::clone(piece), range: offset..end })
        })
    }

    /// Lets go of what was given: what nobody refers to then can be sent where it is.
    pub(crate) fn clear(&self) {
        let inner = std::mem::take(&mut *self.lock());
        drop(inner);
    }
}

/// Bytes of an answer that lie in a room.
pub(crate) struct Placed {
    piece: Arc<Piece>,
    range: Range<usize>,
}

impl Placed {
    /// The attachment, once Python's references to the answer and its [`Rooms`] are gone: in place if nothing
    /// else can write it any more.
    pub(crate) fn attachment(self) -> Attachment {
        match Arc::try_unwrap(self.piece) {
            Ok(piece) if self.range == (0..piece.len()) => Attachment::Piece(piece),
            Ok(piece) => Attachment::Source(Arc::new(Part { piece: Arc::new(piece), range: self.range })),
            Err(piece) => Attachment::Source(Arc::new(Part { piece, range: self.range })),
        }
    }
}

/// Part of a room that is copied.
struct Part {
    piece: Arc<Piece>,
    range: Range<usize>,
}

impl Source for Part {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn write(&self, target: &mut [u8]) {
        let start = self.piece.start().as_ptr();
        // SAFETY: the range lies in the piece, which lives. Python could write it meanwhile, as it could any
        // array that is sent: raw bytes are copied, and no reference to them is made.
        unsafe { target.as_mut_ptr().copy_from_nonoverlapping(start.add(self.range.start), target.len()) };
    }
}
