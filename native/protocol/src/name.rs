//! What an endpoint or a method may be called.

use std::fmt;

use thiserror::Error;

use crate::limits::{MAX_METHOD_LEN, fitting};

/// Bytes of an endpoint's name.
pub const MAX_ENDPOINT_LEN: usize = 128;

/// The prefix of the methods that the worker answers itself.
pub const RESERVED_PREFIX: &str = "pycrust.";

/// A checked endpoint name: 1 to 128 bytes of ASCII letters, digits, `.`, `_` and `-`, a letter or
/// digit first.
///
/// # Examples
/// ```
/// use pycrust_protocol::name::EndpointName;
///
/// assert_eq!(EndpointName::new("arm-1.left")?.as_str(), "arm-1.left");
/// assert!(EndpointName::new("../left").is_err());
/// # Ok::<(), pycrust_protocol::name::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(String);

/// A name that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name:?} can't be {what}: {reason}")]
pub struct InvalidName {
    /// The name, or the beginning of a long one: it may have come from the other side.
    name: String,
    /// What it was to be.
    what: &'static str,
    /// The rule that it breaks.
    reason: String,
}

impl InvalidName {
    fn new(name: &str, what: &'static str, reason: String) -> Self {
        let shown = fitting(name, MAX_METHOD_LEN);
        let ellipsis = if shown.len() < name.len() { "…" } else { "" };
        Self { name: format!("{shown}{ellipsis}"), what, reason }
    }
}

impl EndpointName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let refuse = |reason: String| Err(InvalidName::new(name, "an endpoint's name", reason));
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

    /// The file name of the socket at which the endpoint's worker listens: a hash, since every user of the machine can
    /// read the paths of all sockets.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::name::EndpointName;
    ///
    /// assert_eq!(EndpointName::new("calculator")?.socket_file(), "8342aaee6f30cef7.sock");
    /// # Ok::<(), pycrust_protocol::name::InvalidName>(())
    /// ```
    pub fn socket_file(&self) -> String {
        format!("{:016x}.sock", hash(self.0.as_bytes()))
    }
}

/// FNV-1a of the bytes and a zero, 64 bits: the same in every process and every build, unlike the standard library's.
/// <http://www.isthe.com/chongo/tech/comp/fnv/> has its two constants.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .chain(&[0])
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a method's name: 1 to 256 bytes of UTF-8 without control characters, outside `pycrust.`.
///
/// # Examples
/// ```
/// use pycrust_protocol::name::check_method;
///
/// check_method("add")?;
/// let error = check_method("pycrust.health").unwrap_err();
/// assert!(error.to_string().contains("answered by the worker itself"));
/// # Ok::<(), pycrust_protocol::name::InvalidName>(())
/// ```
///
/// # Errors
/// [`InvalidName`] says which rule it breaks.
pub fn check_method(name: &str) -> Result<(), InvalidName> {
    let refuse = |reason: String| Err(InvalidName::new(name, "a method's name", reason));
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
