//! [`Bytes`] beside the MessagePack: `#[serde(with = "pycrust_client::attached")]` on a field.
//!
//! They are an array of `u8` to the handler, copied once when they are sent, and a view of shared memory when
//! they come.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Weights {
//!     name: String,
//!     #[serde(with = "pycrust_client::attached")]
//!     data: bytes::Bytes,
//! }
//! ```

use std::sync::Arc;

use bytes::Bytes;
use pycrust_transport::Source;
use serde::{Deserialize, Deserializer, Serializer};

use super::view::TensorView;
use super::wire;

/// Bytes that are copied when they are sent.
struct Kept(Bytes);

impl Source for Kept {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&self, target: &mut [u8]) {
        target.copy_from_slice(&self.0);
    }
}

/// Writes them.
///
/// # Errors
/// The serializer's; outside of a call's arguments.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    wire::serialize(serializer, wire::Elements::of::<u8>(), &[bytes.len()], || Arc::new(Kept(bytes.clone())))
}

/// Reads them; an array of any type and shape gives its bytes.
///
/// # Errors
/// The deserializer's; if there is no array.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    TensorView::deserialize(deserializer).map(TensorView::into_bytes)
}
