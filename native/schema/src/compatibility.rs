//! What differs between two schemas of a method, and for whom that matters.

use serde_json::Value;

/// One difference between two schemas of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: `request.order.qty`, `response[]`.
    pub path: String,
    /// What: `removed (was integer, required)`.
    pub what: String,
    /// Whether a caller that was built against the older schema has to change.
    pub breaking: bool,
}

/// The differences between an older and a newer schema of a method, in the order of the older one's fields.
#[must_use]
pub fn changes(_old: &Value, _new: &Value) -> Vec<Change> {
    Vec::new()
}
