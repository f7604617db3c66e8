//! Arrays that are built where they are sent from.

use std::marker::PhantomData;

use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachment, Block, Piece};
use serde::{Serialize, Serializer};

use super::element::Element;
use super::wire;

/// An array of arguments that is built in shared memory and sent without a copy; see
/// [`RpcClient::allocate`](crate::RpcClient::allocate).
///
/// Sending it gives its memory away: afterwards it has the same shape and holds zeros, on the heap.
#[derive(Debug)]
pub struct TensorMut<T: Element> {
    shape: Vec<usize>,
    /// Until it is sent. A lock, since it is sent through a shared reference.
    piece: Mutex<Option<Piece>>,
    elements: PhantomData<T>,
}

impl<T: Element> TensorMut<T> {
    pub(crate) fn new(shape: &[usize], piece: Piece) -> Self {
        Self { shape: shape.into(), piece: Mutex::new(Some(piece)), elements: PhantomData }
    }

    /// Bytes of an array of this shape; `None` if no memory could hold them.
    pub(crate) fn bytes(shape: &[usize]) -> Option<usize> {
        shape.iter().try_fold(T::DTYPE.size(), |bytes, size| bytes.checked_mul(*size))
    }

    /// Elements in each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether it is in shared memory. If not, there was none for it, or it was sent: then it is copied.
    pub fn is_shared(&self) -> bool {
        self.piece.lock().as_ref().is_some_and(Piece::is_shared)
    }

    /// The elements, the last dimension fastest; their content is not defined before they are written.
    // Only exclusively: whoever has the elements could otherwise write them while they are sent.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let len = Self::bytes(&self.shape).unwrap_or_default();
        let piece = self.piece.get_mut().get_or_insert_with(|| Piece::on_heap(len));
        bytemuck::cast_slice_mut(piece.bytes_mut())
    }
}

impl<T: Element> Serialize for TensorMut<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::serialize(serializer, T::DTYPE, &self.shape, || {
            let len = Self::bytes(&self.shape).unwrap_or_default();
            Attachment::Piece(self.piece.lock().take().unwrap_or_else(|| Piece::on_heap(len)))
        })
    }
}

/// Memory for several arrays of one call; see [`RpcClient::build`](crate::RpcClient::build).
#[derive(Debug)]
pub struct Arena {
    block: Option<Block>,
}

impl Arena {
    pub(crate) fn new(block: Option<Block>) -> Self {
        Self { block }
    }

    /// An array; on the heap, to be copied, if the arena has no room left for it.
    ///
    /// # Panics
    /// If no memory could hold an array of this shape.
    pub fn allocate<T: Element>(&self, shape: &[usize]) -> TensorMut<T> {
        let len = TensorMut::<T>::bytes(shape).unwrap_or(usize::MAX);
        let piece = self.block.as_ref().and_then(|block| block.take(len).ok().flatten());
        TensorMut::new(shape, piece.unwrap_or_else(|| Piece::on_heap(len)))
    }
}
