//! Whole connections with a hostile peer, and an honest one beside it that must get its answers.

mod client;
mod codec;
mod connection;
mod engine;
mod frames;
mod link;
mod middleman;
mod place;
mod socket;
mod worker;

pub use client::client;
pub use codec::codec;
pub use connection::connection;
pub use worker::worker;
