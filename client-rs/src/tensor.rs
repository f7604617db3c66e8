//! Arrays in arguments and results, beside the MessagePack.

pub(crate) mod arrays;
pub(crate) mod carried;
mod element;
mod owned;
mod place;
mod view;
mod wire;

pub use element::Element;
pub use owned::Tensor;
pub use place::{Arena, TensorMut};
pub use pycrust_protocol::tensor::DType;
pub use view::{TensorError, TensorView};

pub mod attached;
