//! A call before it is sent: its options, and its arguments as MessagePack.

use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::{TraceContext, flags};
use serde::Serialize;

use crate::codec;
use crate::connection::buffers;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::options::Encoding;
use crate::tensor::arrays::Arrays;
use crate::tensor::carried;

/// Items of a stream that come before more are granted, unless the call says otherwise.
const DEFAULT_WINDOW: u32 = 64;

/// No arguments, as MessagePack: the stream has them.
const NOTHING: &[u8] = &[0xc0];

/// A call and its options, before its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// The time that it has, if it says so.
    pub(crate) timeout: Option<Duration>,
    /// How long a call that streams may be silent.
    pub(crate) idle_timeout: Option<Duration>,
    /// Bits of [`flags`].
    pub(crate) flags: u8,
    /// The hash of the schema that its caller was built against; 0 is any.
    pub(crate) schema_pin: u64,
    /// The text of that schema, if the caller has it.
    pub(crate) described: &'static str,
    pub(crate) trace: TraceContext,
    pub(crate) metadata: Metadata,
    pub(crate) window: u32,
    /// Whether it waits for a worker that can take it, if it says so.
    pub(crate) wait_for_ready: Option<bool>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: &'a str) -> Self {
        Self {
            method,
            timeout: None,
            idle_timeout: None,
            flags: 0,
            schema_pin: 0,
            described: "",
            trace: TraceContext::default(),
            metadata: Metadata::new(),
            window: DEFAULT_WINDOW,
            wait_for_ready: None,
        }
    }

    pub(crate) fn with_timeout(method: &'a str, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..Self::new(method) }
    }

    pub(crate) fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    /// Whether anything of it streams.
    pub(crate) fn streams(&self) -> bool {
        self.flags & (flags::STREAM | flags::UPLOAD) != 0
    }
}

/// Arguments, or one of those that are streamed, as they are sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encoded {
    /// MessagePack.
    pub(crate) payload: Vec<u8>,
    /// The arrays in it.
    pub(crate) arrays: Arrays,
}

impl Encoded {
    /// No arguments: a stream has them.
    pub(crate) fn nothing() -> Self {
        Self { payload: NOTHING.to_vec(), arrays: Arrays::default() }
    }

    /// Its bytes, as a stream counts them.
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.arrays.content_len()
    }
}

/// Writes arguments, or one of those that are streamed.
pub(crate) fn write<A: Serialize + ?Sized>(
    encoding: Encoding,
    method: &str,
    args: &A,
) -> Result<Encoded, Error> {
    let mut payload = buffers::take();
    let (written, arrays) = carried::collecting(|| codec::write(&mut payload, args, encoding));
    written.map_err(|error| {
        let name = std::any::type_name::<A>();
        let reason = format!("the arguments, of type {name}, can't be encoded: {error}");
        Error::of_call(Code::InvalidArgument, method, reason)
    })?;
    Ok(Encoded { payload, arrays })
}
