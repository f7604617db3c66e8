//! A lock file: what an endpoint's methods take and return, as a caller was built against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The format that this version reads and writes.
pub const FORMAT: u32 = 1;

/// What the methods of an endpoint take and return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// The number of this format, [`FORMAT`].
    pub format: u32,
    /// The endpoint's name.
    pub endpoint: String,
    /// Its methods, by their names.
    pub methods: BTreeMap<String, Method>,
}

/// What one method takes and returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// The version that had this schema first, from 1.
    pub version: u32,
    /// The hash of the schema, as text: `0x0123456789abcdef`.
    pub hash: String,
    /// The first line of the handler's documentation.
    #[serde(default)]
    pub doc: String,
    /// What kind of call takes it.
    #[serde(default)]
    pub kind: Kind,
    /// The JSON Schema of its arguments; where they stream, of an array of them.
    pub request: Value,
    /// The JSON Schema of its result; where it streams, of one item.
    pub response: Value,
}

/// What a caller does with a method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value for a value.
    #[default]
    Call,
    /// The answer streams.
    Stream,
    /// The arguments stream.
    Upload,
    /// Both stream.
    Exchange,
}

/// A lock file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not JSON, or not that of a lock file.
    #[error(
        "{path} is no lock file of PyCrust: {reason}; write it again: pycrust types ENDPOINT --lock {path}"
    )]
    Unreadable {
        /// Where it was read from.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// It was written by another version.
    #[error(
        "{path} has format {found}, this version reads {FORMAT}; write it again: pycrust types {endpoint} --lock {path}"
    )]
    OtherFormat {
        /// Where it was read from.
        path: String,
        /// The format's number.
        found: u32,
        /// The endpoint's name.
        endpoint: String,
    },
}

impl Lock {
    /// Reads a lock file's text; `path` is for errors.
    ///
    /// # Errors
    /// What is wrong with it, and the command that writes it again.
    pub fn parse(text: &str, path: &str) -> Result<Self, LockError> {
        let lock: Self = serde_json::from_str(text)
            .map_err(|error| LockError::Unreadable { path: path.into(), reason: error.to_string() })?;
        if lock.format != FORMAT {
            let (found, endpoint) = (lock.format, lock.endpoint);
            return Err(LockError::OtherFormat { path: path.into(), found, endpoint });
        }
        if let Some((name, method)) = lock.methods.iter().find(|(_, method)| method.hash_value().is_none()) {
            let reason = format!("the hash of {name:?} is {:?}, not 0x and 16 digits", method.hash);
            return Err(LockError::Unreadable { path: path.into(), reason });
        }
        Ok(lock)
    }
}

impl Method {
    /// The hash as a number; `None` if it is none.
    #[must_use]
    pub fn hash_value(&self) -> Option<u64> {
        let digits = self.hash.strip_prefix("0x").filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// The schema as [`changes`](crate::changes) compares it.
    #[must_use]
    pub fn schema(&self) -> Value {
        serde_json::json!({ "kind": self.kind, "request": self.request, "response": self.response })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: u32, hash: &str) -> String {
        let method = serde_json::json!({"version": 1, "hash": hash, "request": {}, "response": {}});
        serde_json::json!({"format": format, "endpoint": "e", "methods": {"f": method}}).to_string()
    }

    #[test]
    fn a_lock_file_that_can_not_be_used_says_how_to_write_it_again() {
        assert!(Lock::parse(&text(1, "0x0123456789abcdef"), "e.json").is_ok());
        for (text, said) in [
            (text(2, "0x0123456789abcdef"), "e.json has format 2, this version reads 1"),
            (text(1, "123"), "the hash of \"f\" is \"123\", not 0x and 16 digits"),
            ("[]".into(), "e.json is no lock file of PyCrust: "),
            ("{".into(), "e.json is no lock file of PyCrust: "),
        ] {
            let error = Lock::parse(&text, "e.json").expect_err("unusable").to_string();
            assert!(error.starts_with(said) || error.contains(said), "{error}");
            assert!(error.contains("--lock e.json"), "{error}");
        }
    }
}
