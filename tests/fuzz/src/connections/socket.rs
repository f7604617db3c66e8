//! Control sockets by hand: whatever bytes and descriptors, in whatever order.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use pycrust_protocol::limits::MAX_HANDSHAKE_LEN;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// A message as it came.
#[derive(Debug, Default)]
pub struct Letter {
    /// The message.
    pub bytes: Vec<u8>,
    /// The descriptors beside it.
    pub fds: Vec<OwnedFd>,
}

fn socket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket")
}

/// Listens where a worker would.
pub fn listen(path: &Path) -> OwnedFd {
    let listener = socket();
    let address = SocketAddrUnix::new(path).expect("a short path");
    rustix::net::bind(&listener, &address).expect("a place");
    rustix::net::listen(&listener, 4).expect("a listener");
    listener
}

/// Calls a worker.
pub fn dial(path: &Path) -> OwnedFd {
    let socket = socket();
    let address = SocketAddrUnix::new(path).expect("a short path");
    rustix::net::connect(&socket, &address).expect("a worker");
    socket
}

/// Takes a client's call.
pub fn accept(listener: &OwnedFd) -> OwnedFd {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).expect("a client")
}

/// Sends a message, if there is still somebody to read it.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let _ = rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags);
}

/// The next message that is there; `Err` after a hang-up.
pub fn receive(socket: impl AsFd) -> Result<Option<Letter>, ()> {
    let mut bytes = vec![0; MAX_HANDSHAKE_LEN + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
    let len = match received {
        Ok(received) => received.bytes,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
        Err(_) => return Err(()),
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    bytes.truncate(len);
    if len == 0 { Err(()) } else { Ok(Some(Letter { bytes, fds })) }
}

/// Waits until one of these has something to say, for a while; whether one has.
pub fn wait<const N: usize>(sockets: [BorrowedFd<'_>; N], time: Duration) -> bool {
    let mut asked = sockets.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN));
    let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
    rustix::event::poll(&mut asked, Some(&time)).is_ok_and(|ready| ready > 0)
}
