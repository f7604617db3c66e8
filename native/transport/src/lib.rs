//! Connections between one worker and its clients on one machine.
//!
//! Frames travel in iceoryx2 publish-subscribe services, one pair a connection; beside them, a Unix
//! socket carries the handshake and tells either side of the other's death, eventfds ring sleepers, and
//! a sealed memfd holds the shared flags. The worker [claims](Claim) a name and [accepts](Acceptor)
//! clients; a client [connects](connect()); both then hold a [`Connection`], which is a [`Link`].
// The model checker compiles `parking.rs` alone, as part of its test.
#![cfg(all(target_os = "linux", not(loom)))]

mod claiming;
mod clock;
mod connection;
mod descriptors;
mod error;
mod fork;
mod handshake;
mod iceoryx;
mod memory;
mod process;
mod sleeping;
mod stack;
pub mod sync;

pub use self::{
    claiming::claim::Claim,
    claiming::runtime_dir::{Owner, Runtime},
    clock::monotonic_ns,
    connection::established::{Connection, ControlEvent},
    connection::frame::{Attachments, Frame},
    connection::link::{CallProgress, Link, Memory, Peer, Side},
    error::{ClaimError, ConnectError, LinkError, SendError, TransportError},
    fork::Descriptor,
    handshake::acceptor::{Acceptor, AcceptorEvents, Limits},
    handshake::connect::{Connecting, Progress, connect},
    iceoryx::node::clean_up,
    memory::block::{Attachment, Block, Piece, Source},
    memory::private_mapping::Private,
    memory::view::View,
    process::{PerProcess, Process, ProcessLocal},
    sleeping::alarm::Alarm,
    sleeping::waiter::Waiter,
    stack::stack_size,
};
