//! Arrays that are built where they are sent from.

use std::marker::PhantomData;

use pycrust_transport::{Block, Piece};
use serde::{Serialize, Serializer};

use super::element::Element;
use super::wire;
use crate::tensor::arrays::Home;

/// An array of arguments that is built in shared memory and sent without a copy; see
/// [`RpcClient::allocate`](crate::RpcClient::allocate).
///
/// A call that was sent has taken its memory along: to send it once more is an error, unless all of it is written again.
/// A call that was never sent (dropped before it was polled, no worker, no room, no time left) leaves it as it was, and
/// so does one that is [idempotent](crate::Request::idempotent), which sends a copy. What waits to be sent is not
/// changed by writing to this array meanwhile: that writes to a copy.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("sum", |(image,): (pycrust_client::Tensor<u8>,)| Ok(image.as_slice().iter().map(|x| u32::from(*x)).sum::<u32>()));
/// # let client = worker.client();
/// let mut image = client.allocate::<u8>(&[2, 3]).await?;
/// image.as_mut_slice().copy_from_slice(&[1, 2, 3, 4, 5, 6]);
/// let sum: u32 = client.call("sum", &(&image,)).await?;
/// assert_eq!(sum, 21);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TensorMut<T: Element> {
    shape: Vec<usize>,
    home: Home,
    elements: PhantomData<T>,
}

impl<T: Element> TensorMut<T> {
    pub(crate) fn new(shape: &[usize], piece: Piece) -> Self {
        Self { shape: shape.into(), home: Home::new(piece), elements: PhantomData }
    }

    /// Bytes of an array of this shape; `None` if no memory could hold them.
    pub(crate) fn bytes(shape: &[usize]) -> Option<usize> {
        shape.iter().try_fold(size_of::<T>(), |bytes, size| bytes.checked_mul(*size))
    }

    /// Elements in each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether it is in shared memory. If not, there was none for it, or it was sent.
    pub fn is_shared(&self) -> bool {
        self.home.is_shared()
    }

    /// Whether it was sent with a call, so that its elements are gone.
    pub fn is_sent(&self) -> bool {
        self.home.is_gone()
    }

    /// The elements, the last dimension fastest; their content is not defined before they are written. Of an array that
    /// was sent, these are new ones.
    // Only exclusively: whoever has the elements could otherwise write them while they are sent.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let len = Self::bytes(&self.shape).unwrap_or_default();
        bytemuck::cast_slice_mut(self.home.exclusive(len).bytes_mut())
    }
}

impl<T: Element> Serialize for TensorMut<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::serialize_built(serializer, wire::Elements::of::<T>(), &self.shape, &self.home)
    }
}

/// Memory for several arrays of one call; see [`RpcClient::build`](crate::RpcClient::build).
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("sums", |(left, right): (pycrust_client::Tensor<u8>, pycrust_client::Tensor<u8>)| {
/// #     let sum = |array: &pycrust_client::Tensor<u8>| array.as_slice().iter().map(|x| u32::from(*x)).sum::<u32>();
/// #     Ok((sum(&left), sum(&right)))
/// # });
/// # let client = worker.client();
/// // Two arrays in one piece of memory: neither is copied when they are sent.
/// let (mut left, mut right) =
///     client.build(2 * 64 + 64, |arena| (arena.allocate::<u8>(&[64]), arena.allocate::<u8>(&[64]))).await?;
/// left.as_mut_slice().fill(1);
/// right.as_mut_slice().fill(2);
/// let sums: (u32, u32) = client.call("sums", &(&left, &right)).await?;
/// assert_eq!(sums, (64, 128));
/// # }
/// # Ok(())
/// # }
/// ```
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
