//! The macros of `pycrust-client`, which exports them.
#![forbid(unsafe_code)]

mod record;
mod service;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// A module with a client for an endpoint, made of its lock file: a method for each handler, a type for each class.
///
/// The lock file is `calculator.schema.json` beside `Cargo.toml`, or what `lock = "…"` names from there. It is written by
/// `pycrust types calculator --lock calculator.schema.json` while the endpoint is served, and belongs into the repository.
/// With `PYCRUST_LIVE=1` in the environment the worker that runs is asked, too, with each build: a handler that has changed
/// so that its callers must change is an error that names the method, the field and both versions.
///
/// # Examples
/// ```ignore
/// pycrust_client::service!("calculator");
///
/// #[tokio::main]
/// async fn main() -> anyhow::Result<()> {
///     let client = calculator::CalculatorClient::connect().await?;
///     assert_eq!(client.add(10, 20).await?, 30);
///     Ok(())
/// }
/// ```
///
/// `service!("calculator", lock = "schemas/calculator.json", module = sums)` says where it is and what the module is called.
#[proc_macro]
pub fn service(input: TokenStream) -> TokenStream {
    service::expand(input.into()).into()
}

/// See `pycrust_client::Record`.
#[proc_macro_derive(Record, attributes(record))]
pub fn record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
