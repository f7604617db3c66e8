//! An async client of PyCrust endpoints: calls Python handlers in another process from Tokio.
//!
//! ```no_run
//! use pycrust_client::RpcClient;
//!
//! #[derive(serde::Serialize)]
//! struct AddArgs {
//!     a: i32,
//!     b: i32,
//! }
//!
//! # async fn run() -> Result<(), pycrust_client::Error> {
//! let client = RpcClient::connect("calculator").await?;
//! let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
//! client.close().await;
//! # let _ = sum;
//! # Ok(())
//! # }
//! ```
//!
//! A call's way: [`client`](RpcClient) finds the connection, `call` begins, sends and waits, `calls` is the
//! table of calls in flight, `session` is one connection and whose turn it is to receive, `driver` waits for
//! the doorbell.
#![forbid(unsafe_code)]

mod buffers;
mod builder;
mod call;
mod calls;
mod client;
mod driver;
mod error;
mod reply;
mod request;
mod session;
mod spin;
mod turn;

pub use pycrust_protocol::error::Location;
pub use pycrust_protocol::header::TraceContext;
pub use pycrust_protocol::{Code, ValidationIssue};

pub use self::builder::{Builder, Encoding, WhenFull};
pub use self::client::RpcClient;
pub use self::error::{Details, Error};
pub use self::reply::{Reply, Timing};
pub use self::request::Request;
pub use self::spin::{MAX_SPIN, Spin};
