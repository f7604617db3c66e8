//! A lock file as a module of Rust: types, and a client with a method for each handler.

mod client;
mod items;
mod literals;
mod names;
mod printing;
mod records;
mod resolving;
mod scope;
mod writing;

use crate::lock::Lock;

/// The module that calls the handlers of a lock file, as text.
///
/// It is the same for the same lock file, in the form that `rustfmt` gives it, and without a warning under clippy's
/// `pedantic` lints. What its user's `Cargo.toml` has to have beside `pycrust-client` and `serde` stands at its top.
///
/// # Examples
/// ```
/// use pycrust_schema::{Lock, rust_module};
///
/// let text = r#"{"format": 1, "endpoint": "calculator", "methods": {"add": {
///     "version": 1, "hash": "0x0123456789abcdef",
///     "request": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
///     "response": {"type": "integer"}}}}"#;
/// let module = rust_module(&Lock::parse(text, "calculator.schema.json")?);
/// assert!(module.contains("pub async fn add(&self, a: i64) -> Result<i64, Error>"));
/// # Ok::<(), pycrust_schema::LockError>(())
/// ```
#[must_use]
pub fn rust_module(lock: &Lock) -> String {
    client::module(lock)
}

/// The name of the module that [`rust_module`] is, where it is not a file's: the endpoint's as Rust writes it.
#[must_use]
pub fn module_name(endpoint: &str) -> String {
    names::snake(endpoint)
}
