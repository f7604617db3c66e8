//! What a frame may hold. Both sides check; the handshake carries the ones that a side can lower.

/// The version of this protocol. Sides of different versions refuse each other in the handshake.
pub const PROTOCOL_VERSION: u16 = 3;

/// Arrays and maps that a value in a payload may lie inside.
pub const MAX_DEPTH: usize = 128;

/// Values of a payload that a dynamic language makes objects of: an empty map is one byte here and 72 there.
pub const MAX_VALUES: usize = 8 << 20;

/// Bytes of a method name.
pub const MAX_METHOD_LEN: usize = 256;

/// Bytes of a frame's parts together: 1 GiB of payload and 1 MiB for everything around it.
pub const MAX_BODY_LEN: usize = (1 << 30) + (1 << 20);

/// Bytes of a sample of the small pool; a larger frame takes the bulk service.
pub const SMALL_SAMPLE_LEN: usize = 4096;

/// Samples that may be on their way in each direction of a connection's small services.
pub const SMALL_WINDOW: usize = 64;

/// Samples that may be on their way in each direction of a connection's bulk services.
pub const BULK_WINDOW: usize = 4;

/// Bulk samples that a receiver may hold beyond those on their way: views that somebody still looks at.
pub const BULK_VIEWS: usize = 64;

/// Bulk samples that a sender may fill at a time: arrays that are being built in place.
pub const BULK_LOANS: usize = 16;

/// Attachments of one frame.
pub const MAX_ATTACHMENTS: usize = 4096;

/// Dimensions of an array.
pub const MAX_DIMENSIONS: usize = 64;

/// Fields of a record.
pub const MAX_FIELDS: usize = 1024;

/// Bytes of a record: 1 GiB, as of all arrays of a frame.
pub const MAX_RECORD_LEN: u32 = 1 << 30;

/// Bytes of the name of a record's field.
pub const MAX_FIELD_NAME_LEN: usize = 255;

/// Dimensions of a record's field.
pub const MAX_FIELD_DIMENSIONS: usize = 8;

/// Items of streamed arguments that may be sent before the worker grants more.
pub const UPLOAD_WINDOW: u64 = 64;

/// Bytes of a stream's items that its receiver takes before it grants more, the usual number: three frames of a
/// 1080p camera. An item may be larger, since the last one that is sent may pass it.
pub const STREAM_WINDOW_BYTES: u64 = 16 << 20;

/// Bytes of metadata of one frame.
pub const MAX_METADATA_LEN: usize = 64 * 1024;

/// Calls in flight of one connection, at most: the low 16 bits of a call's id are its slot.
pub const MAX_IN_FLIGHT: usize = 1 << 16;

/// Bytes of one message on the control socket.
pub const MAX_HANDSHAKE_LEN: usize = 16 * 1024;

/// Bytes of a client's name in the handshake; a longer one is cut.
pub const MAX_CLIENT_LEN: usize = 256;

/// Bytes of the reason in a refusal or a goodbye; a longer one is cut.
pub const MAX_REASON_LEN: usize = 4096;

/// Recorded calls in one answer to `pycrust.traffic`.
pub const MAX_TRAFFIC_CALLS: usize = 1000;

/// The first characters of a text that fit into so many bytes.
///
/// # Examples
/// ```
/// use pycrust_protocol::limits::fitting;
///
/// assert_eq!((fitting("Grüße", 3), fitting("Grüße", 4), fitting("arm", 8)), ("Gr", "Grü", "arm"));
/// ```
#[must_use]
pub fn fitting(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
