//! Metadata: what travels beside arguments and results, for people and middleware.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One value of [`Metadata`].
///
/// # Examples
/// ```
/// use pycrust_client::MetadataValue;
///
/// let desk = MetadataValue::from("rates");
/// assert_eq!(desk.as_text(), Some("rates"));
/// let digest = MetadataValue::from(vec![0x5b, 0xd1]);
/// assert_eq!((digest.as_text(), digest.as_bytes()), (None, &[0x5b, 0xd1][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum MetadataValue {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl MetadataValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes, of a text or not.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for MetadataValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for MetadataValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl From<&[u8]> for MetadataValue {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

/// Names and their values, in the order of the names.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let reply = client.request("add").metadata("desk", "rates").send::<_, i32>(&(10, 20)).await?;
/// // What the handler set: `current_call().respond_metadata["model"] = "v3"`.
/// let model = reply.metadata().get("model").and_then(|value| value.as_text());
/// # assert_eq!(model, None);
/// # }
/// # Ok(())
/// # }
/// ```
pub type Metadata = BTreeMap<String, MetadataValue>;

/// As it travels; nothing for none.
pub(crate) fn encoded(metadata: &Metadata) -> Result<Vec<u8>, String> {
    if metadata.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = rmp_serde::to_vec(metadata).map_err(|error| error.to_string())?;
    if bytes.len() > pycrust_protocol::limits::MAX_METADATA_LEN {
        let (len, max) = (bytes.len(), pycrust_protocol::limits::MAX_METADATA_LEN);
        return Err(format!("metadata of {len} bytes, at most {max} are allowed"));
    }
    Ok(bytes)
}

/// As it came; what can't be read is none.
pub(crate) fn decoded(bytes: &[u8]) -> Metadata {
    if bytes.is_empty() {
        return Metadata::new();
    }
    rmp_serde::from_slice(bytes).unwrap_or_else(|error| {
        log::warn!("metadata that can't be read is dropped: {error}");
        Metadata::new()
    })
}
