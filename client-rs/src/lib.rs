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
//! The other side is a notebook or a program: `@endpoint.register()` on a function, `RpcEndpoint("calculator").serve()`. Running
//! the cell again replaces the handler under the calls; the client notices nothing of it.
//!
//! | | |
//! |---|---|
//! | a client on Tokio, or without it | [`RpcClient`], [`blocking`] |
//! | how it differs from the usual one | [`Builder`], [`Encoding`], [`Retry`], [`Spin`], [`WhenFull`] |
//! | a handler as a constant, a client that is generated | [`Method`], [`service!`] |
//! | a call with options, its answer | [`Request`], [`Reply`], [`Timing`], [`Metadata`] |
//! | streams | [`Streaming`], [`Request::upload`], [`Request::exchange`] |
//! | what went wrong | [`Error`], [`Code`], [`Details`] |
//! | arrays | [`Tensor`], [`TensorView`], [`TensorMut`], [`Record`] |
//! | loops with a rhythm | [`Pacer`], [`RealTime`] |
//! | tests without Python | [`testing`] |
//!
//! # Arguments and results
//! Arguments are whatever serde serialises: a struct or a map binds by name, a tuple by position, `()` is no argument,
//! any other value is the one argument; a struct that is the one argument of a handler is `&Arg(&order)`
//! ([`Arg`], [`Request::arg`]). Results are whatever serde deserialises; [`Raw`] is either without types. [Below](#types)
//! is a table of what becomes what.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), pycrust_client::Error> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("shop");
//! # worker.on("price", |(symbol, lots): (String, f64)| Ok(symbol.len() as f64 * lots));
//! # worker.on("ping", |(): ()| Ok("pong"));
//! # let client = worker.client();
//! let price: f64 = client.call("price", &("BUND", 2.5)).await?; // def price(symbol: str, lots: float)
//! let answer: String = client.call("ping", &()).await?; // def ping()
//! # assert_eq!((price, answer.as_str()), (10.0, "pong"));
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Method`] says name, types and options of a handler once, and may pin the schema that the program was built against;
//! [`service!`] makes a client with a method for each handler of a lock file, and with it a handler whose arguments have
//! changed does not compile.
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
//! # Errors
//! Each call ends in exactly one answer or one [`Error`], which has one of gRPC's [codes](Code), the exception and the
//! traceback of the handler, its details, and whether the handler [may have run](Error::may_have_run).
//!
//! ```
//! use pycrust_client::{Code, Details};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), pycrust_client::Error> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("calculator");
//! # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
//! # let client = worker.client();
//! let error = client.call::<_, i32>("add", &("ten", 20)).await.unwrap_err();
//! match (error.code(), error.details()) {
//!     (Code::InvalidArgument, Details::Validation(issues)) => println!("{} fields are wrong", issues.len()),
//!     (Code::Unavailable, _) if !error.may_have_run() => println!("nobody is there yet"),
//!     _ => println!("{error}"),
//! }
//! # assert_eq!(error.code(), Code::InvalidArgument);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Time limits
//! A call has 30 seconds, unless the [builder](Builder::timeout), the [method](Method::timeout) or the
//! [request](Request::timeout) says otherwise. The worker knows the limit: a call that can't be answered in time is refused
//! before it is run. Dropping a call's future cancels the call; one that still waits in the queue never runs.
//!
//! ```
//! use std::time::Duration;
//!
//! use pycrust_client::Code;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), pycrust_client::Error> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("arm");
//! # worker.on_async("torque", |(): ()| std::future::pending::<Result<f64, _>>());
//! # let client = worker.client();
//! let torque = client.call_with_timeout::<_, f64>("torque", &(), Duration::from_millis(2)).await;
//! assert_eq!(torque.unwrap_err().code(), Code::DeadlineExceeded);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Streams
//! A handler that yields is read item by item, and is never far ahead of its reader; one that takes an iterator gets its
//! arguments from a stream of the caller's. Either has no time limit unless one is given.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), pycrust_client::Error> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("feed");
//! # worker.on_stream("ticks", |_symbol: String| [Ok(99.5), Ok(99.6)]);
//! # let client = worker.client();
//! let mut ticks = client.stream::<_, f64>("ticks", "BUND");
//! while let Some(price) = ticks.next().await {
//!     println!("{}", price?);
//! }
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Arrays
//! [`Tensor`]s and [`TensorView`]s lie anywhere in arguments and results, and travel beside the rest without being encoded: a
//! handler gets NumPy's arrays. [`RpcClient::allocate`] gives one that is built in shared memory and sent without a copy, a
//! [`Record`] is an element with fields.
//!
//! ```
//! use pycrust_client::{Tensor, TensorView};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("policy");
//! # worker.on("act", |(image,): (Tensor<u8>,)| Ok(Tensor::from(vec![f32::from(image.as_slice()[0]); 7])));
//! # let client = worker.client();
//! let image = Tensor::new(&[2, 3], vec![128_u8; 6])?;
//! let action: TensorView = client.call("act", &(image,)).await?;
//! assert_eq!(action.as_slice::<f32>()?, [128.0; 7]);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # When the worker goes away
//! Calls in flight end in `UNAVAILABLE`, and the next call connects to whoever serves the name then: a kernel that was
//! restarted, another process that took over. A call that is [idempotent](Request::idempotent) is made again within its
//! time; one that [waits for a worker](Builder::wait_for_ready) waits while it certainly did not run.
//! [`RpcClient::state_changes`] tells of it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), pycrust_client::Error> {
//! # #[cfg(feature = "testing")] {
//! # let worker = pycrust_client::testing::Worker::new("calculator");
//! # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
//! # let client = worker.client();
//! # client.ready("add", &(0, 0)).await?;
//! worker.restart(); // a worker of a test's, as if its process were killed and started again
//! let sum = client.request("add").idempotent(true).send::<_, i32>(&(10, 20)).await?;
//! assert_eq!(sum.into_value(), 30);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Tests
//! With the feature `testing` a program is tested without Python: [`testing::Worker`] has closures for handlers, and its clients
//! are the real ones.
//!
//! # What is said beside errors
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
//! # What is kept stable
//! What stands here, in the sense of semantic versioning; errors, options and enumerations may grow
//! (`#[non_exhaustive]`). Not kept is what is hidden here, such as the feature `binding`, and the other crates of the project,
//! of which each release depends on its own.
//!
//! Types of other crates stand in signatures where something else would be no better: serde's traits,
//! [`serde_json::Value`] in [`Raw`], [`bytemuck::Pod`] under [`Element`], `half`'s two floats as elements, [`bytes::Bytes`] of an
//! array, all of versions from 1 on. Of those before 1, [`Stream`] is `futures-core`'s 0.3, which is everybody's; those of
//! `ndarray`, `chrono`, `time` and `tower-service` are behind the features of these names, and a new one of theirs is a new
//! minor version here.
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
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "testing"),
    allow(rustdoc::broken_intra_doc_links, reason = "what is behind that feature is spoken of here")
)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "PyCrust runs on Linux only: it calls through shared memory, eventfd and memfd. On macOS and Windows, build it in a \
     Linux container or virtual machine"
);

mod argument;
#[cfg(feature = "binding")]
#[doc(hidden)]
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
///
/// # Examples
/// ```
/// use pycrust_client::Stream;
///
/// fn numbers() -> impl Stream<Item = i64> + Send {
///     futures::stream::iter(1..=3)
/// }
/// # drop(numbers());
/// ```
pub use futures_core::Stream;
pub use metadata::{Metadata, MetadataValue};
pub use method::{Method, Pinned};
pub use options::{Encoding, Retry, WhenFull};
pub use pacing::{MissedTicks, Pacer};
pub use pycrust_macros::Record;
/// # Examples
/// Of a lock file with `def add(a: int, b: int) -> int`, against a worker of a test:
/// ```
/// pycrust_client::service!("calculator", lock = "examples/calculator.schema.json");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # #[derive(serde::Deserialize)]
/// # struct Args { a: i64, b: i64 }
/// # worker.on("add", |args: Args| Ok(args.a + args.b)).fits(calculator::methods::ALL);
/// let client = calculator::CalculatorClient::from(worker.client());
/// assert_eq!(client.add(10, 20).await?, 30);
/// # }
/// # Ok(())
/// # }
/// ```
pub use pycrust_macros::service;
/// # Examples
/// ```
/// use pycrust_client::{Code, Error};
///
/// /// Whether it may be better later.
/// fn passes(error: &Error) -> bool {
///     matches!(error.code(), Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
/// }
/// assert!(passes(&Error::new(Code::Unavailable, "the market is closed")));
/// ```
pub use pycrust_protocol::Code;
/// # Examples
/// A closure of a [test](crate::testing) says what a handler's Pydantic would:
/// ```
/// use pycrust_client::{Code, Details, Error, Location, ValidationIssue};
///
/// let issue = ValidationIssue::new([Location::Field("lots".into())], "greater_than", "Input should be greater than 0");
/// let error = Error::new(Code::InvalidArgument, "1 validation error").with_details(&[&issue]);
/// assert_eq!(error.details(), &Details::Validation(vec![issue]));
/// ```
pub use pycrust_protocol::ValidationIssue;
/// # Examples
/// ```
/// use pycrust_client::Location;
///
/// let place = [Location::Field("legs".into()), Location::Index(2)];
/// assert!(matches!(&place[1], Location::Index(2)));
/// ```
pub use pycrust_protocol::error::Location;
/// # Examples
/// ```
/// use pycrust_client::TraceContext;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let sum = client.request("add").trace(context).send::<_, i32>(&(10, 20)).await?;
/// # assert_eq!(sum.into_value(), 30);
/// # }
/// # Ok(())
/// # }
/// ```
pub use pycrust_protocol::header::TraceContext;
/// # Examples
/// ```
/// use pycrust_client::{InvalidTrace, TraceContext};
///
/// assert_eq!("00-0-0-00".parse::<TraceContext>(), Err(InvalidTrace));
/// ```
pub use pycrust_protocol::trace::InvalidTrace;
/// # Examples
/// ```
/// use pycrust_client::RealTime;
///
/// let applied = RealTime::new().priority(50).lock_memory(true).apply()?;
/// for line in applied.missing() {
///     eprintln!("{line}"); // what could not be had, and how to get it
/// }
/// assert_eq!(applied.priority().is_none() || !applied.memory_locked(), !applied.missing().is_empty());
/// # Ok::<(), pycrust_client::RealTimeError>(())
/// ```
pub use pycrust_transport::AppliedRealTime;
/// # Examples
/// ```no_run
/// use pycrust_client::RealTime;
///
/// let realtime = RealTime::new().cores([2, 3]).priority(50).lock_memory(true);
/// let _applied = realtime.apply()?; // for this thread, until it is dropped
/// # Ok::<(), pycrust_client::RealTimeError>(())
/// ```
pub use pycrust_transport::RealTime;
/// # Examples
/// ```
/// use pycrust_client::{RealTime, RealTimeError};
///
/// let error = RealTime::new().priority(100).apply().unwrap_err();
/// assert_eq!(error, RealTimeError::Priority(100));
/// ```
pub use pycrust_transport::RealTimeError;
pub use raw::Raw;
pub use request::{Request, RequestWith};
#[cfg(feature = "tower")]
pub use service::MethodService;
pub use spin::{MAX_SPIN, Spin};
/// # Examples
/// ```
/// use pycrust_client::DType;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # use pycrust_client::{Tensor, TensorView};
/// # let worker = pycrust_client::testing::Worker::new("policy");
/// # worker.on("act", |(): ()| Ok(Tensor::from(vec![0.5_f32; 7])));
/// # let client = worker.client();
/// let action: TensorView = client.call("act", &()).await?;
/// assert_eq!(action.dtype(), DType::F32);
/// # }
/// # Ok(())
/// # }
/// ```
pub use tensor::DType;
pub use tensor::record::Record;
pub use tensor::{Arena, Element, Tensor, TensorError, TensorMut, TensorView, attached, record};
pub use timestamp::{Timestamp, TimestampError};
pub use timing::Timing;

/// The README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
