//! Connections between one worker and its clients on one machine.
//!
//! Frames travel in iceoryx2 publish-subscribe services, one pair a connection; beside them, a Unix
//! socket carries the handshake and tells either side of the other's death, eventfds ring sleepers, and
//! a sealed memfd holds the flag words. The worker [claims](Claim) a name and [accepts](Acceptor)
//! clients; a client [connects](connect()); both then hold a [`Connection`], which is a [`Link`].
// The model checker compiles `parking.rs` alone, as part of its test.
#![cfg(all(target_os = "linux", not(loom)))]

mod acceptor;
mod alarm;
mod aligned;
mod block;
mod cgroup;
mod claim;
mod clock;
mod connect;
mod connection;
mod control_socket;
mod control_thread;
mod descriptors;
mod doorbell;
mod error;
mod fork;
mod frame;
mod handshake;
mod inode;
mod iox;
mod life;
mod lifeline;
mod link;
mod listener;
mod lockfile;
mod memory;
mod ownership;
mod pages;
mod parking;
mod peer;
mod place;
mod private;
mod private_dir;
mod process;
mod receiving;
mod remains;
mod runtime;
mod seat;
mod sending;
mod stack;
pub mod sync;
mod time;
mod view;
mod waiter;
mod words;

pub use self::{
    acceptor::{Acceptor, AcceptorEvents, Limits},
    alarm::Alarm,
    block::{Attachment, Block, Piece, Source},
    claim::Claim,
    clock::monotonic_ns,
    connect::{Connecting, Progress, connect},
    connection::{Connection, ControlEvent},
    error::{ClaimError, ConnectError, LinkError, SendError, TransportError},
    fork::Descriptor,
    frame::{Attachments, Frame},
    lifeline::clean_up,
    link::{CallProgress, Link, Memory, Peer, Side},
    private::Private,
    process::{PerProcess, Process, ProcessLocal},
    runtime::{Owner, Runtime},
    stack::stack_size,
    view::View,
    waiter::Waiter,
};
