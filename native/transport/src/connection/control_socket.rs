//! Messages and file descriptors over the control socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pycrust_protocol::handshake::Message;
use pycrust_protocol::limits::MAX_HANDSHAKE_LEN;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::descriptors;
use crate::shortage::PER_CONNECTION;

/// Descriptors that may come with one message: two doorbells and the shared flags.
pub(crate) const MAX_FDS: usize = 3;

/// What was read.
#[derive(Debug)]
pub(crate) enum Received {
    /// Nothing is there now.
    Nothing,
    /// The peer hung up.
    HungUp,
    /// A message and the descriptors beside it.
    Message(Message, Vec<OwnedFd>),
    /// Bytes that are no message.
    Malformed(String),
}

/// Sends a message without blocking. Messages are few and small: a peer that leaves no room for one has
/// stopped reading, and that is an error.
pub(crate) fn send(socket: impl AsFd, message: &Message, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = message.encode();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(&bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

/// Reads one message without blocking.
pub(crate) fn receive(socket: impl AsFd) -> Received {
    let mut bytes = vec![0; MAX_HANDSHAKE_LEN];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let read = loop {
        match rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
            Ok(read) => break read,
            // A peer that closed without having read everything: said once, before what it had sent can be read.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(Errno::WOULDBLOCK) => return Received::Nothing,
            Err(_) => return Received::HungUp,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if read.bytes == 0 {
        return Received::HungUp;
    }
    // The kernel leaves out what this process has no room for.
    if read.flags.contains(ReturnFlags::CTRUNC)
        && let Err(error) = descriptors::check(PER_CONNECTION)
    {
        return Received::Malformed(error.to_string());
    }
    if read.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Received::Malformed(format!(
            "a message of more than {MAX_HANDSHAKE_LEN} bytes or {MAX_FDS} descriptors"
        ));
    }
    match Message::decode(&bytes[..read.bytes]) {
        Ok(message) => Received::Message(message, fds),
        Err(error) => Received::Malformed(error.to_string()),
    }
}
