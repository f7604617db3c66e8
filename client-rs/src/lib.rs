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
//! Arguments are whatever serde serialises: a struct or a map binds by name, a tuple by position, `()` is no argument,
//! any other value is the one argument; a struct that is the one argument of a handler is `&Arg(&order)`
//! ([`Arg`], [`Request::arg`]). Results are whatever serde deserialises; [`Raw`] is either without types. Arrays in either are [`Tensor`]s and [`TensorView`]s, which travel beside the rest
//! without being encoded.
//!
//! A [`Method`] says name, types and options of a handler once, and may pin the schema that the program was built against:
//!
//! ```no_run
//! # use pycrust_client::{Error, Method, RpcClient};
//! # use std::time::Duration;
//! const ADD: Method<(i32, i32), i32> = Method::new("add").timeout(Duration::from_millis(2)).idempotent();
//!
//! # async fn add(client: RpcClient) -> Result<(), Error> {
//! let sum = client.invoke(&ADD, &(10, 20)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What the client has to say beside its errors goes in lines to the [`log`] facade, under the targets `pycrust_client` and
//! `pycrust_transport`; iceoryx2's errors do, too. A program without a logger hears nothing of it.
//!
//! # Features
//! - `tracing`: a span `pycrust.call` for each call, under the target `pycrust_client::call`, and events of its retries
//!   there and of the connection under `pycrust_client::connection`.
//! - `opentelemetry`: the trace that the caller is in goes with the call; the span has OpenTelemetry's attributes of RPC, and
//!   the global meter gets `rpc.client.call.duration`.
//! - `metrics`: counters and histograms, by method, for the recorder of the `metrics` facade.
//! - `tower`: `RpcClient::service` gives a method as a `tower::Service`.
//! - `ndarray`, `chrono`, `time`: those crates' arrays and moments.
//! - `testing`: a worker in the same process.
//!
//! # Types
//! What a handler takes from one of these it gives back to the same one, with either [`Encoding`]:
//!
//! | in Rust | in Python | on the wire |
//! |---|---|---|
//! | `bool` | `bool` | boolean |
//! | `i8` to `i64`, `u8` to `u64` | `int` | integer |
//! | `i128`, `u128` | `int`, of -2¹²⁷ to 2¹²⁸ - 1 | integer, beyond 64 bits the protocol's extension |
//! | `f32`, `f64` | `float` | float |
//! | `char`, `String` | `str` | string |
//! | `Vec<u8>`, `[u8; N]`, `serde_bytes` | `bytes` | array of numbers, with `serde_bytes` bin |
//! | `Option<T>` | `T \| None` | nil, or as `T` |
//! | `()`, unit structs | `None` | nil |
//! | `Vec<T>`, `VecDeque<T>`, `[T; N]` | `list[T]` | array |
//! | tuples, tuple structs | `tuple[A, B]` | array |
//! | `HashSet<T>`, `BTreeSet<T>` | `set[T]` | array |
//! | `HashMap<K, V>`, `BTreeMap<K, V>` | `dict[K, V]` | map |
//! | structs | model, dataclass, `TypedDict` | map; with `Encoding::Array` array, unless a field is left out |
//! | newtypes | what they wrap | as what they wrap |
//! | enums | `Literal["A"]`; a model with the one field `B` | string; map of one entry |
//! | enums, `#[serde(tag = "…")]` | union of models with a discriminator | as a struct |
//! | enums, `#[serde(tag = "…", content = "…")]` | union of models with a discriminator | as a struct |
//! | enums, `#[serde(untagged)]` | union | as what it holds |
//! | `uuid::Uuid` | `UUID` | string |
//! | `IpAddr`, `Ipv4Addr`, `Ipv6Addr` | `IPv4Address`, `IPv6Address` | string |
//! | `rust_decimal::Decimal` | `Decimal` | string |
//! | `PathBuf` | `Path` | string |
//! | `std::time::Duration` | `timedelta` | string, ISO 8601 |
//! | `chrono::TimeDelta`, `time::Duration` | `timedelta` | array of seconds and nanoseconds; back: string |
//! | `SystemTime`, `Timestamp` | aware `datetime`, `pycrust.Timestamp` | timestamp |
//! | `chrono::DateTime<Z>` | aware `datetime`, `pycrust.Timestamp` | string; back: timestamp, in UTC |
//! | `chrono::NaiveDateTime`, `NaiveDate`, `NaiveTime` | naive `datetime`, `date`, `time` | string |
//! | `time::OffsetDateTime` | aware `datetime` | array of numbers; back: timestamp, in UTC |
//! | `time::PrimitiveDateTime`, `Date`, `Time` | naive `datetime`, `date`, `time` | array of numbers; back: string |
//! | `serde_json::Value` | anything that JSON has | as its parts |
//! | [`Raw`] | anything | as it is |
//! | `Tensor<T>`, `TensorView`, `attached` | NumPy array, PyTorch tensor | beside the body |
//! | `Tensor<T>` of a [`Record`] | NumPy array of a structured type | beside the body |
//!
//! Nothing is cut. A parameter that is a `datetime`, `time` or `timedelta`, which count microseconds, refuses nanoseconds;
//! one that is a `pycrust.Timestamp` keeps them. An integer of Python's beyond 64 bits is read as `i128` or `u128`. To
//! `serde_json::Value`, and inside untagged and internally tagged enums, a moment is RFC 3339's text and bytes are
//! numbers: serde reads them there without knowing for whom. A [`Timestamp`] can be read back in there, a
//! `std::time::Duration` or `SystemTime` can't.
#![forbid(unsafe_code)]

mod argument;
#[cfg(feature = "binding")]
pub mod binding;
pub mod blocking;
mod builder;
mod call;
mod client;
mod codec;
mod connection;
mod error;
mod metadata;
mod method;
mod options;
mod pacing;
mod raw;
mod request;
mod schemas;
#[cfg(feature = "tower")]
mod service;
mod shared;
mod spin;
mod telemetry;
mod tensor;
#[cfg(feature = "testing")]
pub mod testing;
mod timestamp;
mod timing;

pub use argument::Arg;
pub use builder::Builder;
pub use call::reply::Reply;
pub use call::streaming::Streaming;
pub use client::RpcClient;
pub use connection::state::{ConnectionState, StateChanges};
pub use error::{Details, Error};
/// What a stream of arguments is.
pub use futures_core::Stream;
pub use metadata::{Metadata, MetadataValue};
pub use method::{Method, Pinned};
pub use options::{Encoding, Retry, WhenFull};
pub use pacing::{MissedTicks, Pacer};
pub use pycrust_macros::{Record, service};
pub use pycrust_protocol::error::Location;
pub use pycrust_protocol::header::TraceContext;
pub use pycrust_protocol::trace::InvalidTrace;
pub use pycrust_protocol::{Code, ValidationIssue};
pub use pycrust_transport::{AppliedRealTime, RealTime, RealTimeError};
pub use raw::Raw;
pub use request::{Request, RequestWith};
#[cfg(feature = "tower")]
pub use service::MethodService;
pub use spin::{MAX_SPIN, Spin};
pub use tensor::record::Record;
pub use tensor::{Arena, DType, Element, Tensor, TensorError, TensorMut, TensorView, attached, record};
pub use timestamp::{Timestamp, TimestampError};
pub use timing::Timing;
