//! What is in a record, as Python has it: the bytes of one, and of each field its name, type, offset, sizes and whether
//! it is big-endian.

use pycrust_protocol::record::{Field, Layout};
use pycrust_protocol::tensor::DType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The type that Python names for a field which is a string of bytes.
const STRING: &str = "bytes";

type Row = (String, String, u32, Vec<u32>, bool);

/// The type of elements of this name.
pub(crate) fn dtype(name: &str) -> PyResult<DType> {
    let known = DType::named(name).filter(|dtype| *dtype != DType::Record);
    known.ok_or_else(|| PyTypeError::new_err(format!("arrays of {name} can't cross")))
}

/// Reads a layout that `pycrust.arrays.records` has made.
pub(crate) fn layout(given: &Bound<'_, PyAny>) -> PyResult<Layout> {
    let (item_size, rows) = given.extract::<(u32, Vec<Row>)>()?;
    let field = |(name, kind, offset, shape, big_endian): Row| {
        let string = kind == STRING;
        let dtype = if string { DType::U8 } else { dtype(&kind)? };
        Ok(Field { name, dtype, big_endian, string, offset, shape })
    };
    let fields = rows.into_iter().map(field).collect::<PyResult<_>>()?;
    Layout::new(item_size, fields)
        .map_err(|unfit| PyTypeError::new_err(format!("an array of records that can't cross: {unfit}")))
}

/// A layout for `pycrust.arrays.records`.
pub(crate) fn to_python<'py>(py: Python<'py>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    let row = |field: &Field| {
        let kind = if field.string { STRING } else { field.dtype.name() };
        let shape = PyTuple::new(py, &field.shape)?;
        (&field.name, kind, field.offset, shape, field.big_endian).into_pyobject(py)
    };
    let rows = layout.fields().iter().map(row).collect::<PyResult<Vec<_>>>()?;
    Ok((layout.item_size(), PyTuple::new(py, rows)?).into_pyobject(py)?.into_any())
}
