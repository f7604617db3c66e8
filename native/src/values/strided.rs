//! Copying arrays whose elements do not lie one behind the other: once, into the sample.

use std::ptr;

use pycrust_transport::Source;
use pyo3::buffer::PyUntypedBuffer;

/// The elements of a Python object that has gaps between them, or another order.
pub(crate) struct Strided {
    /// Keeps the elements.
    _buffer: PyUntypedBuffer,
    /// The address of the first.
    start: usize,
    /// Bytes of an element, or of a row of them that lie one behind the other.
    run: usize,
    /// How many there are in each dimension, and the bytes from one to the next.
    dimensions: Vec<(usize, isize)>,
    /// Bytes of all elements.
    len: usize,
}

impl Strided {
    /// The elements of an export, the last dimension fastest; `None` if they are behind pointers.
    pub(crate) fn new(buffer: PyUntypedBuffer) -> Option<Self> {
        if buffer.suboffsets().is_some_and(|offsets| offsets.iter().any(|offset| *offset >= 0)) {
            return None;
        }
        let mut dimensions: Vec<_> =
            buffer.shape().iter().copied().zip(buffer.strides().iter().copied()).collect();
        let mut run = buffer.item_size();
        while let Some((count, stride)) = dimensions.last().copied()
            && (stride == run.cast_signed() || count == 1)
        {
            run *= count;
            dimensions.pop();
        }
        let len = dimensions.iter().map(|(count, _)| count).product::<usize>() * run;
        if len != buffer.len_bytes() {
            return None;
        }
        Some(Self { start: buffer.buf_ptr().expose_provenance(), run, dimensions, len, _buffer: buffer })
    }

    /// Copies the elements of the inner dimensions from `from` on; what of `target` they leave.
    fn copy<'a>(&self, dimensions: &[(usize, isize)], from: *const u8, target: &'a mut [u8]) -> &'a mut [u8] {
        match dimensions {
            [] => {
                let (here, rest) = target.split_at_mut(self.run);
                // SAFETY: the export has a run's bytes at each of its places. Python could write them meanwhile: raw
                // bytes are copied, and no reference to them is made.
                unsafe { ptr::copy_nonoverlapping(from, here.as_mut_ptr(), self.run) };
                rest
            }
            [(count, stride)] => {
                let (here, rest) = target.split_at_mut(count * self.run);
                match self.run {
                    1 => row::<1>(*count, *stride, from, here),
                    2 => row::<2>(*count, *stride, from, here),
                    4 => row::<4>(*count, *stride, from, here),
                    8 => row::<8>(*count, *stride, from, here),
                    16 => row::<16>(*count, *stride, from, here),
                    run => {
                        for (number, place) in here.chunks_exact_mut(run).enumerate() {
                            let element = from.wrapping_offset(number.cast_signed() * stride);
                            // SAFETY: as above.
                            unsafe { ptr::copy_nonoverlapping(element, place.as_mut_ptr(), run) };
                        }
                    }
                }
                rest
            }
            [(count, stride), inner @ ..] => (0..*count).fold(target, |target, number| {
                self.copy(inner, from.wrapping_offset(number.cast_signed() * stride), target)
            }),
        }
    }
}

/// Copies elements of `N` bytes each.
fn row<const N: usize>(count: usize, stride: isize, from: *const u8, target: &mut [u8]) {
    let (places, _) = target.as_chunks_mut::<N>();
    for (number, place) in places.iter_mut().enumerate().take(count) {
        // SAFETY: the export has an element at each of its places, whatever its alignment.
        *place =
            unsafe { from.wrapping_offset(number.cast_signed() * stride).cast::<[u8; N]>().read_unaligned() };
    }
}

impl Source for Strided {
    fn len(&self) -> usize {
        self.len
    }

    fn write(&self, target: &mut [u8]) {
        let left = self.copy(&self.dimensions, ptr::with_exposed_provenance(self.start), target);
        debug_assert!(left.is_empty(), "the target has as many bytes");
    }
}
