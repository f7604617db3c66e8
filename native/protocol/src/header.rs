//! The fixed header beside every frame: 128 bytes, little-endian.
//!
//! Bytes 0 to 31 are common, the rest depends on the kind. `SPEC.md` has the table of offsets.

use crate::attachments::ENTRY_LEN;
use crate::bytes::{Raw, array, length, put, u16_at, u32_at, u64_at};
use crate::error::Malformed;
use crate::limits::{MAX_BODY_LEN, MAX_METADATA_LEN, PROTOCOL_VERSION};
use crate::report::REPORT_LEN;

/// Bytes of the header.
pub const HEADER_LEN: usize = 128;

/// The first four bytes of every header: `PYCR`.
pub const MAGIC: [u8; 4] = *b"PYCR";

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A call.
    Request = 1,
    /// A call's answer, or one item of a streamed answer.
    Response = 2,
    /// Round trips that the client measured, and nothing else.
    Report = 3,
    /// Room for items of a stream: how many its receiver takes.
    Credit = 4,
}

/// One bit each of a header's flags.
pub mod flags {
    /// An item of a stream: of a call's answer, or of its arguments.
    pub const STREAM_ITEM: u8 = 1 << 0;
    /// The caller expects a stream, or this response ends one.
    pub const STREAM: u8 = 1 << 1;
    /// The caller wants no answer.
    pub const ONE_WAY: u8 = 1 << 2;
    /// Running the call twice does no harm.
    pub const IDEMPOTENT: u8 = 1 << 3;
    /// Arguments follow the call as items of a stream.
    pub const UPLOAD: u8 = 1 << 4;
    /// The last of those frames; it holds no item.
    pub const UPLOAD_END: u8 = 1 << 5;
    /// The call takes the place of the caller's older ones of the same method that still wait.
    pub const LATEST: u8 = 1 << 6;
    /// All bits that this version knows; others must be 0.
    pub const KNOWN: u8 = STREAM_ITEM | STREAM | ONE_WAY | IDEMPOTENT | UPLOAD | UPLOAD_END | LATEST;
    /// Bits that a request may have.
    pub const OF_REQUEST: u8 = KNOWN;
    /// Bits that a response may have.
    pub const OF_RESPONSE: u8 = STREAM_ITEM | STREAM;
}

/// What every header holds, whatever its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Common {
    /// Bits of [`flags`].
    pub flags: u8,
    /// Bytes of the control message at the start of the body.
    pub body_len: u32,
    /// Bytes of metadata that follow the control message.
    pub metadata_len: u32,
    /// Arrays that travel in the same sample, behind a table that follows the reports.
    pub attachments: u32,
    /// Round-trip reports that follow the metadata.
    pub reports: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds when the frame was published.
    pub sent_ns: u64,
}

/// W3C trace context: <https://www.w3.org/TR/trace-context/>. All zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// The trace, 16 bytes.
    pub trace_id: [u8; 16],
    /// The caller's span, 8 bytes.
    pub span_id: [u8; 8],
    /// Trace flags; bit 0 is "sampled".
    pub flags: u8,
}

/// The header of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// What every header holds.
    pub common: Common,
    /// How long after `sent_ns` the call expires, in nanoseconds; 0 is never.
    pub deadline_ns: u64,
    /// The schema hash that the caller was built against; 0 is any.
    pub schema_pin: u64,
    /// The caller's trace context.
    pub trace: TraceContext,
    /// Items of the answer that the caller has room for.
    pub stream_credit: u32,
    /// Position of this item in the arguments, from 0; of their end, how many there were.
    pub stream_seq: u32,
    /// The core on which the caller runs, counted from 1; 0 does not say.
    pub core: u16,
    /// Bytes of the answer's items that the caller has room for.
    pub stream_bytes: u64,
    /// How long after `sent_ns` the caller means to make its next call, in nanoseconds; 0 does not say.
    pub next_ns: u64,
}

impl RequestHeader {
    /// Whether the frame belongs to the arguments of a call that was made before.
    pub fn continues(&self) -> bool {
        self.common.flags & (flags::STREAM_ITEM | flags::UPLOAD_END) != 0
    }
}

/// The header of a frame that lets the sender of a stream's items go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credit {
    /// What every header holds.
    pub common: Common,
    /// The call that the stream belongs to.
    pub id: u64,
    /// Items that the receiver takes in all, counted from the stream's first.
    pub granted: u64,
    /// Bytes of items that it takes in all: the next item may be sent while fewer were.
    pub bytes: u64,
}

impl Credit {
    /// The header's bytes; the sample is empty.
    pub fn encode(&self) -> Raw {
        let mut raw = self.common.encode(Kind::Credit);
        put(&mut raw, 32, self.id.to_le_bytes());
        put(&mut raw, 40, self.granted.to_le_bytes());
        put(&mut raw, 48, self.bytes.to_le_bytes());
        raw
    }
}

/// Where a call's time went in the worker, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    /// From the caller's publishing to the worker's receiving.
    pub transit_ns: u64,
    /// From receiving to a dispatch thread's taking the call.
    pub queue_ns: u64,
    /// Waiting for the interpreter.
    pub interpreter_ns: u64,
    /// Decoding and validating the arguments.
    pub decode_ns: u64,
    /// The handler.
    pub handler_ns: u64,
    /// Serialising and encoding the result.
    pub encode_ns: u64,
}

/// The header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// What every header holds.
    pub common: Common,
    /// The handler version that made the answer, from 1; 0 where no handler ran.
    pub version: u32,
    /// The worker's number for the method, for the caller to name it in a report.
    pub method_key: u32,
    /// Position of this item in its stream, from 0; of the stream's end, how many items there were.
    pub stream_seq: u32,
    /// The hash of the method's schema; 0 where there is none.
    pub schema_hash: u64,
    /// Where the time went.
    pub stages: Stages,
}

/// A header of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// A call.
    Request(RequestHeader),
    /// An answer.
    Response(ResponseHeader),
    /// Round-trip reports.
    Report(Common),
    /// Room for items of a stream.
    Credit(Credit),
}

impl Header {
    /// Reads a header and checks everything in it that can be checked without the body.
    ///
    /// # Errors
    /// [`Malformed`] for a wrong magic, an unknown version, kind or flag, a flag that the kind doesn't
    /// have, a body that is too large, too many attachments, or a report frame that is anything more.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::header::{Common, Header, RequestHeader};
    ///
    /// let common = Common { body_len: 9, sent_ns: 1_000, ..Common::default() };
    /// let sent = RequestHeader { common, deadline_ns: 500, ..RequestHeader::default() };
    /// let mut raw = sent.encode();
    /// assert_eq!(Header::decode(&raw)?, Header::Request(sent));
    ///
    /// raw[6] = 9;
    /// assert_eq!(Header::decode(&raw).unwrap_err().offset, 6);
    /// # Ok::<(), pycrust_protocol::Malformed>(())
    /// ```
    pub fn decode(raw: &Raw) -> Result<Self, Malformed> {
        if array::<4>(raw, 0) != MAGIC {
            return Err(Malformed::new(0, "the frame does not begin with PYCR"));
        }
        let version = u16_at(raw, 4);
        if version != PROTOCOL_VERSION {
            return Err(Malformed::new(
                4,
                format!("protocol version {version}, this side speaks {PROTOCOL_VERSION}"),
            ));
        }
        let common = Common::read(raw);
        common.check(raw[6])?;
        match raw[6] {
            1 => Ok(Self::Request(RequestHeader {
                common,
                deadline_ns: u64_at(raw, 32),
                schema_pin: u64_at(raw, 40),
                trace: TraceContext { trace_id: array(raw, 48), span_id: array(raw, 64), flags: raw[72] },
                stream_credit: u32_at(raw, 76),
                stream_seq: u32_at(raw, 80),
                core: u16_at(raw, 84),
                stream_bytes: u64_at(raw, 88),
                next_ns: u64_at(raw, 96),
            })),
            2 => Ok(Self::Response(ResponseHeader {
                common,
                version: u32_at(raw, 32),
                method_key: u32_at(raw, 36),
                stream_seq: u32_at(raw, 40),
                schema_hash: u64_at(raw, 48),
                stages: Stages {
                    transit_ns: u64_at(raw, 56),
                    queue_ns: u64_at(raw, 64),
                    interpreter_ns: u64_at(raw, 72),
                    decode_ns: u64_at(raw, 80),
                    handler_ns: u64_at(raw, 88),
                    encode_ns: u64_at(raw, 96),
                },
            })),
            3 => Ok(Self::Report(common)),
            4 => Ok(Self::Credit(Credit {
                common,
                id: u64_at(raw, 32),
                granted: u64_at(raw, 40),
                bytes: u64_at(raw, 48),
            })),
            kind => Err(Malformed::new(6, format!("unknown kind of frame {kind}"))),
        }
    }

    /// What every header holds, whatever its kind.
    pub fn common(&self) -> &Common {
        match self {
            Self::Request(header) => &header.common,
            Self::Response(header) => &header.common,
            Self::Report(common) => common,
            Self::Credit(header) => &header.common,
        }
    }
}

impl Common {
    /// Splits a sample's bytes into control message, metadata, reports and the attachments' table.
    ///
    /// # Errors
    /// [`Malformed`] if the sample is shorter than the header says.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::header::Common;
    ///
    /// let common = Common { body_len: 3, metadata_len: 1, ..Common::default() };
    /// let parts = common.split(b"abc\x80")?;
    /// assert_eq!((parts.control, parts.metadata), (&b"abc"[..], &b"\x80"[..]));
    /// assert!(common.split(b"abc").is_err());
    /// # Ok::<(), pycrust_protocol::Malformed>(())
    /// ```
    pub fn split<'a>(&self, sample: &'a [u8]) -> Result<Parts<'a>, Malformed> {
        let need = self.announced();
        if need > sample.len() as u64 {
            return Err(Malformed::new(
                8,
                format!("the header announces {need} bytes, the sample has {}", sample.len()),
            ));
        }
        let (control, rest) = sample.split_at(self.body_len as usize);
        let (metadata, rest) = rest.split_at(self.metadata_len as usize);
        let table_len = self.table_len();
        let reports_len = length(need) - control.len() - metadata.len() - table_len;
        let (reports, rest) = rest.split_at(reports_len);
        Ok(Parts { control, metadata, reports, table: &rest[..table_len] })
    }

    /// Bytes of all parts before the attachments together, as a header says that was not checked: at most `sample_len`.
    pub fn head_len(raw: &Raw, sample_len: usize) -> usize {
        let common = Self::read(raw);
        // Without attachments everything is head, also what does not belong there.
        if common.attachments == 0 { sample_len } else { length(common.announced()).min(sample_len) }
    }

    fn read(raw: &Raw) -> Self {
        Self {
            flags: raw[7],
            body_len: u32_at(raw, 8),
            metadata_len: u32_at(raw, 12),
            attachments: u32_at(raw, 16),
            reports: u32_at(raw, 20),
            sent_ns: u64_at(raw, 24),
        }
    }

    /// Bytes of all parts before the attachments together.
    pub(crate) fn announced(&self) -> u64 {
        let reports = u64::from(self.reports) * REPORT_LEN as u64;
        let table = u64::from(self.attachments) * ENTRY_LEN as u64;
        u64::from(self.body_len) + u64::from(self.metadata_len) + reports + table
    }

    /// Checks the fields against the rules for frames of this kind.
    fn check(&self, kind: u8) -> Result<(), Malformed> {
        let allowed = match kind {
            1 => flags::OF_REQUEST,
            2 => flags::OF_RESPONSE,
            3 | 4 => 0,
            _ => return Err(Malformed::new(6, format!("unknown kind of frame {kind}"))),
        };
        let given = self.flags;
        if given & !flags::KNOWN != 0 {
            return Err(Malformed::new(7, format!("unknown flags {given:#04x}")));
        }
        if given & !allowed != 0 {
            return Err(Malformed::new(7, format!("flags {given:#04x} on a frame of kind {kind}")));
        }
        self.check_attachments(kind == Kind::Request as u8 || kind == Kind::Response as u8)?;
        if self.announced() > MAX_BODY_LEN as u64 {
            let len = self.announced();
            return Err(Malformed::new(
                8,
                format!("a body of {len} bytes, at most {MAX_BODY_LEN} are allowed"),
            ));
        }
        if self.metadata_len as usize > MAX_METADATA_LEN {
            let len = self.metadata_len;
            let reason = format!("metadata of {len} bytes, at most {MAX_METADATA_LEN} are allowed");
            return Err(Malformed::new(12, reason));
        }
        if kind == Kind::Report as u8 && (self.body_len, self.metadata_len) != (0, 0) {
            return Err(Malformed::new(8, "a report frame has no control message and no metadata"));
        }
        if kind == Kind::Credit as u8 && self.announced() != 0 {
            return Err(Malformed::new(8, "a credit frame has an empty sample"));
        }
        Ok(())
    }

    fn encode(&self, kind: Kind) -> Raw {
        let mut raw = [0; HEADER_LEN];
        put(&mut raw, 0, MAGIC);
        put(&mut raw, 4, PROTOCOL_VERSION.to_le_bytes());
        raw[6] = kind as u8;
        raw[7] = self.flags;
        put(&mut raw, 8, self.body_len.to_le_bytes());
        put(&mut raw, 12, self.metadata_len.to_le_bytes());
        put(&mut raw, 16, self.attachments.to_le_bytes());
        put(&mut raw, 20, self.reports.to_le_bytes());
        put(&mut raw, 24, self.sent_ns.to_le_bytes());
        raw
    }

    /// The bytes of a report frame's header.
    pub fn encode_report(&self) -> Raw {
        self.encode(Kind::Report)
    }
}

/// A sample's bytes, cut where its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The control message.
    pub control: &'a [u8],
    /// The metadata: a MessagePack map, or nothing.
    pub metadata: &'a [u8],
    /// The round-trip reports, [`REPORT_LEN`] bytes each.
    pub reports: &'a [u8],
    /// The attachments' table, for [`Common::attachments_in`].
    pub table: &'a [u8],
}

impl RequestHeader {
    /// When the call expires, in nanoseconds of `CLOCK_MONOTONIC`; `None` is never.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::header::{Common, RequestHeader};
    ///
    /// let common = Common { sent_ns: 1_000, ..Common::default() };
    /// let header = RequestHeader { common, deadline_ns: 500, ..RequestHeader::default() };
    /// assert_eq!(header.expires_ns(), Some(1_500));
    /// assert_eq!(RequestHeader::default().expires_ns(), None);
    /// ```
    pub fn expires_ns(&self) -> Option<u64> {
        // Saturating: both numbers are the other side's, and a sum that wraps would be in the past.
        (self.deadline_ns != 0).then(|| self.common.sent_ns.saturating_add(self.deadline_ns))
    }

    /// The header's bytes.
    pub fn encode(&self) -> Raw {
        let mut raw = self.common.encode(Kind::Request);
        put(&mut raw, 32, self.deadline_ns.to_le_bytes());
        put(&mut raw, 40, self.schema_pin.to_le_bytes());
        put(&mut raw, 48, self.trace.trace_id);
        put(&mut raw, 64, self.trace.span_id);
        raw[72] = self.trace.flags;
        put(&mut raw, 76, self.stream_credit.to_le_bytes());
        put(&mut raw, 80, self.stream_seq.to_le_bytes());
        put(&mut raw, 84, self.core.to_le_bytes());
        put(&mut raw, 88, self.stream_bytes.to_le_bytes());
        put(&mut raw, 96, self.next_ns.to_le_bytes());
        raw
    }
}

impl ResponseHeader {
    /// The header's bytes.
    pub fn encode(&self) -> Raw {
        let mut raw = self.common.encode(Kind::Response);
        put(&mut raw, 32, self.version.to_le_bytes());
        put(&mut raw, 36, self.method_key.to_le_bytes());
        put(&mut raw, 40, self.stream_seq.to_le_bytes());
        put(&mut raw, 48, self.schema_hash.to_le_bytes());
        put(&mut raw, 56, self.stages.transit_ns.to_le_bytes());
        put(&mut raw, 64, self.stages.queue_ns.to_le_bytes());
        put(&mut raw, 72, self.stages.interpreter_ns.to_le_bytes());
        put(&mut raw, 80, self.stages.decode_ns.to_le_bytes());
        put(&mut raw, 88, self.stages.handler_ns.to_le_bytes());
        put(&mut raw, 96, self.stages.encode_ns.to_le_bytes());
        raw
    }
}
