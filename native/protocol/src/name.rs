//! What an endpoint or a method may be called.

use std::fmt;

use thiserror::Error;

use crate::limits::MAX_METHOD_LEN;

/// Bytes of an endpoint's name.
pub const MAX_ENDPOINT_LEN: usize = 128;

/// The prefix of the methods that the worker answers itself.
pub const RESERVED_PREFIX: &str = "pycrust.";

/// A checked endpoint name: 1 to 128 bytes of ASCII letters, digits, `.`, `_` and `-`, a letter or
/// digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(String);

/// A name that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name:?} can't be {what}: {reason}")]
pub struct InvalidName {
    name: String,
    what: &'static str,
    reason: String,
}

impl EndpointName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let refuse =
            |reason: String| Err(InvalidName { name: name.into(), what: "an endpoint's name", reason });
        if name.is_empty() {
            return refuse("it is empty".into());
        }
        if name.len() > MAX_ENDPOINT_LEN {
            return refuse(format!("it has {} bytes, at most {MAX_ENDPOINT_LEN} are allowed", name.len()));
        }
        if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c))) {
            return refuse(format!("{bad:?} is not an ASCII letter, a digit, '.', '_' or '-'"));
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return refuse("it must begin with a letter or a digit".into());
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a method's name: 1 to 256 bytes of UTF-8 without control characters, outside `pycrust.`.
///
/// # Errors
/// [`InvalidName`] says which rule it breaks.
pub fn check_method(name: &str) -> Result<(), InvalidName> {
    let refuse = |reason: String| Err(InvalidName { name: name.into(), what: "a method's name", reason });
    if name.is_empty() {
        return refuse("it is empty".into());
    }
    if name.len() > MAX_METHOD_LEN {
        return refuse(format!("it has {} bytes, at most {MAX_METHOD_LEN} are allowed", name.len()));
    }
    if name.chars().any(char::is_control) {
        return refuse("it holds a control character".into());
    }
    if name.starts_with(RESERVED_PREFIX) {
        return refuse(format!(
            "names that begin with {RESERVED_PREFIX:?} are answered by the worker itself"
        ));
    }
    Ok(())
}
