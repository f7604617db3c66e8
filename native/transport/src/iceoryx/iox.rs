//! iceoryx2 as this crate uses it: explicit configuration, one node a worker's life or a connection, two
//! small services a connection and a bulk service in each direction that needs one.

mod mapped;
mod notes;
mod variant;

use std::path::Path;
use std::time::Duration;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::port::{BackpressureAction, DegradationAction};
use iceoryx2::prelude::{
    AllocationStrategy, BackpressureStrategy, Config, FileName, LogLevel, Node, NodeBuilder, SemanticString,
    ServiceName, SignalHandlingMode, ZeroCopySend,
};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::{BULK_LOANS, BULK_VIEWS, BULK_WINDOW, SMALL_SAMPLE_LEN, SMALL_WINDOW};

use crate::error::TransportError;
use crate::gate;
use crate::memory::reserve;

/// Ports that can be used from any thread.
pub(crate) type Iox = variant::Variant;
/// The sending end of a service.
pub(crate) type Sender = Publisher<Iox, [u8], FrameHeader>;
/// The receiving end of a service.
pub(crate) type Receiver = Subscriber<Iox, [u8], FrameHeader>;
/// A received frame.
pub(crate) type Sample = iceoryx2::sample::Sample<Iox, [u8], FrameHeader>;
/// A frame that is being written.
pub(crate) type Loan =
    iceoryx2::sample_mut_uninit::SampleMutUninit<Iox, [std::mem::MaybeUninit<u8>], FrameHeader>;
/// A service of one direction of one connection.
pub(crate) type Service = PortFactory<Iox, [u8], FrameHeader>;

/// Bytes that a connection's small services take in /dev/shm, both directions and bookkeeping, rounded up.
const SMALL_MEMORY: u64 = 2 << 20;

/// Bytes that a bulk service takes in /dev/shm before anything is sent, rounded up.
pub(crate) const BULK_MEMORY: u64 = 2 << 20;

/// Bytes before a sample's payload, at most: iceoryx2's header and ours.
const SAMPLE_OVERHEAD: usize = 1 << 10;

/// Slice length of the first bulk segment; later ones grow by powers of two.
pub(crate) const FIRST_BULK_LEN: usize = 64 << 10;

/// Samples that a receiver may hold at a time beyond views. It holds one; the second is room for iceoryx2's own
/// count.
const BORROWED: usize = 2;

/// Connections of a receiver whose sender is gone while samples of it are still held. A receiver that may hold more,
/// as one of bulk frames may, takes that number instead, with a warning.
const EXPIRED: usize = BORROWED;

/// Bulk samples that a sender may fill at a time beyond those that are built in place: frames that are copied.
pub(crate) const SPARE_LOANS: usize = 8;

/// Bulk samples that are looked at for pages to give back: about as many as a receiver can have had at a time.
pub(crate) const LOOKED_AT: usize = BULK_VIEWS + 8;

/// The header beside a frame, as iceoryx2's user header.
///
/// The payload follows it, so its alignment is the payload's. `payload_alignment(64)` would do the same at 64
/// times the memory: iceoryx2 0.10.0 rounds every element of a slice up to the alignment, also a byte.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct FrameHeader(pub(crate) [u8; HEADER_LEN]);

// SAFETY: plain bytes without pointers, the same layout in every process.
unsafe impl ZeroCopySend for FrameHeader {}

impl Default for FrameHeader {
    fn default() -> Self {
        Self([0; HEADER_LEN])
    }
}

/// Which of a connection's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Frames up to [`SMALL_SAMPLE_LEN`], from a static pool.
    Small,
    /// Larger frames.
    Bulk,
}

impl Size {
    /// Frames that may be on their way.
    pub(crate) fn window(self) -> usize {
        match self {
            Self::Small => SMALL_WINDOW,
            Self::Bulk => BULK_WINDOW,
        }
    }

    /// Samples that a receiver may hold at a time.
    fn borrowed(self) -> usize {
        match self {
            Self::Small => BORROWED,
            Self::Bulk => BULK_VIEWS + BORROWED,
        }
    }

    /// Samples that a sender may have at a time.
    fn loans(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Bulk => BULK_LOANS + SPARE_LOANS + LOOKED_AT,
        }
    }
}

/// The configuration for a prefix whose files are in `root`. Never the one that iceoryx2 would load from
/// the working directory.
pub(crate) fn config(root: &Path, prefix: &str) -> Result<Config, TransportError> {
    let _gate = gate::enter();
    quiet();
    let what = "name files";
    let mut config = Config::default();
    let root = iceoryx2::prelude::Path::new(root.as_os_str().as_encoded_bytes())
        .map_err(|error| TransportError::shared_memory(what, error))?;
    config.global.set_root_path(&root);
    config.global.prefix =
        FileName::new(prefix.as_bytes()).map_err(|error| TransportError::shared_memory(what, error))?;
    // Dead nodes are cleaned up where it is nobody's call that waits for it.
    config.global.node.cleanup_dead_nodes_on_creation = false;
    config.global.node.cleanup_dead_nodes_on_destruction = false;
    config.global.service.cleanup_dead_nodes_on_open = false;
    config.global.creation_timeout = Duration::from_millis(500);
    // A port has one peer, so one can be gone. The default keeps room for 128, at 3.6 KiB each, with every subscriber.
    config.defaults.publish_subscribe.subscriber_expired_connection_buffer = EXPIRED;
    Ok(config)
}

/// A node. Its services must be gone before it is.
pub(crate) fn node(config: &Config) -> Result<Node<Iox>, TransportError> {
    let _gate = gate::enter();
    NodeBuilder::new()
        .config(config)
        // Otherwise handlers for 13 signals are installed for good, and a notebook can't be interrupted.
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<Iox>()
        .map_err(|error| TransportError::shared_memory("make a node", error))
}

/// Makes a service (`create`), or opens the one that the other side has made.
pub(crate) fn service(
    node: &Node<Iox>,
    name: &str,
    size: Size,
    create: bool,
) -> Result<Service, TransportError> {
    let name =
        ServiceName::new(name).map_err(|error| TransportError::shared_memory("name a service", error))?;
    let builder = node
        .service_builder(&name)
        .publish_subscribe::<[u8]>()
        .user_header::<FrameHeader>()
        .enable_safe_overflow(false)
        .history_size(0)
        .subscriber_max_buffer_size(size.window())
        .subscriber_max_borrowed_samples(size.borrowed())
        .max_publishers(1)
        .max_subscribers(1)
        .max_nodes(2);
    if create {
        builder.create().map_err(|error| TransportError::shared_memory("make a service", error))
    } else {
        builder.open().map_err(|error| TransportError::shared_memory("open a service", error))
    }
}

/// The sending end of a service. A full buffer is an error there and never waits: admission is ours.
pub(crate) fn sender(service: &Service, size: Size) -> Result<Sender, TransportError> {
    let fail = |error: &dyn std::fmt::Debug| TransportError::shared_memory("make a publisher", error);
    let builder = service
        .publisher_builder()
        .max_loaned_samples(size.loans())
        .backpressure_strategy(BackpressureStrategy::DiscardData)
        .set_backpressure_handler(|_| BackpressureAction::DiscardDataAndFail)
        .set_degradation_handler(|_, _| DegradationAction::DegradeAndFail);
    // The number of chunks is not lowered for bulk: a pool that runs out of chunks would grow past what the
    // bookkeeping of its connection has room for. Pages that nobody writes cost nothing.
    let builder = match size {
        Size::Small => {
            builder.initial_max_slice_len(SMALL_SAMPLE_LEN).allocation_strategy(AllocationStrategy::Static)
        }
        Size::Bulk => {
            builder.initial_max_slice_len(FIRST_BULK_LEN).allocation_strategy(AllocationStrategy::PowerOfTwo)
        }
    };
    let sender = builder.create().map_err(|error| fail(&error))?;
    if size == Size::Small {
        let sample = sender.loan_slice_uninit(SMALL_SAMPLE_LEN).map_err(|error| fail(&error))?;
        reserve::populate_mapping(sample.payload().as_ptr().cast())
            .map_err(|error| TransportError::system("fill a publisher's memory in", error))?;
    }
    Ok(sender)
}

/// The receiving end of a service.
pub(crate) fn receiver(service: &Service, size: Size) -> Result<Receiver, TransportError> {
    service
        .subscriber_builder()
        .buffer_size(size.window())
        .set_degradation_handler(|_, _| DegradationAction::DegradeAndFail)
        .create()
        .map_err(|error| TransportError::shared_memory("make a subscriber", error))
}

/// Maps what the other side's ports have made, so that neither send nor receive has to.
pub(crate) fn update(port: &impl UpdateConnections) -> Result<(), TransportError> {
    port.update_connections().map_err(|error| TransportError::shared_memory("connect the ports", error))
}

/// Bytes of the file of a bulk segment for samples of `len` bytes, rounded up: it has a chunk for each sample that
/// anybody may have, of which only those that are used take memory.
pub(crate) fn bulk_segment_len(len: usize) -> u64 {
    let chunks = Size::Bulk.window() + Size::Bulk.borrowed() + Size::Bulk.loans() + 1;
    let chunk = (len + SAMPLE_OVERHEAD).checked_next_power_of_two().unwrap_or(usize::MAX);
    (chunk as u64).saturating_mul(chunks as u64).saturating_add(SMALL_MEMORY)
}

/// Fails if /dev/shm has no room for one more connection.
pub(crate) fn check_room() -> Result<(), TransportError> {
    reserve::check_segment(SMALL_MEMORY, SMALL_MEMORY)
        .map_err(|error| TransportError::system("connect in shared memory", error))
}

/// iceoryx2 speaks at Info by itself, and warns of what is meant (see [`EXPIRED`]). Its records go to `log`, and only
/// those that matter.
fn quiet() {
    iceoryx2::prelude::set_log_level(LogLevel::Error);
}
