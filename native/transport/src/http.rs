//! A small HTTP server for whoever watches a worker.

mod exchange;
pub(crate) mod server;
