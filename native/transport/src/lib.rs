//! Connections between one worker and its clients on one machine.
//!
//! Frames travel in iceoryx2 publish-subscribe services, one pair a connection; beside them, a Unix
//! socket carries the handshake and tells either side of the other's death, eventfds ring sleepers, and
//! a sealed memfd holds the flag words. The worker [claims](Claim) a name and [accepts](Acceptor)
//! clients; a client [connects](connect()); both then hold a [`Connection`], which is a [`Link`].
#![cfg(target_os = "linux")]

pub mod parking;

#[cfg(not(loom))]
mod acceptor;
#[cfg(not(loom))]
mod claim;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod connect;
#[cfg(not(loom))]
mod connection;
#[cfg(not(loom))]
mod doorbell;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod fork;
#[cfg(not(loom))]
mod link;
#[cfg(not(loom))]
mod lockfile;
#[cfg(not(loom))]
mod runtime;
#[cfg(not(loom))]
mod waiter;

#[cfg(not(loom))]
pub use self::{
    acceptor::{Acceptor, AcceptorEvents, Limits},
    claim::Claim,
    clock::monotonic_ns,
    connect::connect,
    connection::{Connection, ControlEvent},
    error::{ClaimError, ConnectError, LinkError, SendError, TransportError},
    fork::after_fork_in_child,
    link::{Link, Peer, Side},
    runtime::{Owner, Runtime},
    waiter::Waiter,
};
