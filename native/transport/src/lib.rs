//! Connections between one worker and its clients on one machine.
//!
//! Frames travel in iceoryx2 publish-subscribe services, one pair a connection; beside them, a Unix
//! socket carries the handshake and tells either side of the other's death, eventfds ring sleepers, and
//! a sealed memfd holds the shared flags. The worker [claims](Claim) a name and [accepts](Acceptor)
//! clients; a client [connects](connect()); both then hold a [`Connection`], which is a [`Link`].
// The model checker compiles `parking.rs` alone, as part of its test.
#![cfg(not(loom))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "PyCrust runs on Linux only: it calls through shared memory, eventfd and memfd. On macOS and Windows, build it in a \
     Linux container or virtual machine"
);

mod claiming;
mod clock;
mod connection;
mod cores;
mod descriptors;
mod endpoints;
mod error;
pub mod faults;
mod fork;
mod gate;
mod handshake;
mod http;
mod iceoryx;
mod lately;
mod memory;
mod owner;
mod pinning;
mod process;
mod realtime;
mod reentrant;
mod scheduling;
mod shortage;
mod sleeping;
mod stack;
pub mod sync;
mod usage;

pub use self::{
    claiming::runtime_dir::Runtime,
    clock::monotonic_ns,
    connection::block::{Attachment, Block, Piece, Source},
    connection::established::{Connection, ControlEvent},
    connection::frame::{Attachments, Frame},
    connection::link::{Link, Memory, Peer},
    connection::private_mapping::Private,
    connection::view::View,
    cores::{Elsewhere, current_core},
    error::{ClaimError, ConnectError, LinkError, SendError, TransportError},
    fork::Descriptor,
    handshake::acceptor::{Acceptor, AcceptorEvents, Limits},
    handshake::claim::Claim,
    handshake::connect::{Connecting, Progress, ask_for_name, connect},
    http::server::{HttpRequest, HttpResponse, HttpServer, Respond},
    iceoryx::node::clean_up,
    lately::Lately,
    owner::Owner,
    process::{PerProcess, Process, ProcessLocal},
    realtime::{AppliedRealTime, Cores, LockedMemory, OnThread, RealTime, RealTimeError},
    scheduling::Scheduling,
    sleeping::alarm::Alarm,
    sleeping::shared_flags::{CallProgress, Side},
    sleeping::waiter::Waiter,
    stack::stack_size,
    usage::Usage,
};
