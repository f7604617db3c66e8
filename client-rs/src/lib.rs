//! Calls Python handlers in another process of this machine from Tokio, over shared memory.
//!
//! ```no_run
//! use pycrust_client::RpcClient;
//!
//! #[derive(serde::Serialize)]
//! struct AddArgs { a: i32, b: i32 }
//!
//! # async fn add() -> Result<(), pycrust_client::Error> {
//! let client = RpcClient::connect("calculator").await?;
//! let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Arguments are whatever serde serialises: a struct or a tuple binds by position, a map (or a struct with
//! [`Encoding::Map`]) by name, `()` is no argument. Results are whatever serde deserialises. Arrays in either
//! are [`Tensor`]s and [`TensorView`]s, which travel beside the rest without being encoded.
//!
//! What the client has to say beside its errors goes to the [`log`] facade, under the targets `pycrust_client` and
//! `pycrust_transport`; iceoryx2's errors do, too. A program without a logger hears nothing of it.
#![forbid(unsafe_code)]

mod arrays;
mod beside;
#[cfg(feature = "binding")]
pub mod binding;
pub mod blocking;
mod buffers;
mod builder;
mod call;
mod calls;
mod client;
mod connector;
mod descriptor;
mod driver;
mod error;
mod hands;
mod home;
mod items;
mod large;
mod metadata;
mod reply;
mod request;
mod retries;
mod session;
mod shared;
mod spin;
mod state;
mod stream;
mod streaming;
mod tensor;
mod thread;
mod timer;
mod turn;
mod waiting;

pub use builder::{Builder, Encoding, Retry, WhenFull};
pub use client::RpcClient;
pub use error::{Details, Error};
pub use metadata::{Metadata, MetadataValue};
pub use pycrust_protocol::error::Location;
pub use pycrust_protocol::header::TraceContext;
pub use pycrust_protocol::trace::InvalidTrace;
pub use pycrust_protocol::{Code, ValidationIssue};
pub use reply::{Reply, Timing};
pub use request::Request;
pub use spin::{MAX_SPIN, Spin};
pub use state::{ConnectionState, StateChanges};
pub use streaming::Streaming;
pub use tensor::{Arena, DType, Element, Tensor, TensorError, TensorMut, TensorView, attached};
