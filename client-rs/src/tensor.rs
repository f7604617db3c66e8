//! Arrays in arguments and results, beside the MessagePack.

pub(crate) mod arrays;
pub(crate) mod carried;
mod element;
mod error;
mod owned;
mod place;
pub mod record;
mod view;
mod wire;

pub use element::Element;
pub use error::TensorError;
pub use owned::Tensor;
pub use place::{Arena, TensorMut};
pub use pycrust_protocol::tensor::DType;
pub use view::TensorView;

pub mod attached;
