//! Many clients at once: who says nothing keeps nobody out, one too many is told so, and all may leave.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::os::fd::OwnedFd;

use common::{ENDPOINT, Place, name, receive_one, request, socket_file, wait_until};
use pycrust_protocol::Code;
use pycrust_protocol::handshake::{Hello, Message};
use pycrust_protocol::limits::{MAX_HANDSHAKE_LEN, PROTOCOL_VERSION};
use pycrust_transport::{ConnectError, Link, connect};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};

/// Connections that a worker serves at a time.
const MOST: usize = 256;

fn dial(place: &Place) -> OwnedFd {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let path = place.path().join(socket_file(ENDPOINT));
    rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    socket
}

fn hear(socket: &OwnedFd) -> Option<Message> {
    let mut bytes = vec![0; MAX_HANDSHAKE_LEN];
    let (len, _) = rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty()).unwrap_or_default();
    (len > 0).then(|| Message::decode(&bytes[..len]).unwrap())
}

#[test]
fn clients_that_say_nothing_keep_nobody_out() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let mut silent: Vec<_> = (0..MOST).map(|_| dial(&place)).collect();
    let client = place.connect();
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&events.link()), b"abc");
    // Those that came first made place, and are told.
    let Some(Message::Refused { code, reason }) = hear(&silent[0]) else { panic!("not refused") };
    assert_eq!(code, Code::ResourceExhausted, "{reason}");
    assert_eq!(hear(&silent[0]), None);
    // The last one may still speak.
    let hello = Hello { protocol: PROTOCOL_VERSION, endpoint: ENDPOINT.into(), client: "late".into() };
    let last = silent.pop().unwrap();
    rustix::net::send(&last, &Message::Hello(hello).encode(), SendFlags::empty()).unwrap();
    assert!(matches!(hear(&last), Some(Message::Welcome(_))));
    drop((client, silent, last));
    acceptor.stop();
}

#[test]
fn one_client_too_many_is_told_so_each_time_and_all_may_leave() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let clients: Vec<_> = (0..MOST).map(|_| place.connect()).collect();
    for _ in 0..50 {
        match connect(&place.runtime, &name(), "one too many") {
            Err(ConnectError::Refused { code: Code::ResourceExhausted, reason }) => {
                assert!(reason.contains("256 clients are connected"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    clients[MOST - 1].send(&request(3), &[b"abc"]).unwrap();
    let last = events.links().into_iter().find(|link| link.id() == clients[MOST - 1].id()).unwrap();
    assert_eq!(receive_one(&last), b"abc");
    drop(last);
    drop(clients);
    wait_until("the end of all", || events.gone().len() == MOST);
    drop(place.connect());
    acceptor.stop();
}
