//! A small /dev/shm, as containers have: frames that don't fit are errors, and no signal comes.
#![cfg(not(loom))]
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a failed test panics, and one that can't run says why"
)]

mod common;

use std::fs::File;
use std::process::Command;

use common::{Other, Place, body, driven, name, receive_one, request, role, say};
use pycrust_transport::{ConnectError, Link, SendError, connect};

/// Not a test of its own: what the test below runs where /dev/shm has 64 MiB.
#[test]
fn other_process() {
    if role().is_none() {
        return;
    }
    say("ready", "");
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    driven(&client, || {
        let send = |len: usize| client.send(&request(len), &[&vec![1; len]]);
        let refused = |result| matches!(result, Err(SendError::NoMemory { .. }));
        assert!(refused(send(100 << 20)), "larger than all of it");
        // Frames that are not received yet fill it.
        assert_eq!([send(20 << 20), send(20 << 20)], [Ok(()), Ok(())]);
        assert!(refused(send(30 << 20)));
        client.send(&request(3), &[b"abc"]).unwrap();
        assert_eq!(
            receive_one(&worker).len() + receive_one(&worker).len() + receive_one(&worker).len(),
            (40 << 20) + 3
        );
        client.send(&request(1 << 20), &[&body(1 << 20)]).unwrap();
        assert!(receive_one(&worker) == body(1 << 20), "it goes on with what fits");

        // Full to the last page: no new client, and the old one's small frames still cross.
        let hog = File::create("/dev/shm/hog").unwrap();
        let free = rustix::fs::fstatvfs(&hog).unwrap();
        rustix::fs::fallocate(&hog, rustix::fs::FallocateFlags::empty(), 0, free.f_bavail * free.f_frsize)
            .unwrap();
        let error = connect(&place.runtime, &name(), "test").unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("/dev/shm"), "{error}");
        for number in 0..1000_u32 {
            client.send(&request(4), &[&number.to_le_bytes()]).unwrap();
            assert_eq!(receive_one(&worker), number.to_le_bytes());
        }
        std::fs::remove_file("/dev/shm/hog").unwrap();
    });
    drop((worker, client));
    acceptor.stop();
}

/// In a mount namespace with a small /dev/shm of its own.
#[test]
fn a_full_shared_memory_is_an_error_and_not_a_signal() {
    const OWN_NAMESPACE: [&str; 2] = ["--map-root-user", "--mount"];
    let may = Command::new("unshare").args(OWN_NAMESPACE).arg("true").status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("not tested: this sandbox forbids mount namespaces");
        return;
    }
    let place = Place::new();
    let mut command = Command::new("unshare");
    command
        .args(OWN_NAMESPACE)
        .args(["sh", "-c"])
        .arg("mount -t tmpfs -o size=64m tmpfs /dev/shm && exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap());
    assert!(Other::run(command, &place, "fills").ended_well());
}
