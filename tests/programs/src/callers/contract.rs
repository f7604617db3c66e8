//! The program that every user starts from, as it stands in the documentation.
#![allow(
    unused_variables,
    clippy::many_single_char_names,
    reason = "the contract's program, letter by letter"
)]

include!("../../../interop/contract_client.rs");
